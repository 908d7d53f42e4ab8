//! DNS questions and answers as bytes: hickory's codec behind two pure functions. They are public
//! so that a fuzzer can reach what reads strangers' bytes, without a socket in between.

use std::net::IpAddr;

use hickory_resolver::proto::op::{Edns, Message, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, RecordType};

use crate::limits;
use crate::model::printable;
use crate::observation::{AddressRecord, Alias, Answer, Rcode};

/// Which addresses are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// `A` records.
    V4,
    /// `AAAA` records.
    V6,
}

/// A question ready to be sent, and what its answer must repeat.
#[derive(Debug, Clone)]
pub struct Question {
    id: u16,
    name: Name,
    record_type: RecordType,
    /// The question on the wire.
    pub bytes: Vec<u8>,
}

/// What a received message is to a question.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// Its answer.
    Answer(Answer),
    /// Its answer, cut short: ask again over TCP (RFC 7766 section 5).
    Truncated,
    /// The server does not know EDNS: ask again without it (RFC 6891 section 7).
    NoEdns,
    /// Not the answer to this question; keep listening.
    Stranger,
    /// It claims to be the answer but cannot be read.
    Malformed(String),
}

impl Question {
    /// Encodes a question; the error says why the name cannot be asked for.
    pub fn new(host: &str, family: Family, with_edns: bool) -> Result<Self, String> {
        let mut name = Name::from_ascii(host).map_err(|error| error.to_string())?;
        name.set_fqdn(true);
        let record_type = match family {
            Family::V4 => RecordType::A,
            Family::V6 => RecordType::AAAA,
        };
        let mut message = Message::query();
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(name.clone(), record_type));
        if with_edns {
            let mut edns = Edns::new();
            edns.set_max_payload(limits::DNS_UDP_BYTES);
            message.set_edns(edns);
        }
        let bytes = message.to_vec().map_err(|error| error.to_string())?;
        Ok(Self { id: message.metadata.id, name, record_type, bytes })
    }

    /// Reads a received message as the answer to this question.
    pub fn read(&self, bytes: &[u8]) -> Reply {
        let id = bytes.first_chunk::<2>().map(|head| u16::from_be_bytes(*head));
        if id != Some(self.id) {
            return Reply::Stranger;
        }
        let message = match Message::from_vec(bytes) {
            Ok(message) => message,
            Err(error) => return Reply::Malformed(printable(&error.to_string())),
        };
        if message.metadata.response_code == ResponseCode::FormErr && message.queries.is_empty() {
            return Reply::NoEdns;
        }
        // Some servers send an error without the question it belongs to (unbound's refusal is a bare
        // header); the id and the connected socket tell whose it is.
        let bare_error =
            message.queries.is_empty() && message.metadata.response_code != ResponseCode::NoError;
        let asked = message
            .queries
            .iter()
            .any(|q| q.name() == &self.name && q.query_type() == self.record_type);
        if !asked && !bare_error {
            return Reply::Stranger;
        }
        match message.metadata.response_code {
            ResponseCode::FormErr => Reply::NoEdns,
            _ if message.metadata.truncation => Reply::Truncated,
            code => Reply::Answer(self.answer(&message, code)),
        }
    }

    fn answer(&self, message: &Message, code: ResponseCode) -> Answer {
        let (chain, last, chain_loops) = self.chain(message);
        let mut addresses: Vec<AddressRecord> = Vec::new();
        for record in message.answers.iter().filter(|record| record.name == last) {
            let ip = match &record.data {
                RData::A(a) => IpAddr::V4(a.0),
                RData::AAAA(aaaa) => IpAddr::V6(aaaa.0),
                _ => continue,
            };
            if addresses.len() < limits::ADDRESSES_PER_ANSWER
                && !addresses.iter().any(|known| known.ip == ip)
            {
                addresses.push(AddressRecord { ip, ttl: record.ttl });
            }
        }
        let negative_ttl = message.authorities.iter().find_map(|record| match &record.data {
            RData::SOA(soa) => Some(record.ttl.min(soa.minimum)),
            _ => None,
        });
        let rcode = match code {
            ResponseCode::NoError => Rcode::NoError,
            ResponseCode::NXDomain => Rcode::NxDomain,
            ResponseCode::ServFail => Rcode::ServFail,
            ResponseCode::Refused => Rcode::Refused,
            other => Rcode::Other(other.into()),
        };
        Answer {
            rcode,
            chain,
            chain_loops,
            negative_ttl: negative_ttl.filter(|_| addresses.is_empty()),
            addresses,
        }
    }

    /// Follows the aliases in the answer section, in whatever order they came.
    fn chain(&self, message: &Message) -> (Vec<Alias>, Name, bool) {
        let mut chain = Vec::new();
        let mut seen = vec![self.name.clone()];
        let mut current = self.name.clone();
        loop {
            let step = message.answers.iter().find_map(|record| match &record.data {
                RData::CNAME(to) if record.name == current => Some((to.0.clone(), record.ttl)),
                _ => None,
            });
            let Some((to, ttl)) = step else { return (chain, current, false) };
            chain.push(Alias { from: text(&current), to: text(&to), ttl });
            if seen.contains(&to) || chain.len() >= limits::CNAME_CHAIN {
                return (chain, to, true);
            }
            seen.push(to.clone());
            current = to;
        }
    }
}

fn text(name: &Name) -> String {
    let ascii = name.to_ascii().to_ascii_lowercase();
    printable(ascii.strip_suffix('.').unwrap_or(&ascii))
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::op::{MessageType, OpCode};
    use hickory_resolver::proto::rr::Record;
    use hickory_resolver::proto::rr::rdata::{A, CNAME};
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Name {
        let mut name = Name::from_ascii(text).unwrap();
        name.set_fqdn(true);
        name
    }

    fn cname(from: &str, to: &str) -> Record {
        Record::from_rdata(name(from), 60, RData::CNAME(CNAME(name(to))))
    }

    fn reply(question: &Question, records: Vec<Record>) -> Vec<u8> {
        let mut message = Message::new(question.id, MessageType::Response, OpCode::Query);
        message.add_query(Query::query(question.name.clone(), question.record_type));
        message.add_answers(records);
        message.to_vec().unwrap()
    }

    fn answered(records: Vec<Record>) -> Answer {
        let question = Question::new("a.example", Family::V4, true).unwrap();
        match question.read(&reply(&question, records)) {
            Reply::Answer(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_chain_is_followed_in_any_order() {
        let address = Record::from_rdata(name("c.example"), 30, RData::A(A([10, 0, 0, 4].into())));
        let answer = answered(vec![
            address,
            cname("b.example", "c.example"),
            cname("a.example", "B.example"),
        ]);
        let names: Vec<&str> = answer.chain.iter().map(|alias| alias.to.as_str()).collect();
        assert_eq!(names, ["b.example", "c.example"]);
        assert_eq!(answer.addresses.len(), 1);
        assert!(!answer.chain_loops);
    }

    #[test]
    fn loops_and_endless_chains_end() {
        let circle =
            answered(vec![cname("a.example", "b.example"), cname("b.example", "a.example")]);
        assert!(circle.chain_loops);
        let mut records = vec![cname("a.example", "n0.example")];
        records.extend(
            (0..64).map(|n| cname(&format!("n{n}.example"), &format!("n{}.example", n + 1))),
        );
        let long = answered(records);
        assert!(long.chain_loops);
        assert_eq!(long.chain.len(), limits::CNAME_CHAIN);
    }

    #[test]
    fn five_hundred_addresses_are_bounded() {
        let records = (0..500u16).map(|n| {
            let [high, low] = n.to_be_bytes();
            Record::from_rdata(name("a.example"), 30, RData::A(A([10, 0, high, low].into())))
        });
        assert_eq!(answered(records.collect()).addresses.len(), limits::ADDRESSES_PER_ANSWER);
    }

    #[test]
    fn answers_to_other_questions_are_strangers() {
        let question = Question::new("a.example", Family::V4, true).unwrap();
        let mut other = Question::new("b.example", Family::V4, true).unwrap();
        assert_eq!(question.read(&reply(&other, vec![])), Reply::Stranger);
        other.id = question.id;
        assert_eq!(question.read(&reply(&other, vec![])), Reply::Stranger);
        let mut id_only = question.id.to_be_bytes().to_vec();
        id_only.extend([0xff; 20]);
        assert!(matches!(
            question.read(&id_only),
            Reply::Malformed(_) | Reply::Stranger | Reply::NoEdns
        ));
    }

    #[test]
    fn errors_may_lack_the_question() {
        let question = Question::new("a.example", Family::V4, true).unwrap();
        let mut bare = Message::new(question.id, MessageType::Response, OpCode::Query);
        bare.metadata.response_code = ResponseCode::Refused;
        let read = question.read(&bare.to_vec().unwrap());
        assert!(
            matches!(&read, Reply::Answer(answer) if answer.rcode == Rcode::Refused),
            "{read:?}"
        );
        bare.metadata.response_code = ResponseCode::NoError;
        assert_eq!(question.read(&bare.to_vec().unwrap()), Reply::Stranger);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(tail in proptest::collection::vec(any::<u8>(), 0..600)) {
            let question = Question::new("a.example", Family::V6, true).unwrap();
            let mut bytes = question.id.to_be_bytes().to_vec();
            bytes.extend(tail);
            let _ = question.read(&bytes);
        }
    }
}
