//! What the benchmark programs share: a namespace of their own, the operating system's accounting,
//! medians with spread, and the document that they write.

#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    dead_code,
    reason = "programs that print figures, none of which uses every piece"
)]

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub(crate) mod daemon;
pub(crate) mod document;
pub(crate) mod world;

/// The program that is measured.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_vnetprobe");
/// Tells a benchmark that it is alone in its namespaces, and where and with what it began.
const ALONE: &str = "VNETPROBE_BENCH_ALONE";

/// Runs the calling program again in namespaces of its own, with loopback up, and says whether this
/// is that run. Its processes end with it, and it ends with the calling program, whatever ends that: they
/// share a process namespace whose first process ends with `unshare`, which ignores what a terminal sends.
pub(crate) fn alone() -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let me = std::env::current_exe().expect("this program has a path");
    let up = "mount --make-rprivate / && ip link set lo up && exec \"$0\" \"$@\"";
    let status = Command::new("setpriv")
        .args([
            "--pdeathsig",
            "KILL",
            "unshare",
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "sh",
            "-c",
            up,
        ])
        .arg(me)
        .args(std::env::args_os().skip(1))
        .env(ALONE, document::here_and_now())
        // What a benchmark leaves when it is ended does not litter the machine's folder.
        .env("TMPDIR", env!("CARGO_TARGET_TMPDIR"))
        .status()
        .expect("setpriv and unshare run (util-linux, iproute2, root)");
    assert!(status.success(), "{status}");
    false
}

/// Processor time a process has used, with all its threads, as the scheduler counted it.
pub(crate) fn processor_time(pid: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the process runs");
    let nanoseconds = tasks.map(|task| {
        // A thread may end meanwhile: what it used is then lost, so measured programs keep theirs.
        let path = task.expect("an entry").path().join("schedstat");
        let text = fs::read_to_string(path).unwrap_or_default();
        text.split_whitespace().next().and_then(|field| field.parse().ok()).unwrap_or(0_u64)
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// A line of `/proc/PID/status` in KiB: `VmRSS`, `VmHWM`.
pub(crate) fn status_kib(pid: u32, field: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).expect("a number of KiB")
}

/// The middle of several runs, and how far they were apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    /// The middle one, or the mean of the two in the middle.
    pub(crate) median: f64,
    /// The lowest.
    pub(crate) low: f64,
    /// The highest.
    pub(crate) high: f64,
}

impl Spread {
    /// Of at least one run.
    pub(crate) fn of(runs: &[f64]) -> Self {
        let mut sorted = runs.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (low, high) = (sorted.first().expect("a run"), sorted.last().expect("a run"));
        let middle = &sorted[(sorted.len() - 1) / 2..=sorted.len() / 2];
        let median = middle.iter().sum::<f64>() / middle.len() as f64;
        Self { median, low: *low, high: *high }
    }
}

/// `median (low–high)`, with as many digits as are asked for.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        let Self { median, low, high } = self;
        write!(f, "{median:.digits$} ({low:.digits$}–{high:.digits$})")
    }
}

/// The top folder of the project.
pub(crate) fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// How a target stands, by what was measured.
pub(crate) fn met(met: bool) -> &'static str {
    if met { "met" } else { "**missed**" }
}

/// A part of a program by its name.
pub(crate) type Part<'a> = (&'a str, &'a dyn Fn() -> String);

/// Runs all parts and returns what they found; with names of parts as arguments it only prints what
/// those found.
pub(crate) fn parts(parts: &[Part<'_>]) -> Option<Vec<String>> {
    let asked: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wanted = |name: &str| asked.is_empty() || asked.iter().any(|word| word == name);
    let found = parts.iter().filter(|(name, _)| wanted(name)).map(|(_, measure)| {
        let found = measure();
        if !asked.is_empty() {
            println!("{found}");
        }
        found
    });
    let found = found.collect();
    asked.is_empty().then_some(found)
}
