//! Any observation, as its JSON, is judged for a check of any kind and shown in every form.
#![no_main]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use vnetprobe::check::{Check, Expectation, Target};
use vnetprobe::history::{History, Outcome, Setting};
use vnetprobe::machine::{InterfaceAddress, Machine};
use vnetprobe::model::{Cloud, Expect, Host, Kind, Proof, Status, Vantage};
use vnetprobe::observation::Observation;
use vnetprobe::parameters::NetworkFacts;
use vnetprobe::plan::Plan;
use vnetprobe::render::layout::Layout;
use vnetprobe::render::{junit, markdown, metrics, page, table};
use vnetprobe::snapshot::Snapshot;
use vnetprobe::wire;
use vnetprobe_fuzz::assert_plain;

const HOSTS: [&str; 4] =
    ["mlstore.blob.core.usgovcloudapi.net", "graph.microsoft.us", "172.16.0.7", "fd00::7"];

fn check(choice: u8) -> Check {
    let choice = usize::from(choice);
    let kind = Kind::ALL[choice % Kind::ALL.len()];
    let host = HOSTS[choice / 8 % HOSTS.len()];
    let expect = Expect::ALL[choice / 32 % Expect::ALL.len()];
    Check {
        id: "row@host".to_owned(),
        requirement: "row".to_owned(),
        target: Arc::new(Target {
            host: Host::parse(host).expect("a host"),
            port: (kind != Kind::Dns).then_some(443),
            kind,
            path: "/".to_owned(),
        }),
        expectation: Expectation {
            expect,
            zone: Some("privatelink.blob.core.usgovcloudapi.net".to_owned()),
            declared: Vec::new(),
            subnets: Vec::new(),
        },
        proof: if choice >= 128 { Proof::Exact } else { Proof::Representative },
        pattern: "*.core.usgovcloudapi.net".to_owned(),
        scenarios: Vec::new(),
        required: true,
        public_service: choice % 2 == 0,
        service: None,
        service_tag: None,
        purpose: String::new(),
    }
}

fn snapshot(check: Check, seen: Observation) -> Snapshot {
    let networks = |texts: &[&str]| texts.iter().filter_map(|net| net.parse().ok()).collect();
    let check = Arc::new(check);
    let plan = Plan {
        workspace: String::new(),
        vantage: Vantage::Any,
        cloud: Cloud::UsGovernment,
        catalog_date: "2026-11-01".to_owned(),
        region: "usgovvirginia".to_owned(),
        scenarios: Vec::new(),
        requirements: Vec::new(),
        targets: vec![Arc::clone(&check.target)],
        checks: vec![check],
    };
    let bridge = InterfaceAddress {
        interface: "docker0".to_owned(),
        network: "172.17.0.1/16".parse().expect("a network"),
    };
    let setting = Setting {
        plan: Arc::new(plan),
        network: Arc::new(NetworkFacts {
            private_ranges: networks(&["10.0.0.0/8", "172.16.0.0/12", "fc00::/7"]),
            endpoint_subnets: networks(&["172.16.0.0/24"]),
            endpoint_addresses: BTreeMap::new(),
        }),
        machine: Arc::new(Machine { addresses: vec![bridge], ..Machine::default() }),
        interval: None,
        budget: Duration::from_secs(16),
    };
    let now = Timestamp::from_second(1_793_534_400).expect("a time");
    let mut history = History::new(setting, vnetprobe::journal::Past::default(), now);
    history.fold(0, &Outcome::Observed(Arc::new(seen)), now);
    history.snapshot(now, 0, 0)
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, json)) = data.split_first() else { return };
    let Ok(seen) = serde_json::from_slice::<Observation>(json) else { return };
    // Seconds are kept to the microsecond, so the first writing rounds and the second must not.
    let text = serde_json::to_string(&seen).expect("an observation is JSON");
    let read: Observation = serde_json::from_str(&text).expect("its JSON is an observation");
    assert_eq!(serde_json::to_string(&read).expect("an observation is JSON"), text);

    let snapshot = snapshot(check(*choice), read);
    let verdict = snapshot.checks[0].verdict.as_ref().expect("it was measured");
    assert_eq!(verdict.cause.is_none(), verdict.status == Status::Pass);
    let wide = Layout { width: 120, color: false };
    let narrow = Layout { width: 0, color: false };
    for (name, text) in [
        ("table", table::report(&snapshot, wide, table::Detail::Verbose)),
        ("narrow table", table::report(&snapshot, narrow, table::Detail::Verbose)),
        ("markdown", markdown::report(&snapshot)),
        ("junit", junit::report(&snapshot)),
        ("metrics", metrics::text(&snapshot)),
        ("report", wire::report_json(&snapshot)),
        ("page", page::overview(&snapshot).replace(page::SCRIPT, "")),
        (
            "page of the check",
            page::check(&snapshot, "row@host").expect("a page").replace(page::SCRIPT, ""),
        ),
    ] {
        assert_plain(name, &text);
        if name.starts_with("page") {
            assert_eq!(text.matches("<script").count(), 1, "{name} has a script besides our own");
        }
    }
});
