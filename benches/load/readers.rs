//! How late checks start while 500 clients read, each again as soon as it was answered.

use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::figures::daemon::{Daemon, get};
use crate::figures::{processor_time, world};
use crate::schedule::Lateness;
use crate::{ALONE_ON_ONE, Bench};

const CHECKS: usize = 1_000;
const CLIENTS: usize = 500;
const MEASURED: Duration = Duration::from_secs(10);
const PATHS: [&str; 4] = ["/", "/api/v1/report", "/metrics", "/api/v1/findings"];

pub(crate) fn measure(bench: &Bench) -> String {
    servers_first();
    let daemon = Daemon::start(&ALONE_ON_ONE, &bench.config("readers.toml", CHECKS, "tcp", "1s"));
    daemon.well(CHECKS);
    let quiet = lateness(&daemon, || thread::sleep(MEASURED));
    let (answers, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
    let busy = lateness(&daemon, || read(daemon.address, &answers, &bytes));
    let seconds = MEASURED.as_secs_f64();
    format!(
        "{CHECKS} TCP checks a second with nobody reading: {quiet}. With {CLIENTS} clients that ask \
         for `{}` in turn, again as soon as they were answered ({:.0} answers and {:.0} MB a second): {busy}. Fewer start than are due where \
         the core that servers and clients share is full: the queues of the servers' sockets overflow, what is lost is \
         sent again after a second, and a check that still runs does not start anew.",
        PATHS.join("`, `"),
        answers.into_inner() as f64 / seconds,
        bytes.into_inner() as f64 / seconds / 1e6,
    )
}

/// On the core that they share, the servers that are measured come before the clients, which begin as
/// threads of the main one: otherwise it is those servers that are late.
fn servers_first() {
    let main = std::process::id().to_string();
    for thread in fs::read_dir("/proc/self/task").expect("/proc is there").flatten() {
        let thread = thread.file_name().to_string_lossy().into_owned();
        if thread != main {
            world::run("chrt", &["--rr", "--pid", "1", &thread]);
        }
    }
}

fn read(address: SocketAddr, answers: &AtomicU64, bytes: &AtomicU64) {
    let until = Instant::now() + MEASURED;
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            scope.spawn(move || {
                for path in PATHS.iter().cycle().skip(client) {
                    if Instant::now() > until {
                        return;
                    }
                    if let Some(text) = get(address, path) {
                        answers.fetch_add(1, Ordering::Relaxed);
                        bytes.fetch_add(text.len() as u64, Ordering::Relaxed);
                    }
                }
            });
        }
    });
}

/// What the daemon's own histogram says of the starts during some work.
fn lateness(daemon: &Daemon, work: impl FnOnce()) -> String {
    let (before, start) = (Lateness::of(&daemon.metrics()), Instant::now());
    let processor = processor_time(daemon.pid());
    work();
    let processor = processor_time(daemon.pid()).saturating_sub(processor);
    let took = start.elapsed();
    let during = Lateness::of(&daemon.metrics()).since(&before);
    format!(
        "{:.0} starts a second, {:.2} % within 20 ms, {:.2} % within 100 ms, {:.2} % within 1 s, {:.2} cores",
        during.starts() as f64 / took.as_secs_f64(),
        during.within("0.02"),
        during.within("0.1"),
        during.within("1"),
        processor.as_secs_f64() / took.as_secs_f64(),
    )
}
