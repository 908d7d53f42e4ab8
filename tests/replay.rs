//! Recorded observations, judged again: one file in `tests/observations/` is what one check saw in
//! the lab or in the field, and what must be told of it.
//!
//! `scripts/record-observation` makes such files of a report; adding one adds no code.
#![expect(clippy::disallowed_methods, reason = "reads the recordings")]
#![expect(clippy::panic, reason = "a recording that cannot be read fails")]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use vnetprobe::cause::Cause;
use vnetprobe::check::{Check, Expectation, Target};
use vnetprobe::machine::{InterfaceAddress, Machine};
use vnetprobe::model::{Expect, Host, Kind, Layer, Proof, Service, Status};
use vnetprobe::observation::Observation;
use vnetprobe::parameters::NetworkFacts;
use vnetprobe::verdict::{Context, judge};

/// Enough of them that every world of the lab is here.
const RECORDINGS: usize = 30;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recording {
    /// Where it was seen, and what was told of it there.
    title: String,
    /// When the measurement ended.
    now: Timestamp,
    check: CheckPart,
    network: NetworkPart,
    machine: MachinePart,
    /// The report's evidence, as it stands there.
    observation: Value,
    expected: Expected,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckPart {
    host: Host,
    port: Option<u16>,
    kind: Kind,
    expect: Expect,
    proof: Proof,
    pattern: String,
    zone: Option<String>,
    public_service: bool,
    #[serde(default)]
    service: Option<Service>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NetworkPart {
    private_ranges: Vec<IpNet>,
    endpoint_subnets: Vec<IpNet>,
    endpoint_addresses: BTreeMap<String, Vec<IpAddr>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MachinePart {
    /// `docker0 172.17.0.1/16`: interfaces that matter to the judgement.
    interfaces: Vec<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    status: Status,
    cause: Option<Cause>,
    layer: Option<Layer>,
    culprit: Option<String>,
    warnings: Vec<Cause>,
}

impl Recording {
    fn check(&self) -> Check {
        let part = &self.check;
        let declared = self.network.endpoint_addresses.get(&part.host.to_string());
        Check {
            id: String::new(),
            requirement: String::new(),
            target: Arc::new(Target {
                host: part.host.clone(),
                port: part.port,
                kind: part.kind,
                path: "/".to_owned(),
            }),
            expectation: Expectation {
                expect: part.expect,
                zone: part.zone.clone(),
                declared: declared.cloned().unwrap_or_default(),
                subnets: Vec::new(),
            },
            proof: part.proof,
            pattern: part.pattern.clone(),
            scenarios: Vec::new(),
            required: true,
            public_service: part.public_service,
            service: part.service,
            service_tag: None,
            purpose: String::new(),
        }
    }

    fn network(&self) -> NetworkFacts {
        let addresses = self.network.endpoint_addresses.iter().map(|(host, ips)| {
            let host = Host::parse(host).unwrap_or_else(|error| panic!("{host}: {error}"));
            (host, ips.clone())
        });
        NetworkFacts {
            private_ranges: self.network.private_ranges.clone(),
            endpoint_subnets: self.network.endpoint_subnets.clone(),
            endpoint_addresses: addresses.collect(),
        }
    }

    fn machine(&self) -> Machine {
        let interface = |text: &String| {
            let parts = text.split_once(' ').and_then(|(name, net)| {
                Some(InterfaceAddress { interface: name.to_owned(), network: net.parse().ok()? })
            });
            parts.unwrap_or_else(|| panic!("`{text}` is not `INTERFACE ADDRESS/LENGTH`"))
        };
        let addresses = self.machine.interfaces.iter().map(interface).collect();
        Machine { addresses, ..Machine::default() }
    }

    fn told(&self, observation: &Observation) -> Expected {
        let (network, machine) = (self.network(), self.machine());
        let context = Context { network: &network, machine: &machine, now: self.now };
        let verdict = judge(&self.check(), context, observation);
        Expected {
            status: verdict.status,
            cause: verdict.cause,
            layer: verdict.layer,
            culprit: verdict.culprit.map(|culprit| culprit.to_string()),
            warnings: verdict.warnings.iter().map(|warning| warning.cause).collect(),
        }
    }
}

fn recordings() -> Vec<(String, Recording)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/observations");
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let mut found: Vec<_> = entries
        .map(|entry| {
            let path = entry.unwrap_or_else(|error| panic!("{folder}: {error}")).path();
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
            let read = serde_json::from_slice(&text);
            (name.clone(), read.unwrap_or_else(|error| panic!("{name}: {error}")))
        })
        .collect();
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    found
}

fn seen(name: &str, recording: &Recording) -> Observation {
    serde_json::from_value(recording.observation.clone())
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn every_recording_is_judged_as_it_says() {
    let wrong: Vec<String> = recordings()
        .iter()
        .filter_map(|(name, recording)| {
            let told = recording.told(&seen(name, recording));
            let differs = || {
                let expected = &recording.expected;
                format!(
                    "{name} ({})\n  expected {expected:?}\n  told     {told:?}",
                    recording.title
                )
            };
            (told != recording.expected).then(differs)
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether all of `part` is in `whole`, which may have more keys: types grow, recordings do not.
fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(key, part)| whole.get(key).is_some_and(|whole| contains(whole, part)))
        }
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len() && whole.iter().zip(part).all(|(w, p)| contains(w, p))
        }
        _ => whole == part,
    }
}

#[test]
fn a_recording_loses_nothing_on_the_way() {
    for (name, recording) in recordings() {
        let seen = seen(&name, &recording);
        let written = serde_json::to_value(&seen).unwrap_or_default();
        // What the evidence has and the types do not would vanish here without a word.
        assert!(contains(&written, &recording.observation), "{name}");
        assert_eq!(serde_json::from_value::<Observation>(written).ok(), Some(seen), "{name}");
    }
}

#[test]
fn there_is_a_recording_of_every_kind_of_trouble() {
    let all = recordings();
    assert!(all.len() >= RECORDINGS, "only {} recordings", all.len());
    for status in [Status::Pass, Status::Fail, Status::Unknown] {
        assert!(all.iter().any(|(_, recording)| recording.expected.status == status), "{status}");
    }
}
