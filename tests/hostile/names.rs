//! DNS servers of bad will.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use vnetprobe::cause::Cause;
use vnetprobe::limits;
use vnetprobe::model::Kind;
use vnetprobe::observation::Answer;

use crate::{Patience, Told, probe};

const HEADER: usize = 12;
/// A reference to the name in the question.
const ASKED: [u8; 2] = [0xc0, 0x0c];
const TYPE_A: [u8; 2] = [0, 1];
const TYPE_CNAME: [u8; 2] = [0, 5];

/// A question as it came.
struct Asked<'a> {
    message: &'a [u8],
    /// The end of the question section.
    end: usize,
}

impl<'a> Asked<'a> {
    fn read(message: &'a [u8]) -> Self {
        let name = message[HEADER..].iter().position(|byte| *byte == 0).unwrap() + 1;
        Self { message, end: HEADER + name + 4 }
    }

    fn wants_v4(&self) -> bool {
        self.message[self.end - 4..self.end - 2] == TYPE_A
    }

    /// A response with these records in its answer section.
    fn response(&self, flags: [u8; 2], records: &[Vec<u8>]) -> Vec<u8> {
        let mut out = self.message[..2].to_vec();
        let count = u16::try_from(records.len()).unwrap().to_be_bytes();
        out.extend(flags);
        out.extend([0, 1, count[0], count[1], 0, 0, 0, 0]);
        out.extend(&self.message[HEADER..self.end]);
        out.extend(records.concat());
        out
    }

    /// A good one.
    fn answer(&self, records: &[Vec<u8>]) -> Vec<u8> {
        self.response([0x81, 0x80], records)
    }
}

fn record(name: &[u8], kind: [u8; 2], data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap().to_be_bytes();
    [name, &kind, &[0, 1, 0, 0, 0, 60], &length, data].concat()
}

fn label(text: &str) -> Vec<u8> {
    let mut out = vec![u8::try_from(text.len()).unwrap()];
    out.extend(text.bytes());
    out.push(0);
    out
}

/// A server that sends these messages for every question.
async fn server<R>(reply: R) -> SocketAddr
where
    R: Fn(&Asked<'_>) -> Vec<Vec<u8>> + Send + 'static,
{
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut bytes = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut bytes).await {
            for message in reply(&Asked::read(&bytes[..length])) {
                let _ = socket.send_to(&message, from).await;
            }
        }
    });
    address
}

async fn ask(server: SocketAddr, patience: Patience) -> Told {
    probe(Kind::Dns, 0, patience, &[server]).await
}

fn v4(told: &Told) -> &Answer {
    told.seen.dns.as_ref().unwrap().servers[0].a.answer().unwrap()
}

fn loopback() -> Vec<u8> {
    record(&ASKED, TYPE_A, &[127, 0, 0, 1])
}

#[tokio::test]
async fn an_alias_chain_of_sixty_four() {
    let address =
        server(|asked| {
            let mut records = vec![record(&ASKED, TYPE_CNAME, &label("n0"))];
            records.extend((0..64).map(|n| {
                record(&label(&format!("n{n}")), TYPE_CNAME, &label(&format!("n{}", n + 1)))
            }));
            records.push(record(&label("n64"), TYPE_A, &[127, 0, 0, 1]));
            vec![asked.answer(&records)]
        })
        .await;
    let told = ask(address, Patience::Long).await;
    told.fails_with(Cause::DnsCnameLoop);
    assert_eq!(v4(&told).chain.len(), limits::CNAME_CHAIN);
}

#[tokio::test]
async fn aliases_full_of_markup() {
    let evil = "<script>\u{1b}[31m\u{202e}\u{9b}2J";
    let address =
        server(move |asked| vec![asked.answer(&[record(&ASKED, TYPE_CNAME, &label(evil))])]).await;
    ask(address, Patience::Long).await.fails_with(Cause::DnsCnameDangling);
}

#[tokio::test]
async fn five_hundred_addresses() {
    let address = server(|asked| {
        let records: Vec<_> = (0..500_u16)
            .filter(|_| asked.wants_v4())
            .map(|n| {
                let [high, low] = n.to_be_bytes();
                record(&ASKED, TYPE_A, &[127, 9, high, low])
            })
            .collect();
        vec![asked.answer(&records)]
    })
    .await;
    let refusing = {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let told = probe(Kind::Tcp, refusing, Patience::Long, &[address]).await;
    told.fails_with(Cause::TcpRefused);
    assert_eq!(v4(&told).addresses.len(), limits::ADDRESSES_PER_ANSWER);
    assert_eq!(told.seen.climbs.len(), limits::ADDRESSES_PER_CHECK);
    let rest = limits::ADDRESSES_PER_ANSWER - limits::ADDRESSES_PER_CHECK;
    assert_eq!(told.seen.addresses_not_tried, rest);
}

#[tokio::test]
async fn names_that_point_at_themselves() {
    let address = server(|asked| {
        let here = u8::try_from(asked.end).unwrap();
        let itself = record(&[0xc0, here], TYPE_A, &[127, 0, 0, 1]);
        vec![asked.answer(&[itself])]
    })
    .await;
    ask(address, Patience::Long).await.fails_with(Cause::DnsServfail);
    // Forward, beyond the end, and in the alias itself.
    for data in [[0xc0, 0xff], [0xff, 0xff]] {
        let address =
            server(move |asked| vec![asked.answer(&[record(&ASKED, TYPE_CNAME, &data)])]).await;
        ask(address, Patience::Long).await.fails_with(Cause::DnsServfail);
    }
}

#[tokio::test]
async fn garbage() {
    // With the right id it claims to be the answer; without, nobody answered.
    let with_id = |asked: &Asked<'_>| vec![[&asked.message[..2], &[0x99; 500][..]].concat()];
    ask(server(with_id).await, Patience::Long).await.fails_with(Cause::DnsServfail);
    let noise = |_: &Asked<'_>| vec![vec![0; 0], vec![7], vec![0x99; 40_000]];
    ask(server(noise).await, Patience::Short).await.fails_with(Cause::DnsTimeout);
    // Counts that promise more than there is.
    let short = |asked: &Asked<'_>| {
        let mut message = asked.answer(&[]);
        message[6..12].fill(0xff);
        vec![message]
    };
    ask(server(short).await, Patience::Long).await.fails_with(Cause::DnsServfail);
}

#[tokio::test]
async fn a_flood_of_strangers_before_the_answer() {
    let address = server(|asked| {
        let answer = asked.answer(&[loopback()]);
        let mut other_id = answer.clone();
        other_id[0] ^= 0x55;
        let mut other_name = answer.clone();
        other_name[HEADER + 1] = b'X';
        // Fewer than the smallest usual receive buffer holds, so that the answer is not lost.
        let mut flood: Vec<Vec<u8>> =
            (0..50).flat_map(|_| [other_id.clone(), other_name.clone()]).collect();
        flood.push(if asked.wants_v4() { answer } else { asked.answer(&[]) });
        flood
    })
    .await;
    let told = ask(address, Patience::Long).await;
    told.passes();
    assert_eq!(v4(&told).addresses.len(), 1);
}

#[tokio::test]
async fn a_stream_that_promises_and_does_not_give() {
    // UDP and TCP on one port: cut short over one, and then 65,535 bytes announced over the other.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let socket = Arc::new(UdpSocket::bind(address).await.unwrap());
    tokio::spawn(async move {
        let mut bytes = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut bytes).await {
            let cut = Asked::read(&bytes[..length]).response([0x83, 0x80], &[]);
            let _ = socket.send_to(&cut, from).await;
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.write_all(&[0xff, 0xff, 1, 2, 3]).await;
                let _ = stream.read_to_end(&mut Vec::new()).await;
            });
        }
    });
    ask(address, Patience::Short).await.fails_with(Cause::DnsTcpBlocked);
}
