//! `check` of the whole Government catalog: all is well, and no packet is ever answered.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::figures::world::{self, Shape};
use crate::figures::{BINARY, Spread, met, top};
use crate::{Bench, write};

const RUNS: usize = 7;
/// Round trips of the slowest host, and what comes on top, in milliseconds.
const HEALTHY: (f64, f64) = (3.0, 50.0);
/// A namespace whose default route leads into a device that swallows every packet.
const SWALLOWING: &str = "ip link set lo up; ip link add hole type veth peer name far; \
     ip address add 10.255.0.2/24 dev hole; ip link set far up; ip link set hole up; \
     ip neighbor add 10.255.0.1 lladdr 02:00:00:00:00:01 dev hole; \
     ip route add default via 10.255.0.1; exec \"$0\" \"$@\"";

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
    let (names, connects) = thread::scope(|scope| {
        let names = scope.spawn(|| dropped_names(bench));
        let connects = dropped_connects(bench, checks);
        (names.join().expect("a figure"), connects)
    });
    format!(
        "`check` of the whole catalog ({checks} checks) in a healthy world on loopback ({passing} passed), \
         {RUNS} runs: {took:.0} ms, the slowest connect in it {trip:.2} ms. Target: three round trips of \
         the slowest host and 50 ms, here {limit:.0} ms: {}. Datagrams are answered in that world; where they are \
         not, a check of UDP takes the time that it is given to tell silence.\n\n\
         With every packet dropped, one run: {names} {connects}",
        met(took.median <= limit && passing == checks)
    )
}

/// No DNS server ever answers.
fn dropped_names(bench: &Bench) -> String {
    let text = config(&bench.ca, "1m").replace(world::DNS, "10.255.0.53");
    let config = bench.write("names.toml", &text);
    dropped("DNS is mute for the whole catalog", &config)
}

/// Every connect is dropped: the same number of TLS targets by address.
fn dropped_connects(bench: &Bench, checks: usize) -> String {
    let mut text = String::from(
        "[workspace]\ncloud = \"none\"\n[schedule]\ntimeout = { dns = \"2s\", connect = \"1s\", tls = \"4s\", http = \"4s\" }\n",
    );
    for n in 0..checks {
        let target = format!("tls://10.7.0.{n}:443");
        let _ = write!(text, "[[probe]]\nname = \"p{n}\"\ntarget = \"{target}\"\n");
    }
    let config = bench.write("connects.toml", &text);
    dropped(&format!("{checks} connects to addresses are dropped"), &config)
}

fn dropped(what: &str, config: &Path) -> String {
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", SWALLOWING, BINARY]);
    let (took, report) = check(command, config);
    let failing = report.checks.iter().filter(|check| check.status != "pass").count();
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
        "{what}: {took:.2} s ({failing} of {} do not pass). Target: one check's time budget and one \
         second, here {limit:.1} s: {}.",
        report.checks.len(),
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
