//! Follow-ups on a failure in plain words, for every output.

use crate::limits;
use crate::model::printable;
use crate::observation::{
    ConnectFailure, ExchangeOutcome, Experiment, HandshakeEnd, HttpOutcome, Observation,
    SilenceEnd, TlsFailure, Trial,
};

use super::page::phrases;

/// One follow-up.
pub(super) struct Told {
    /// Where: an address or a server.
    pub(super) place: String,
    /// What was tried.
    pub(super) what: String,
    /// What came of it.
    pub(super) outcome: String,
    /// It got an answer.
    pub(super) answered: bool,
}

/// One follow-up in words.
pub(super) fn told(experiment: &Experiment) -> Told {
    let (place, what, (answered, outcome)) = match &experiment.trial {
        Trial::OtherName { ip, name, outcome } => {
            (ip.to_string(), format!("TLS with the name {name}"), handshake(outcome))
        }
        Trial::SilentWait { ip, outcome } => {
            (ip.to_string(), "connecting and saying nothing".to_owned(), silence(outcome))
        }
        Trial::SmallSegments { ip, outcome } => {
            (ip.to_string(), "TLS with small TCP segments".to_owned(), handshake(outcome))
        }
        Trial::SmallGreeting { ip, outcome } => {
            let what = "a TLS greeting that any server refuses".to_owned();
            (ip.to_string(), what, greeting(outcome))
        }
        Trial::LargeGreeting { ip, outcome } => {
            let size = limits::LARGE_GREETING;
            let what = format!("the same greeting, padded to {size} bytes");
            (ip.to_string(), what, greeting(outcome))
        }
        Trial::ClearText { ip, outcome } => {
            (ip.to_string(), "plain HTTP on the TLS port".to_owned(), clear(outcome))
        }
        Trial::DnsOverTcp { server, outcome } => {
            (server.to_string(), "the question over TCP".to_owned(), question(outcome))
        }
    };
    Told { place, what, outcome, answered }
}

/// How old results are that an earlier probe made.
pub(super) fn age(observation: &Observation) -> Option<String> {
    let age = observation.experiments_age?;
    Some(format!("made {:.0} s before this probe and not repeated so soon", age.seconds()))
}

fn not_connected(failure: &ConnectFailure) -> (bool, String) {
    (false, format!("no connection: {}", phrases::connect(failure)))
}

fn handshake(end: &HandshakeEnd) -> (bool, String) {
    match end {
        HandshakeEnd::Completed(Some(subject)) => {
            (true, format!("completed, certificate {}", printable(subject)))
        }
        HandshakeEnd::Completed(None) => (true, "completed".to_owned()),
        HandshakeEnd::Failed(failure) => (end.got_through(), phrases::tls_failure(failure)),
        HandshakeEnd::NotConnected(failure) => not_connected(failure),
    }
}

/// To be refused is all that such a greeting asks for.
fn greeting(end: &HandshakeEnd) -> (bool, String) {
    match end {
        HandshakeEnd::Failed(TlsFailure::Timeout) => (false, "no answer".to_owned()),
        HandshakeEnd::NotConnected(_) => handshake(end),
        HandshakeEnd::Completed(_) | HandshakeEnd::Failed(_) => (true, handshake(end).1),
    }
}

fn silence(end: &SilenceEnd) -> (bool, String) {
    match end {
        SilenceEnd::Waited => (true, "the other side waited for a word from here".to_owned()),
        SilenceEnd::Closed => (false, "the other side closed all the same".to_owned()),
        SilenceEnd::Spoke(bytes) => {
            (true, format!("the other side spoke first: “{}”", printable(bytes)))
        }
        SilenceEnd::NotConnected(failure) => not_connected(failure),
    }
}

fn clear(outcome: &HttpOutcome) -> (bool, String) {
    match outcome {
        HttpOutcome::Answer { body, .. } if !body.trim().is_empty() => {
            (true, format!("{}: “{}”", phrases::http(outcome), printable(body.trim())))
        }
        HttpOutcome::Answer { .. } => (true, phrases::http(outcome)),
        _ => (false, phrases::http(outcome)),
    }
}

fn question(outcome: &ExchangeOutcome) -> (bool, String) {
    match outcome {
        ExchangeOutcome::Answer(answer) => {
            let mut words = vec![phrases::rcode(answer.rcode)];
            words.extend(answer.addresses.iter().map(|record| record.ip.to_string()));
            (true, words.join(" "))
        }
        ExchangeOutcome::Failed(crate::observation::DnsFailure::TcpFailed(failure)) => {
            not_connected(failure)
        }
        ExchangeOutcome::Failed(failure) => (false, phrases::dns_failure(failure)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Elapsed, Host};
    use crate::observation::DnsFailure;

    fn line(trial: Trial) -> String {
        let told = told(&Experiment { elapsed: Elapsed::default(), trial });
        let mark = if told.answered { "+" } else { "-" };
        format!("{mark} {}: {}: {}", told.place, told.what, told.outcome)
    }

    #[test]
    fn every_trial_in_plain_words() {
        let ip = "20.140.2.1".parse().unwrap();
        let name = Host::Name("mcr.microsoft.com".to_owned());
        let completed = HandshakeEnd::Completed(Some("CN=a\u{1b}[31m".to_owned()));
        let answer = HttpOutcome::Answer {
            status: 470,
            headers: Vec::new(),
            body: "Action: Deny\n".to_owned(),
        };
        let alert = TlsFailure::Alert { code: 40, name: "handshake_failure".to_owned() };
        let server = "10.0.0.4:53".parse().unwrap();
        let refused = DnsFailure::TcpFailed(ConnectFailure::Timeout);
        for (trial, expected) in [
            (
                Trial::OtherName { ip, name, outcome: completed },
                "+ 20.140.2.1: TLS with the name mcr.microsoft.com: completed, certificate CN=a\u{fffd}[31m",
            ),
            (
                Trial::SmallSegments { ip, outcome: HandshakeEnd::Failed(TlsFailure::Timeout) },
                "- 20.140.2.1: TLS with small TCP segments: ",
            ),
            (
                Trial::SmallGreeting { ip, outcome: HandshakeEnd::Failed(alert) },
                "+ 20.140.2.1: a TLS greeting that any server refuses: ",
            ),
            (
                Trial::LargeGreeting { ip, outcome: HandshakeEnd::Failed(TlsFailure::Timeout) },
                "- 20.140.2.1: the same greeting, padded to 2000 bytes: no answer",
            ),
            (
                Trial::SilentWait { ip, outcome: SilenceEnd::Waited },
                "+ 20.140.2.1: connecting and saying nothing: the other side waited for a word from here",
            ),
            (
                Trial::ClearText { ip, outcome: answer },
                "+ 20.140.2.1: plain HTTP on the TLS port: status 470: “Action: Deny”",
            ),
            (
                Trial::DnsOverTcp { server, outcome: ExchangeOutcome::Failed(refused) },
                "- 10.0.0.4:53: the question over TCP: no connection: ",
            ),
        ] {
            let told = line(trial);
            assert!(told.starts_with(expected), "{told}");
            assert!(!told.ends_with(": "), "{told}");
        }
    }
}
