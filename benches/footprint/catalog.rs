//! `check` of the whole Government catalog: all is well, and no packet is ever answered.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::figures::world::{self, Shape};
use crate::figures::{BINARY, Spread, met, top};
use crate::{Bench, write};

const RUNS: usize = 7;
/// Round trips of the slowest host, and what comes on top, in milliseconds.
const HEALTHY: (f64, f64) = (3.0, 50.0);
/// A gateway that has a neighbor entry, so that nothing is asked of it, behind a device that swallows
/// every packet.
const HOLE: &str = "ip link add hole type veth peer name far && \
     ip address add 10.255.0.2/24 dev hole && ip link set far up && ip link set hole up && \
     ip neighbor add 10.255.0.1 lladdr 02:00:00:00:00:01 dev hole && \
     ip route add 10.9.0.0/24 via 10.255.0.1";
/// A DNS server behind it.
const MUTE: &str = "10.9.0.53";

/// `vnetprobe plan --format json`.
#[derive(Debug, Deserialize)]
pub(crate) struct Plan {
    requirements: Vec<Requirement>,
}

#[derive(Debug, Deserialize)]
struct Requirement {
    checks: Vec<Check>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Check {
    host: String,
    port: Option<u16>,
    kind: String,
    expect: String,
}

impl Plan {
    pub(crate) fn checks(&self) -> impl Iterator<Item = &Check> {
        self.requirements.iter().flat_map(|requirement| &requirement.checks)
    }

    fn ports(&self, kinds: &[&str]) -> BTreeSet<u16> {
        let of_kind = self.checks().filter(|check| kinds.contains(&check.kind.as_str()));
        of_kind.filter_map(|check| check.port).collect()
    }
}

/// The fully described workspace of the lab.
pub(crate) fn config(ca: &Path, interval: &str) -> String {
    let text = fs::read_to_string(top().join("tests/lab/workspace.toml"));
    let text = text.expect("the lab is there").replace("{ca}", &ca.to_string_lossy());
    let text = text.replace("[schedule]", &format!("[schedule]\ninterval = \"{interval}\""));
    format!("{text}\n[dns]\nservers = [\"{}\"]\nreference = \"\"\n", world::DNS)
}

/// What would be checked in that workspace.
pub(crate) fn plan(folder: &Path) -> Plan {
    // Files of roots are read for checks only.
    let config = write(folder, "plan.toml", &config(&folder.join("root.pem"), "1m"));
    let mut command = Command::new(BINARY);
    command.args(["plan", "--format", "json", "--config"]).arg(config);
    let output = command.output().expect("the binary runs");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
    })
}

/// A healthy world for it.
pub(crate) fn shape(plan: &Plan) -> Shape {
    let names = plan.checks().map(|check| (check.host.as_str(), check.expect == "private"));
    Shape {
        names: world::addresses(names),
        tls: plan.ports(&["tls", "https", "websocket"]),
        http: plan.ports(&["http", "tcp"]),
        smb: plan.ports(&["smb"]),
        // They answer: a silence says nothing, and says it only when the time for it is over.
        udp: plan.ports(&["udp"]).into_iter().map(|port| (port, true)).collect(),
    }
}

#[derive(Debug, Deserialize)]
struct Report {
    checks: Vec<CheckReport>,
}

#[derive(Debug, Deserialize)]
struct CheckReport {
    id: String,
    status: String,
    cause: Option<String>,
    #[serde(default)]
    phases: BTreeMap<String, Option<f64>>,
}

pub(crate) fn measure(bench: &Bench, plan: &Plan) -> String {
    let well = config(&bench.ca, "1m");
    let config = bench.write("healthy.toml", &well);
    let (mut times, mut trips, mut passing) = (Vec::new(), Vec::new(), 0);
    for _ in 0..RUNS {
        let (took, report) = check(Command::new(BINARY), &config);
        times.push(took.as_secs_f64() * 1e3);
        passing = report.checks.iter().filter(|check| check.status == "pass").count();
        for odd in report.checks.iter().filter(|check| check.status != "pass") {
            println!("{} is {}", odd.id, odd.status);
        }
        let tcp = report.checks.iter().filter_map(|check| *check.phases.get("connect")?);
        trips.push(tcp.fold(0.0, f64::max));
    }
    let [took, trip] = [times, trips].map(|runs| Spread::of(&runs));
    let limit = HEALTHY.0 * trip.median + HEALTHY.1;
    let checks = plan.checks().count();
    world::run("sh", &["-c", HOLE]);
    let mute = bench.write("mute.toml", &well.replace(world::DNS, MUTE));
    let names = dropped("no DNS server answers", &mute, "dns_timeout");
    // Names resolve as before, and what they resolve to is behind the hole.
    for network in world::NETWORKS {
        world::run("ip", &["route", "del", "local", network, "dev", "lo"]);
        world::run("ip", &["route", "add", network, "via", "10.255.0.1"]);
    }
    let what = "names resolve and nothing else is answered";
    let connects = dropped(what, &config, "tcp_timeout");
    format!(
        "`check` of the whole catalog ({checks} checks) in a healthy world on loopback ({passing} passed), \
         {RUNS} runs: {took:.0} ms, the slowest connect in it {trip:.2} ms. Target: three round trips of \
         the slowest host and 50 ms, here {limit:.0} ms: {}. A round trip on loopback takes next to nothing, so this \
         is about the 50 ms alone. Datagrams are answered in that world; where they are \
         not, a check of UDP takes the time that it is given to tell silence.\n\n\
         With every packet dropped without a word, one run each of the whole catalog:\n\n- {names}\n- {connects}",
        met(took.median <= limit && passing == checks)
    )
}

/// One run, in which packets are dropped: most checks must say so, or something else was measured.
fn dropped(what: &str, config: &Path, silence: &str) -> String {
    let (took, report) = check(Command::new(BINARY), config);
    let mut causes: BTreeMap<String, usize> = BTreeMap::new();
    for check in report.checks {
        *causes.entry(check.cause.unwrap_or(check.status)).or_default() += 1;
    }
    let silent = causes.get(silence).copied().unwrap_or_default();
    assert!(silent * 2 > causes.values().sum(), "{what}, yet {causes:?}");
    let causes: Vec<String> =
        causes.iter().map(|(cause, count)| format!("{count} `{cause}`")).collect();
    let second = Duration::from_secs(1);
    // As tests/lab/workspace.toml says.
    let budget = vnetprobe::settings::Timeouts {
        dns: 2 * second,
        connect: second,
        tls: 4 * second,
        http: 4 * second,
    }
    .budget();
    let limit = (budget + second).as_secs_f64();
    let took = took.as_secs_f64();
    format!(
        "{what}: {took:.2} s ({}). Target: one check's time budget and one second, here {limit:.1} s: {}.",
        causes.join(", "),
        met(took <= limit)
    )
}

/// The time of a `check`, from exec to exit, and its report.
fn check(mut command: Command, config: &Path) -> (Duration, Report) {
    let start = Instant::now();
    let output = command.args(["check", "--format", "json", "--config"]).arg(config).output();
    let took = start.elapsed();
    let output = output.expect("the binary runs");
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
    });
    (took, report)
}
