//! Strangers of bad will, end to end: real sockets on loopback, the live probe, the judgement and
//! every output. Each ends within its time and size with a true cause and nothing unescaped.
//!
//! Where time must not be what ends it, the probe has half a minute and the answer must not be a
//! timeout; where silence is the attack, it has a moment.
#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "the servers listen")]

#[path = "hostile/names.rs"]
mod names;
#[path = "loopback/pki.rs"]
#[expect(dead_code, reason = "shared with the tests of each probe")]
mod pki;
#[path = "hostile/sessions.rs"]
mod sessions;
#[path = "hostile/talk.rs"]
mod talk;
#[path = "loopback/world.rs"]
#[expect(dead_code, reason = "shared with the tests of each probe")]
mod world;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use vnetprobe::cause::Cause;
use vnetprobe::check::{Check, Expectation, Target};
use vnetprobe::engine::Prober;
use vnetprobe::history::{History, Outcome, Setting};
use vnetprobe::machine::Machine;
use vnetprobe::model::{Cloud, Expect, Host, Kind, Proof, Status, Vantage};
use vnetprobe::observation::Observation;
use vnetprobe::parameters::NetworkFacts;
use vnetprobe::plan::Plan;
use vnetprobe::probe::Live;
use vnetprobe::probe::dns::Servers;
use vnetprobe::probe::experiments::FollowUps;
use vnetprobe::probe::turns::Turns;
use vnetprobe::proxy::Routes;
use vnetprobe::render::layout::Layout;
use vnetprobe::render::{junit, markdown, metrics, page, table};
use vnetprobe::schedule::Repeat;
use vnetprobe::settings::Timeouts;
use vnetprobe::snapshot::Snapshot;
use vnetprobe::wire;

use crate::world::{BRIEF, PLENTY};

/// A name that may lead to loopback without being called a sinkhole.
const NAME: &str = "hostile.localhost";
/// More than any evidence of one check may take as JSON.
const EVIDENCE_BYTES: usize = 64 * 1024;
/// More than any output of one check may take.
const OUTPUT_BYTES: usize = 512 * 1024;

/// How long the probe waits in each phase.
#[derive(Clone, Copy)]
enum Patience {
    /// What ends is ended by a limit of size.
    Long,
    /// Silence is the attack.
    Short,
}

/// What was seen and told of one check.
struct Told {
    seen: Arc<Observation>,
    snapshot: Snapshot,
}

impl Told {
    fn status(&self) -> Status {
        self.snapshot.checks[0].status()
    }

    fn cause(&self) -> Option<Cause> {
        self.snapshot.checks[0].cause()
    }

    fn fails_with(&self, cause: Cause) {
        let summary = self.snapshot.checks[0].summary();
        assert_eq!((self.status(), self.cause()), (Status::Fail, Some(cause)), "{summary}");
    }

    fn passes(&self) {
        assert_eq!(self.status(), Status::Pass, "{}", self.snapshot.checks[0].summary());
    }
}

/// Whom the probe trusts, so that what a server does after a good handshake is reached as well.
fn authority() -> &'static pki::Authority {
    static AUTHORITY: OnceLock<pki::Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| pki::Authority::new("Hostile"))
}

fn live(patience: Patience, servers: &[SocketAddr]) -> Live {
    let limit = match patience {
        Patience::Long => PLENTY,
        Patience::Short => BRIEF,
    };
    // Without a DNS server the hosts file leads the name to loopback.
    let hosts_file = if servers.is_empty() {
        BTreeMap::from([(NAME.to_owned(), vec![IpAddr::V4(Ipv4Addr::LOCALHOST)])])
    } else {
        BTreeMap::new()
    };
    Live {
        servers: Servers { configured: servers.to_vec(), upstreams: Vec::new(), reference: None },
        hosts_file,
        network: Arc::new(network()),
        tls: pki::client(&[authority().pem()]),
        timeouts: Timeouts { dns: limit, connect: PLENTY, tls: limit, http: limit },
        follow_ups: FollowUps::new(Cloud::UsGovernment, Repeat::Once).into(),
        routes: Routes::default(),
        turns: Turns::default(),
    }
}

fn network() -> NetworkFacts {
    NetworkFacts::default()
}

/// Probes a port, judges, and holds every output to what must be true of all.
async fn probe(kind: Kind, port: u16, patience: Patience, servers: &[SocketAddr]) -> Told {
    let target = Target {
        host: Host::parse(NAME).unwrap(),
        port: (kind != Kind::Dns).then_some(port),
        kind,
        path: "/".to_owned(),
    };
    let live = live(patience, servers);
    let probing = live.probe(&target, false);
    // Far beyond every phase together: what runs into it never ends.
    let seen = tokio::time::timeout(PLENTY * 6, probing).await.unwrap();
    let evidence = serde_json::to_string(&seen).unwrap();
    assert!(evidence.len() < EVIDENCE_BYTES, "{} bytes of evidence", evidence.len());
    let seen = Arc::new(seen);
    let snapshot = judged(target, Arc::clone(&seen));
    for (name, text) in outputs(&snapshot) {
        assert_harmless(name, &text);
    }
    Told { seen, snapshot }
}

fn judged(target: Target, seen: Arc<Observation>) -> Snapshot {
    let target = Arc::new(target);
    let check = Check {
        id: "row@hostile".to_owned(),
        requirement: "row".to_owned(),
        target: Arc::clone(&target),
        expectation: Expectation {
            expect: Expect::Any,
            zone: None,
            declared: Vec::new(),
            subnets: Vec::new(),
        },
        proof: Proof::Exact,
        pattern: NAME.to_owned(),
        scenarios: Vec::new(),
        required: true,
        public_service: true,
        service: None,
        service_tag: None,
        purpose: String::new(),
    };
    let plan = Plan {
        workspace: String::new(),
        vantage: Vantage::Any,
        cloud: Cloud::None,
        catalog_date: String::new(),
        region: String::new(),
        scenarios: Vec::new(),
        requirements: Vec::new(),
        targets: vec![target],
        checks: vec![Arc::new(check)],
    };
    let setting = Setting {
        plan: Arc::new(plan),
        network: Arc::new(network()),
        machine: Arc::new(Machine::default()),
        interval: None,
        budget: Duration::from_secs(16),
    };
    let now = Timestamp::now();
    let mut history = History::new(setting, vnetprobe::journal::Past::default(), now);
    history.fold(0, &Outcome::Observed(seen), now);
    history.snapshot(now, 0, 0)
}

fn outputs(snapshot: &Snapshot) -> Vec<(&'static str, String)> {
    let layout = Layout { width: 100, color: false };
    vec![
        ("table", table::report(snapshot, layout, table::Detail::Verbose)),
        ("markdown", markdown::report(snapshot)),
        ("junit", junit::report(snapshot)),
        ("metrics", metrics::text(snapshot)),
        ("report", wire::report_json(snapshot)),
        ("page", without_own_script(&page::overview(snapshot))),
        ("page of the check", without_own_script(&page::check(snapshot, "row@hostile").unwrap())),
        ("page as a file", page::file(snapshot)),
    ]
}

/// A page without the one script that belongs there.
fn without_own_script(page: &str) -> String {
    let own = format!("<script>{}</script>", page::SCRIPT);
    assert_eq!(page.matches(&own).count(), 1);
    page.replace(&own, "")
}

fn assert_harmless(name: &str, text: &str) {
    assert!(text.len() < OUTPUT_BYTES, "{name} has {} bytes", text.len());
    let odd = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert!(!text.contains(odd), "{name} lets {:?} through", text.chars().find(|c| odd(*c)));
    let marked_up = match name {
        "page" | "page of the check" | "page as a file" | "junit" => text.to_owned(),
        // Between fences Markdown shows what it finds.
        "markdown" => text.split("```").step_by(2).collect(),
        _ => String::new(),
    };
    assert!(!marked_up.to_lowercase().contains("<script"), "{name} has a script in it");
    if name == "report" {
        assert!(serde_json::from_str::<serde_json::Value>(text).is_ok());
    }
}
