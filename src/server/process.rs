//! What the system says of this process, for `process_*` metrics. Linux has it in `/proc`; elsewhere
//! there is nothing to say.
#![expect(clippy::disallowed_methods, reason = "this edge reads /proc")]

use std::fs;

use tokio::runtime::Handle;

use crate::render::metrics::Process;

/// Clock ticks a second in what `/proc` shows (`USER_HZ`, the same on every Linux).
const TICKS: f64 = 100.0;
/// Fields of `/proc/self/stat` after the name in parentheses, of which the first is number 3 of proc(5).
const CPU_USER: usize = 14 - 3;
const CPU_SYSTEM: usize = 15 - 3;
const STARTED: usize = 22 - 3;
const VIRTUAL: usize = 23 - 3;

/// This process now; nothing where the system does not say.
pub(crate) fn now(tasks: usize) -> Option<Process> {
    let read = |path: &str| fs::read_to_string(path).ok();
    let process = parse(
        &read("/proc/self/stat")?,
        &read("/proc/self/status")?,
        &read("/proc/self/limits")?,
        &read("/proc/stat")?,
    )?;
    // One of them is the listing itself.
    let open = fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1);
    Some(Process { open_fds: open as f64, tasks: tasks as f64, ..process })
}

/// Tasks that are alive here and where probes run.
pub(crate) fn tasks(probing: Option<&Handle>) -> usize {
    let count = |runtime: &Handle| runtime.metrics().num_alive_tasks();
    Handle::try_current().as_ref().map_or(0, count) + probing.map_or(0, count)
}

fn parse(stat: &str, status: &str, limits: &str, system: &str) -> Option<Process> {
    // A name may contain anything, a parenthesis too.
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let field = |number: usize| fields.get(number)?.parse::<f64>().ok();
    let kib = word_after(status, "VmRSS:")?;
    let booted = word_after(system, "btime ")?;
    // "unlimited" is infinitely many.
    let max_fds = word_after(limits, "Max open files ").unwrap_or(f64::INFINITY);
    Some(Process {
        cpu_seconds: (field(CPU_USER)? + field(CPU_SYSTEM)?) / TICKS,
        resident_bytes: kib * 1024.0,
        virtual_bytes: field(VIRTUAL)?,
        open_fds: 0.0,
        tasks: 0.0,
        max_fds,
        started_at: booted + field(STARTED)? / TICKS,
    })
}

/// The number after a word that begins a line.
fn word_after(text: &str, start: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(start))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_is_understood() {
        let stat =
            "42 (odd ) name) S 1 42 42 0 -1 4194560 500 0 0 0 150 50 0 0 20 0 3 0 1000 9000 55";
        let status = "Name:\tx\nVmSize:\t    8 kB\nVmRSS:\t    12 kB\n";
        let limits = "Limit   Soft Limit  Hard Limit  Units\nMax open files            1024   4096   files\n";
        let process = parse(stat, status, limits, "cpu 1 2\nbtime 1700000000\n");
        let expected = Process {
            cpu_seconds: 2.0,
            resident_bytes: 12_288.0,
            virtual_bytes: 9_000.0,
            open_fds: 0.0,
            tasks: 0.0,
            max_fds: 1_024.0,
            started_at: 1_700_000_010.0,
        };
        assert_eq!(process, Some(expected));
        let unlimited = "Max open files            unlimited   unlimited   files\n";
        let process = parse(stat, status, unlimited, "btime 1\n");
        assert_eq!(process.map(|process| process.max_fds), Some(f64::INFINITY));
        assert_eq!(parse("", status, limits, "btime 1\n"), None);
        assert_eq!(parse("1 (x) S", status, limits, "btime 1\n"), None);
    }
}
