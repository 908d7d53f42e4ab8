//! 200 daemons that are killed at random moments under load: the file opens every time, nothing in
//! it is damaged, and nothing is missing that was told of more than five seconds before.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    reason = "a test stops where its world is not as it says, and it makes that world"
)]

mod process;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use process::alone;
use process::daemon::Daemon;
use process::loopback::{get, listener_at};
use serde_json::Value;
use vnetprobe::archive::{self, Place};
use vnetprobe::journal::Sample;

const LANES: u64 = 20;
const KILLS_PER_LANE: usize = 10;
/// What was told of longer ago must be in the file.
const MAY_MISS: SignedDuration = SignedDuration::from_secs(5);
/// The longest a daemon lives, so that many of them tell more than that.
const LONGEST: Duration = Duration::from_secs(7);
/// Below the range from which the system takes ports, so that nobody takes one that is closed.
const PORTS: std::ops::Range<u16> = 20_000..20_040;
/// How often a port opens or closes: each one every three seconds.
const FLIP: Duration = Duration::from_millis(75);

/// Small, seeded, the same everywhere (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn moment(&mut self) -> Duration {
        LONGEST.mul_f64(self.next() as f64 / u64::MAX as f64)
    }
}

fn config(path: &Path) -> String {
    let mut config = format!(
        "[workspace]\ncloud = \"none\"\n[schedule]\ninterval = \"1s\"\n[history]\npath = \"{}\"\n",
        path.display()
    );
    for port in PORTS {
        write!(config, "[[probe]]\nname = \"p{port}\"\ntarget = \"tcp://127.0.0.1:{port}\"\n")
            .unwrap();
    }
    config
}

/// Opens and closes ports until told to stop.
fn flip(stop: &AtomicBool, mut random: Random) {
    let mut open: BTreeMap<u16, TcpListener> = BTreeMap::new();
    while !stop.load(Ordering::Relaxed) {
        let port = PORTS.start
            + u16::try_from(random.next() % u64::from(PORTS.end - PORTS.start)).unwrap();
        if open.remove(&port).is_none() {
            let listener = listener_at((Ipv4Addr::LOCALHOST, port));
            listener.set_nonblocking(true).unwrap();
            open.insert(port, listener);
        }
        for listener in open.values() {
            while listener.accept().is_ok() {}
        }
        thread::sleep(FLIP);
    }
}

/// What a daemon has told before it was killed.
#[derive(Default)]
struct Told {
    /// Events by number: when, and the check.
    events: BTreeMap<u64, (Timestamp, Value)>,
    /// Check and the time of a measurement.
    runs: BTreeSet<(String, i64)>,
}

impl Told {
    /// Asks until nobody answers any more.
    fn listen(address: std::net::SocketAddr) -> Self {
        let mut told = Self::default();
        while let Some(history) = get(address, "/api/v1/history?limit=300") {
            let Some(metrics) = get(address, "/metrics") else { break };
            if let Ok(history) = serde_json::from_str::<Value>(&history.body) {
                for event in history["events"].as_array().unwrap() {
                    let at = event["at"].as_str().unwrap().parse().unwrap();
                    told.events
                        .insert(event["number"].as_u64().unwrap(), (at, event["check"].clone()));
                }
            }
            for line in metrics.body.lines() {
                let Some(rest) = line.strip_prefix("vnetprobe_probe_last_run_timestamp_seconds{")
                else {
                    continue;
                };
                let (labels, value) = rest.rsplit_once(' ').unwrap();
                let (_, check) = labels.split_once("requirement=\"").unwrap();
                let check = check.split('"').next().unwrap().to_owned();
                if let Ok(seconds) = value.parse::<f64>()
                    && seconds.is_finite()
                {
                    told.runs.insert((check, (seconds * 1_000.0) as i64));
                }
            }
            thread::sleep(Duration::from_millis(150));
        }
        told
    }
}

/// Looks into a copy of what the killed daemon left, as the next one will find it.
fn examine(folder: &Path, told: &Told, [started, killed]: [Timestamp; 2]) -> (usize, usize) {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    let path = copy.path().join("history.sqlite");
    let old = killed - MAY_MISS;
    let expected: Vec<_> = told.events.iter().filter(|(_, (at, _))| *at <= old).collect();
    let mut measured: BTreeMap<&str, i64> = BTreeMap::new();
    for (check, at) in told.runs.iter().filter(|(_, at)| *at <= old.as_millisecond()) {
        measured.insert(check, *at);
    }
    if !path.exists() {
        assert!(expected.is_empty() && measured.is_empty(), "there is no file");
        return (0, 0);
    }
    {
        let conn = rusqlite::Connection::open(&path).unwrap();
        let sound: String = conn.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(sound, "ok");
        let mut select = match conn.prepare("SELECT number, json FROM event ORDER BY number") {
            Ok(select) => select,
            // Killed before it had tables.
            Err(_) if expected.is_empty() && measured.is_empty() => return (0, 0),
            Err(error) => panic!("{error}"),
        };
        let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let kept: BTreeMap<u64, String> = rows.map(Result::unwrap).collect();
        for (place, number) in kept.keys().enumerate() {
            assert_eq!(*number, place as u64 + 1, "numbers without a gap");
        }
        let missing = told.events.iter().find(|(number, _)| !kept.contains_key(number));
        let age = missing.map_or(0.0, |(_, (at, _))| killed.duration_since(*at).as_secs_f64());
        println!(
            "killed after {:.1} s, the oldest missing event is {age:.1} s old",
            killed.duration_since(started).as_secs_f64()
        );
        for (number, (at, check)) in &expected {
            let json = kept
                .get(number)
                .unwrap_or_else(|| panic!("event {number} of {at} is missing; killed {killed}"));
            let event: Value = serde_json::from_str(json).unwrap();
            let kept: Timestamp = event["at"].as_str().unwrap().parse().unwrap();
            assert_eq!((kept, &event["check"]), (*at, check));
        }
    }
    let ids: Vec<String> = PORTS.map(|port| format!("p{port}@127.0.0.1:{port}")).collect();
    let wanted = ids.iter().map(String::as_str).collect();
    let place = Place { path, retention: Duration::from_hours(24), max_bytes: 64 << 20 };
    let (_writing, past) = archive::open(place, "examiner".to_owned(), &wanted, killed);
    for (check, at) in &measured {
        let known = past.checks.iter().find(|(id, _)| id.starts_with(&format!("{check}@")));
        let newest = known.and_then(|(_, known)| known.strip.newest_first().next()).map(Sample::at);
        let newest = newest.map_or(0, Timestamp::as_millisecond);
        assert!(
            newest + 1 >= *at,
            "a measurement of {check} at {at} is missing, the newest is of {newest}"
        );
    }
    // What earlier ones had told is no merit of this one.
    (expected.iter().filter(|(_, (at, _))| *at >= started).count(), measured.len())
}

fn lane(mut random: Random) -> (usize, usize) {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&folder.path().join("history.sqlite"));
    let mut sums = (0, 0);
    for _ in 0..KILLS_PER_LANE {
        let moment = random.moment();
        let started = Timestamp::now();
        let daemon = Daemon::start(&config);
        let address = daemon.address;
        let listening = thread::spawn(move || Told::listen(address));
        thread::sleep(moment);
        let killed = Timestamp::now();
        daemon.process.signal("KILL");
        drop(daemon);
        let told = listening.join().unwrap();
        let (events, measurements) = examine(folder.path(), &told, [started, killed]);
        sums = (sums.0 + events, sums.1 + measurements);
    }
    let aside = fs::read_dir(folder.path()).unwrap();
    let aside =
        aside.filter(|e| e.as_ref().unwrap().file_name().to_str().unwrap().contains("damaged"));
    assert_eq!(aside.count(), 0, "no daemon thought its file damaged");
    sums
}

#[test]
fn two_hundred_kills_cost_no_more_than_the_last_seconds() {
    alone(|| {
        let seed = std::env::var("KILL_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed: u64 = seed.unwrap_or_else(|| Timestamp::now().as_microsecond().unsigned_abs());
        println!("KILL_SEED={seed}");
        let begun = Instant::now();
        let stop = AtomicBool::new(false);
        let (events, measurements) = thread::scope(|scope| {
            scope.spawn(|| flip(&stop, Random(seed)));
            let lanes: Vec<_> = (1..=LANES)
                .map(|lane_number| scope.spawn(move || lane(Random(seed ^ lane_number))))
                .collect();
            let done: Vec<_> = lanes.into_iter().map(thread::ScopedJoinHandle::join).collect();
            stop.store(true, Ordering::Relaxed);
            done.into_iter()
                .map(|lane| lane.expect("KILL_SEED is printed above"))
                .fold((0, 0), |sum, lane| (sum.0 + lane.0, sum.1 + lane.1))
        });
        let kills = usize::try_from(LANES).unwrap() * KILLS_PER_LANE;
        println!(
            "{kills} kills in {:.0} s; {events} events and {measurements} measurements were old enough to be asked for",
            begun.elapsed().as_secs_f64()
        );
        assert!(events > 200 && measurements > 500, "too little was told to prove anything");
    });
}
