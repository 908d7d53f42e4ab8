//! The configuration changes again and again, now and then to one that must be refused; what the
//! daemon made of each change must be in its metrics.

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::clients::ask;
use super::{Now, Paths, meanwhile, signal, sleep};

/// Time between changes.
const EVERY: Duration = Duration::from_secs(20);
/// How long a change may take to be seen.
pub(crate) const SEEN: Duration = Duration::from_secs(30);
/// A check that is there now and then.
const EXTRA: &str = "\n[[probe]]\nname = \"extra\"\ntarget = \"login.microsoftonline.us:443\"\n";
const BROKEN: &str = "[schedule]\ninterval = 7\n";

/// How often it was changed.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Good configurations that came into use.
    pub(crate) taken: usize,
    /// Bad ones that were refused, the old one being still in use.
    pub(crate) refused: usize,
    /// Changes that were never seen, and what was in use instead.
    pub(crate) unseen: Vec<String>,
}

/// What the daemon says of its configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
struct InUse {
    /// The last one was taken.
    taken: bool,
    extra: bool,
    checks: usize,
}

impl InUse {
    fn of_metrics(text: &str) -> Option<Self> {
        let name = "vnetprobe_config_last_reload_successful ";
        let checks = || text.lines().filter(|line| line.starts_with("vnetprobe_probe_success{"));
        Some(Self {
            taken: text.lines().find_map(|line| line.strip_prefix(name))? == "1",
            extra: checks().any(|line| line.contains("requirement=\"extra\"")),
            checks: checks().count(),
        })
    }
}

/// Changes it until told to stop.
pub(crate) fn keep_changing(
    paths: &Paths,
    process: u32,
    now: &Mutex<Now>,
    stop: &AtomicBool,
) -> Result<Changes> {
    let usual = InUse::of_metrics(&ask(&paths.socket, "/metrics")?).context("no metrics")?;
    ensure!(usual.taken && !usual.extra && usual.checks > 0, "it began with {usual:?}");
    let more = InUse { extra: true, checks: usual.checks + 1, ..usual };
    let turns = [
        (format!("{}{EXTRA}", paths.usual), more),
        (paths.usual.clone(), usual.clone()),
        (BROKEN.to_owned(), InUse { taken: false, ..usual }),
    ];
    let mut changes = Changes::default();
    for (turn, (text, expected)) in turns.iter().cycle().enumerate() {
        if !sleep(EVERY, stop) {
            break;
        }
        // As one step, so that no half of it is ever read.
        let next = paths.config.with_extension("next");
        fs::write(&next, text)?;
        fs::rename(&next, &paths.config)?;
        if turn % 2 == 0 {
            // Otherwise it notices by itself.
            signal(process, "HUP")?;
        }
        match instead(paths, expected, now, stop) {
            Some(_) if stop.load(Ordering::Relaxed) => break,
            Some(other) => changes.unseen.push(format!("{expected:?}, but {other}")),
            None if expected.taken => changes.taken += 1,
            None => changes.refused += 1,
        }
    }
    Ok(changes)
}

/// What is in use when what is expected was not seen in time; the pause does not count.
fn instead(paths: &Paths, expected: &InUse, now: &Mutex<Now>, stop: &AtomicBool) -> Option<String> {
    let mut began = Instant::now();
    loop {
        let (answer, then) = meanwhile(now, || ask(&paths.socket, "/metrics").ok());
        let seen = answer.and_then(|text| InUse::of_metrics(&text));
        if seen.as_ref() == Some(expected) {
            return None;
        }
        if then.paused {
            began = Instant::now();
        }
        if began.elapsed() > SEEN || !sleep(Duration::from_millis(250), stop) {
            return Some(seen.map_or("no answer".to_owned(), |seen| format!("{seen:?}")));
        }
    }
}
