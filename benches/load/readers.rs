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
    // The first round is hurried, and the second not yet in the rhythm.
    thread::sleep(Duration::from_secs(3));
    let quiet = lateness(&daemon, || thread::sleep(MEASURED));
    let (answers, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
    let busy = lateness(&daemon, || read(daemon.address, &answers, &bytes));
    let seconds = MEASURED.as_secs_f64();
    format!(
        "{CHECKS} TCP checks a second with nobody reading: {quiet}. With {CLIENTS} clients that ask \
         for `{}` in turn, again as soon as they were answered ({:.0} answers and {:.0} MB a second): {busy}. \
         Percentages are of starts and skipped runs together. The servers that were measured had real-time priority \
         (`chrt`) here, as they share a core with the clients. What the kernel counted is of all sockets, the \
         daemon's too: datagrams that found a full socket, connects that found a full queue, segments that were \
         sent again.",
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

/// Counters of the kernel: file, protocol and name.
const COUNTERS: [(&str, &str, &str); 3] = [
    ("/proc/net/snmp", "Udp", "RcvbufErrors"),
    ("/proc/net/netstat", "TcpExt", "ListenOverflows"),
    ("/proc/net/snmp", "Tcp", "RetransSegs"),
];

/// What they are in this namespace: of each protocol there is a line of names and one of numbers.
fn kernel() -> [u64; 3] {
    COUNTERS.map(|(file, protocol, name)| {
        let text = fs::read_to_string(file).expect("/proc is there");
        let lines = text.lines().filter_map(|line| line.split_once(": "));
        let mut fields = lines.filter(|(of, _)| *of == protocol).map(|(_, line)| line.split(' '));
        let (names, numbers) = (fields.next().expect("names"), fields.next().expect("numbers"));
        let number = names.zip(numbers).find(|(known, _)| *known == name).map(|(_, number)| number);
        number.and_then(|number| number.parse().ok()).expect("a counter")
    })
}

/// What the daemon's own metrics say of the starts during some work, and what the kernel lost.
fn lateness(daemon: &Daemon, work: impl FnOnce()) -> String {
    let before = Lateness::of(&daemon.metrics());
    let (lost, start) = (kernel(), Instant::now());
    let processor = processor_time(daemon.pid());
    work();
    let processor = processor_time(daemon.pid()).saturating_sub(processor);
    let took = start.elapsed();
    let during = Lateness::of(&daemon.metrics()).since(&before);
    let lost = kernel().into_iter().zip(lost).zip(COUNTERS);
    let lost: Vec<String> = lost
        .map(|((now, then), (_, protocol, name))| format!("`{protocol}{name}` {}", now - then))
        .collect();
    format!(
        "{:.0} starts a second, {} skipped, {:.2} % within 20 ms, {:.2} % within 100 ms, {:.2} % within 1 s, {:.2} cores; {}",
        during.rate(),
        during.skipped,
        during.within("0.02"),
        during.within("0.1"),
        during.within("1"),
        processor.as_secs_f64() / took.as_secs_f64(),
        lost.join(", "),
    )
}
