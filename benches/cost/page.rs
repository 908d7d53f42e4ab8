//! The section of the document.

use std::fmt::Write as _;

use crate::figures::Spread;
use crate::figures::document::{measured_on, said};
use crate::world::{self, DNS, Kind, SUBJECTS, Subject, TCP, USUAL};
use crate::{
    CONNECTS, CROWDED_FLOOR, Pace, Program, Run, Runs, SLOW, STEADY, exporter, floor, full,
    full_one, one, steady,
};

/// All of it, from the measurements alone.
pub(crate) fn written(runs: &Runs) -> String {
    let figures = Figures { runs };
    let rounds = figures.of(USUAL, floor(None)).len();
    format!(
        "{} {}\n\nRepeat it with `cargo bench --locked --bench cost` (root; eleven minutes). {rounds} rounds, in each of \
         which every program has its turn; median, and lowest to highest. Every check of every program \
         passed, or there would be no figures.\n\n{}\n{}\n{}\n{}\n{}",
        measured_on(),
        versions(),
        INTRODUCTION,
        figures.costs(),
        figures.targets(),
        LATENCY,
        figures.latencies(),
    )
}

const INTRODUCTION: &str = "\
- **vnetprobe** is `serve` with all that belongs to it: schedule, DNS, verdicts, history in a file, metrics \
read once a second. The process's own processor time, by the attempts that its metrics counted.
- **blackbox_exporter** is Debian's, asked over connections that stay open, by 64 clients or by one; its own \
processor time, without the clients'.
- **The bare loop** connects, makes the whole handshake with the chain verified, and closes; over blocking \
sockets, one at a time, on an address. For DNS it sends one query for an address. It schedules, judges and keeps \
nothing.
- **s_time** is `openssl s_time -new`, for orientation.

Programs are compared that have the same to do. At full speed the others are driven, each check as soon as the \
one before it is done, and vnetprobe is asked for 3,000 TLS checks or 6,000 others, each every second: the first are \
more than it can do. At so many a second all keep this pace, and the machine is idle in between: every check then pays \
for a wake-up and cold caches.

The server is one nginx, chain of leaf and intermediate below a root of our own, no session tickets and no \
session cache. By name vnetprobe asks for A and AAAA before each check, as it does not cache, and blackbox_exporter \
does likewise; a DNS check of vnetprobe is both questions, one of blackbox_exporter is one. A plain TCP check of \
vnetprobe watches the connection for 150 ms, in case it is closed at once; one at a time that is six \
checks a second, which measures nothing but an idle daemon, and so there is no such row.
";

const LATENCY: &str = "\
What is added to the network's own time: the time that each program reports of a check (vnetprobe: the phases of \
its report, in which a chain is verified after the handshake and not counted; blackbox_exporter: `probe_duration_seconds`), the middle and the 99th of a hundred, less the same of \
the bare loop. With 64 at a time all three have more to do than the machine can: 64 threads of the bare \
loop, 64 clients, 3,000 checks a second asked of vnetprobe. One at a time all three keep the pace of 300 a second. \
The columns with checks a second are what they got done.
";

fn versions() -> String {
    format!(
        "{}; {}; {}; rustls {}.",
        world::versions(),
        said("prometheus-blackbox-exporter", &["--version"]),
        said("openssl", &["version"]),
        said(
            "sh",
            &[
                "-c",
                "cargo metadata --locked --offline --format-version 1 | grep -o '\"name\":\"rustls\",\"version\":\"[^\"]*' | cut -d'\"' -f8"
            ]
        ),
    )
}

struct Figures<'a> {
    runs: &'a Runs,
}

impl Figures<'_> {
    fn of(&self, subject: Subject, program: Program) -> &[Run] {
        self.runs.get(&(subject, program)).map_or(&[], Vec::as_slice)
    }

    fn microseconds(&self, subject: Subject, program: Program) -> String {
        let all: Vec<f64> = self.of(subject, program).iter().map(|r| r.microseconds).collect();
        if all.is_empty() { String::new() } else { format!("{:.0}", Spread::of(&all)) }
    }

    fn costs(&self) -> String {
        let mut table = "Microseconds of processor time for one check:\n\n\
             | check | at a time | vnetprobe | blackbox_exporter | bare loop | s_time |\n|---|---|---|---|---|---|\n"
            .to_owned();
        for Row { subject, how, at_once, ours, theirs, floor, .. } in rows() {
            let _ = writeln!(
                table,
                "| {}{how} | {at_once} | {} | {} | {} | {} |",
                subject.title,
                self.microseconds(subject, ours),
                self.microseconds(subject, theirs),
                self.microseconds(subject, floor),
                self.microseconds(subject, Program::Openssl),
            );
        }
        table
    }

    /// How many times as much the first program uses as the second, in each round.
    fn ratio(&self, subject: Subject, more: Program, less: Program) -> Spread {
        let pairs = self.of(subject, more).iter().zip(self.of(subject, less));
        let ratios: Vec<f64> = pairs.map(|(m, l)| m.microseconds / l.microseconds).collect();
        Spread::of(&ratios)
    }

    fn targets(&self) -> String {
        let mut table =
            "The targets (ratios of two programs in the same round):\n\n| check | at a time | target | measured | met |\n\
             |---|---|---|---|---|\n"
                .to_owned();
        let mut row = |what: &str, at_once, target: String, measured: String, met| {
            let met = if met { "yes" } else { "**no**" };
            let _ = writeln!(table, "| {what} | {at_once} | {target} | {measured} | {met} |");
        };
        for Row { subject, how, at_once, ours, theirs, floor } in rows() {
            let what = format!("{}{how}", subject.title);
            if subject.kind == Kind::Tls {
                let above = self.ratio(subject, ours, floor);
                let target = "at most 1.5 bare loops".to_owned();
                row(&what, at_once, target, format!("{above:.2}"), above.median <= 1.5);
            }
            let times = match (subject.kind, at_once) {
                (Kind::Tls, 1) => 3.0,
                (Kind::Tls, _) => 2.2,
                _ => 8.0,
            };
            let below = self.ratio(subject, theirs, ours);
            let target = format!("blackbox_exporter at least {times} times as much");
            row(&what, at_once, target, format!("{below:.2}"), below.median >= times);
        }
        table
    }

    /// A share of a program's latencies in each round, in microseconds.
    fn quantile(&self, subject: Subject, program: Program, share: f64) -> Vec<f64> {
        let of = |run: &Run| {
            let mut sorted = run.latencies.clone();
            sorted.sort_by(f64::total_cmp);
            sorted[(sorted.len() as f64 * share) as usize] * 1e6
        };
        self.of(subject, program).iter().map(of).collect()
    }

    fn latencies(&self) -> String {
        let mut table = "| check | at a time | share | bare loop, µs | vnetprobe adds, µs | blackbox_exporter adds, µs | checks a second (in that order) |\n\
             |---|---|---|---|---|---|---|\n"
            .to_owned();
        let rows = [
            (USUAL, 1, one(false), exporter(false, 1, Some(SLOW)), floor(Some(SLOW))),
            (USUAL, 64, full(Kind::Tls, false), exporter(false, 64, None), CROWDED_FLOOR),
            (TCP, 1, CONNECTS, exporter(false, 1, Some(SLOW)), floor(Some(SLOW))),
            (DNS, 1, one(true), exporter(true, 1, Some(SLOW)), floor(Some(SLOW))),
        ];
        for (subject, at_once, ours, theirs, floor) in rows {
            let rate = |program| {
                let rates: Vec<f64> = self.of(subject, program).iter().map(|r| r.rate).collect();
                Spread::of(&rates).median
            };
            let rates = format!("{:.0}, {:.0}, {:.0}", rate(floor), rate(ours), rate(theirs));
            for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
                let network = self.quantile(subject, floor, share);
                let added = |program| {
                    let all = self.quantile(subject, program, share);
                    let added: Vec<f64> = all.iter().zip(&network).map(|(a, n)| a - n).collect();
                    Spread::of(&added)
                };
                let _ = writeln!(
                    table,
                    "| {} | {at_once} | {name} | {:.0} | {:.0} | {:.0} | {rates} |",
                    subject.title,
                    Spread::of(&network),
                    added(ours),
                    added(theirs),
                );
            }
        }
        table
    }
}

/// What is compared.
struct Row {
    subject: Subject,
    /// How its targets are written, and how fast checks come.
    how: String,
    at_once: usize,
    ours: Program,
    theirs: Program,
    floor: Program,
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for subject in SUBJECTS {
        let mut add = |named, at_once, pace: Pace, ours| {
            let target = match (subject.kind, named) {
                (Kind::Dns, _) => "",
                (_, true) => ", by name",
                (_, false) => ", by address",
            };
            let speed = pace.map_or("full speed".to_owned(), |pace| format!("{pace} a second"));
            rows.push(Row {
                subject,
                how: format!("{target}, {speed}"),
                at_once,
                ours,
                theirs: exporter(named, at_once, pace),
                floor: floor(pace),
            });
        };
        match subject.kind {
            Kind::Tls => add(true, 64, None, full(Kind::Tls, true)),
            Kind::Tcp => {
                add(false, 64, None, full(Kind::Tcp, false));
                add(false, 64, Some(SLOW), CONNECTS);
            }
            Kind::Dns => {
                add(true, 64, None, full(Kind::Dns, true));
                add(true, 1, None, full_one(Kind::Dns, true));
                add(true, 64, Some(STEADY), steady(true));
                add(true, 1, Some(SLOW), one(true));
            }
        }
        if subject == USUAL {
            add(false, 64, None, full(Kind::Tls, false));
            add(true, 1, None, full_one(Kind::Tls, true));
            add(false, 1, None, full_one(Kind::Tls, false));
            add(true, 64, Some(STEADY), steady(true));
            add(false, 64, Some(STEADY), steady(false));
            add(true, 1, Some(SLOW), one(true));
            add(false, 1, Some(SLOW), one(false));
        }
    }
    rows
}
