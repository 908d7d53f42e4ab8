//! What the outputs of 10,000 checks cost, rendered for the first reader and kept for the next.

use std::fmt::Write as _;
use std::thread;
use std::time::Duration;

use crate::figures::daemon::{Daemon, timed_get};
use crate::figures::{Spread, met, processor_time};
use crate::{ALONE_ON_ONE, Bench};

const CHECKS: usize = 10_000;
const RUNS: usize = 7;
/// A quiet daemon makes a snapshot a second, for which nothing is rendered yet.
const NEXT_SNAPSHOT: Duration = Duration::from_millis(1_100);
/// The target for the rendering of metrics, in milliseconds.
const TARGET: f64 = 30.0;

pub(crate) fn measure(bench: &Bench) -> String {
    let config = bench.config("outputs.toml", CHECKS, "tls", "2m");
    let daemon = Daemon::start(&ALONE_ON_ONE, &config);
    daemon.well(CHECKS);
    // The first round is over and nothing is due for most of a minute.
    let idle = idle(&daemon);
    let mut table = "| output of 10,000 TLS checks | size, MB | first byte, ms | last byte, ms | processor time, ms | kept: last byte, ms |\n\
         |---|---|---|---|---|---|\n"
        .to_owned();
    let mut metrics = None;
    for path in ["/metrics", "/", "/api/v1/report"] {
        let (mut firsts, mut lasts, mut costs, mut kept, mut sizes) =
            (vec![], vec![], vec![], vec![], vec![]);
        for _ in 0..RUNS {
            thread::sleep(NEXT_SNAPSHOT);
            let before = processor_time(daemon.pid());
            let (first, last, size) = timed_get(daemon.address, path);
            costs.push(ms(processor_time(daemon.pid()).saturating_sub(before)));
            firsts.push(ms(first));
            lasts.push(ms(last));
            sizes.push(size as f64 / 1e6);
            kept.push(ms(timed_get(daemon.address, path).1));
        }
        let [size, first, last, cost, kept] =
            [sizes, firsts, lasts, costs, kept].map(|runs| Spread::of(&runs));
        let size = size.median;
        let _ = writeln!(
            table,
            "| `{path}` | {size:.2} | {first:.1} | {last:.1} | {cost:.1} | {kept:.1} |"
        );
        metrics.get_or_insert((first, last));
    }
    let (first, last) = metrics.expect("metrics were measured");
    format!(
        "Outputs are rendered once for a snapshot, however many read them, and sent when they are complete: \
         up to the first byte they are rendered, up to the last they are sent over loopback. Between two rounds, when \
         a snapshot is made each second, the daemon takes {idle:.1} ms of processor time a second.\n\n\
         {table}\nTarget: `/metrics` for 10,000 checks in under {TARGET:.0} ms. Measured: {first:.1} ms \
         to its first byte, {last:.1} ms to its last: {}.",
        met(first.median < TARGET)
    )
}

fn idle(daemon: &Daemon) -> Spread {
    let runs: Vec<f64> = (0..RUNS)
        .map(|_| {
            let before = processor_time(daemon.pid());
            thread::sleep(Duration::from_secs(1));
            ms(processor_time(daemon.pid()).saturating_sub(before))
        })
        .collect();
    Spread::of(&runs)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
