//! A healthy network that loses a packet now and then must not be told to be broken.
//!
//! The long test runs in a process and a lab of its own, beside the worlds.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::daemon::Daemon;
use crate::lab::Lab;
use crate::world::{self, Place};
use crate::{enter, home};

/// The word that makes this program run the long test.
pub(crate) const QUIET: &str = "quiet-loss";
/// Rounds that must pass without a word.
const ROUNDS: u64 = 200;
/// How long they may take; what passed until then counts.
const LONGEST: Duration = Duration::from_secs(220);
/// One packet of a hundred is lost on the far side, each way.
const LOSS: &str = "add table inet loss\n\
    flush table inet loss\n\
    table inet loss {\n\
    counter lost { }\n\
    chain in { type filter hook prerouting priority raw; policy accept;\n\
    iifname eth0 numgen random mod 100 < 1 counter name lost drop\n}\n\
    chain out { type filter hook postrouting priority raw; policy accept;\n\
    oifname eth0 numgen random mod 100 < 1 counter name lost drop\n}\n\
    }\n";

/// Starts the long test beside this process.
pub(crate) fn start() -> Result<Child> {
    // It must not go on alone when this process is killed.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(std::env::current_exe()?);
    command.arg(QUIET).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().with_context(|| format!("starting {command:?}"))
}

/// Waits for it; gives what it said.
pub(crate) fn finish(child: Child) -> Result<String> {
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    ensure!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    Ok(said)
}

/// The long test itself; a sentence about what was measured.
pub(crate) fn run() -> Result<String> {
    let world = world::read(&home().join("quiet.toml"))?;
    let mut lab = Lab::up(&home())?;
    let plan = enter(&mut lab, &world)?;
    let config = lab.config(&world)?;
    let daemon = Daemon::ready(&lab, &config)?;
    // The first result of a check is published at once, so loss begins after the first round.
    let before = Published::of(&daemon)?;
    ensure!(before.findings == "[]", "before any loss there is a finding: {}", before.findings);
    lab.apply_rules(Place::Server, LOSS)?;
    let began = Instant::now();
    let last = loop {
        let now = Published::of(&daemon)?;
        ensure!(
            now.findings == "[]" && now.statuses == before.statuses,
            "a false alarm after {} rounds: {}\n{}",
            now.rounds - before.rounds,
            now.findings,
            now.changes(&before)
        );
        if now.rounds >= before.rounds + ROUNDS || began.elapsed() > LONGEST {
            break now;
        }
        // Shorter than a round and than anything published lasts.
        std::thread::sleep(Duration::from_millis(400));
    };
    let counter = lab.list_rules(Place::Server, "list counter inet loss lost")?;
    let dropped: u64 = counter
        .split_whitespace()
        .skip_while(|word| *word != "packets")
        .nth(1)
        .and_then(|count| count.parse().ok())
        .with_context(|| format!("no count in {counter}"))?;
    ensure!(dropped > 0, "no packet was lost");
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lab-quiet.prom");
    fs::write(&kept, daemon.get("/metrics")?)?;
    Ok(format!(
        "{} rounds of {} checks in {:.0} s, {dropped} packets lost, {} single measurements failed, no finding and no change",
        last.rounds - before.rounds,
        plan.checks().count(),
        began.elapsed().as_secs_f64(),
        last.failures - before.failures,
    ))
}

/// What the daemon tells the world.
struct Published {
    findings: String,
    /// `vnetprobe_probe_status` of every check.
    statuses: BTreeMap<String, String>,
    /// Measurements of the check that has the fewest.
    rounds: u64,
    /// Failed measurements of all checks.
    failures: u64,
}

impl Published {
    fn of(daemon: &Daemon<'_>) -> Result<Self> {
        let metrics = daemon.get("/metrics")?;
        let of = |name: &str| -> Vec<(String, String)> {
            let lines = metrics.lines().filter_map(|line| line.strip_prefix(name));
            lines
                .filter(|line| line.starts_with('{'))
                .filter_map(|line| line.rsplit_once(' '))
                .map(|(labels, value)| (labels.to_owned(), value.to_owned()))
                .collect()
        };
        let counts = |name: &str| -> Vec<u64> {
            of(name).iter().filter_map(|(_, value)| value.parse().ok()).collect()
        };
        Ok(Self {
            findings: daemon.get("/api/v1/findings")?.split_whitespace().collect(),
            statuses: of("vnetprobe_probe_status").into_iter().collect(),
            rounds: counts("vnetprobe_probe_attempts_total")
                .into_iter()
                .min()
                .context("no attempts")?,
            failures: counts("vnetprobe_probe_failures_total").into_iter().sum(),
        })
    }

    fn changes(&self, before: &Self) -> String {
        let changed =
            self.statuses.iter().filter(|(key, value)| before.statuses.get(*key) != Some(value));
        changed.map(|(key, value)| format!("{key} {value}")).collect::<Vec<_>>().join("\n")
    }
}
