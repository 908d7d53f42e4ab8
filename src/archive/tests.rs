//! The file under a made-up history: what comes back, what goes first, what is done about damage.
#![expect(clippy::disallowed_methods, reason = "a test spoils the files that it made")]

use std::fs;

use jiff::SignedDuration;

use super::*;
use crate::catalog;
use crate::check::Target;
use crate::history::{History, Outcome, Setting};
use crate::journal::{Event, Sample};
use crate::machine::Machine;
use crate::model::{Cloud, Elapsed, Expect, Host, Kind, Status};
use crate::observation::{AboveTcp, Climb, ClimbOutcome, ConnectFailure, Observation};
use crate::parameters::{NetworkFacts, Parameters};
use crate::plan::{ExtraProbe, plan};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_793_534_400 + seconds).unwrap()
}

fn setting(checks: usize) -> Setting {
    let probe = |number: usize| ExtraProbe {
        id: format!("probe-{number}"),
        target: Target {
            host: Host::parse(&format!("h{number}.example")).unwrap(),
            port: Some(443),
            kind: Kind::Tcp,
            path: "/".into(),
        },
        expect: Expect::Any,
        subnets: Vec::new(),
        scenarios: vec!["all".into()],
    };
    let catalog = catalog::embedded(Cloud::None).unwrap();
    let network = NetworkFacts::default();
    let probes: Vec<ExtraProbe> = (0..checks).map(probe).collect();
    let plan = plan(&catalog, &probes, &Parameters::default(), &network, |_| false);
    Setting {
        plan: Arc::new(plan),
        network: Arc::new(network),
        machine: Arc::new(Machine::default()),
        interval: Some(Duration::from_mins(1)),
        budget: Duration::from_secs(16),
    }
}

fn result(passes: bool, millis: u64) -> Outcome {
    let elapsed = Elapsed(Duration::from_millis(millis));
    let outcome = if passes {
        ClimbOutcome::Connected {
            elapsed,
            local: "192.0.2.1:1".parse().unwrap(),
            then: AboveTcp::Nothing { closed: false },
        }
    } else {
        ClimbOutcome::NotConnected { elapsed, failure: ConnectFailure::Timeout }
    };
    let climb = Climb { ip: "203.0.113.1".parse().unwrap(), port: 443, outcome };
    Outcome::Observed(Arc::new(Observation { climbs: vec![climb], ..Observation::default() }))
}

/// A daemon without a network: a history and a file.
struct Daemon {
    history: History,
    keeper: Keeper,
    past: Past,
    checks: usize,
}

fn place(folder: &tempfile::TempDir) -> Place {
    Place {
        path: folder.path().join("history.sqlite"),
        retention: Duration::from_hours(90 * 24),
        max_bytes: 64 << 20,
    }
}

fn shared() -> Arc<Shared> {
    Arc::new(Shared {
        gate: RwLock::new(()),
        offset: AtomicU64::new(0),
        places: Arc::new(Semaphore::new(limits::HISTORY_READERS)),
    })
}

impl Daemon {
    fn start(place: Place, checks: usize, now: i64) -> Self {
        let setting = setting(checks);
        let wanted = setting.plan.checks.iter().map(|check| check.id.as_str()).collect();
        let (keeper, past) = Keeper::open(place, shared(), format!("run {now}"), &wanted, at(now));
        let mut history = History::new(setting, past.clone(), at(now));
        history.note_start("test");
        Self { history, keeper, past, checks }
    }

    fn measure(&mut self, passes: bool, now: i64) {
        for slot in 0..self.checks {
            self.history.fold(slot, &result(passes, 20), at(now));
        }
    }

    fn keep(&mut self, now: i64) -> Archive {
        let snapshot = self.history.snapshot(at(now), 0, 0);
        self.keeper.keep(&snapshot)
    }
}

fn all(path: &Path) -> Vec<Arc<Event>> {
    read(path, &Inquiry::of_query("limit=1000", Timestamp::MAX).unwrap()).unwrap().found.events
}

fn numbers(path: &Path) -> Vec<u64> {
    all(path).iter().map(|event| event.number).collect()
}

fn is_file(archive: &Archive) -> bool {
    matches!(archive, Archive::File { note: None, lost: 0, .. })
}

#[test]
fn a_restart_knows_what_was_before() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = Daemon::start(place(&folder), 3, 0);
    assert_eq!(first.past.last_event, 0);
    first.measure(true, 1);
    for (second, passes) in [(60, false), (61, false), (120, false)] {
        first.measure(passes, second);
        assert!(is_file(&first.keep(second)));
    }
    assert!(is_file(&first.keep(200)));
    drop(first);

    let second = Daemon::start(place(&folder), 3, 300);
    let past = &second.past;
    assert_eq!(past.last_event, numbers(&folder.path().join("history.sqlite")).len() as u64);
    assert_eq!(past.open.len(), 1, "{:?}", past.open);
    assert_eq!(past.checks.len(), 3);
    for check in past.checks.values() {
        assert_eq!(check.state.status, Status::Fail);
        assert_eq!((check.since, check.last_success_at), (at(61), Some(at(1))));
        let strip: Vec<_> = check.strip.samples().into_iter().map(Sample::at).collect();
        assert_eq!(strip, [at(1), at(60), at(61), at(120)]);
    }
    // The numbers go on.
    assert_eq!(second.keeper_offset(), 0);
    let mut second = second;
    second.measure(true, 301);
    second.keep(301);
    let numbers = numbers(&folder.path().join("history.sqlite"));
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
}

#[test]
fn only_what_is_asked_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::start(place(&folder), 3, 0);
    daemon.measure(false, 10);
    daemon.measure(true, 20);
    daemon.measure(true, 21);
    daemon.keep(21);
    let path = folder.path().join("history.sqlite");
    let ask = |query: &str| {
        let found = read(&path, &Inquiry::of_query(query, at(100)).unwrap()).unwrap().found;
        (found.events.len(), found.more)
    };
    // One start, three failures, three recoveries.
    assert_eq!(ask(""), (7, false));
    assert_eq!(ask("limit=2"), (2, true));
    assert_eq!(ask("check=probe-1@*"), (2, false));
    assert_eq!(ask("check=*[x"), (0, false));
    assert_eq!(ask("check=PROBE-?@h1.*"), (2, false));
    assert_eq!(ask("from=80s"), (3, false));
    assert_eq!(ask("to=80s"), (4, false));
    let one = Inquiry::of_check("probe-2@h2.example:443", 1);
    let found = read(&path, &one).unwrap().found;
    assert_eq!((found.events.len(), found.more), (1, true));
}

#[test]
fn damage_is_set_aside_and_told() {
    for (name, spoil) in [
        ("cut", (|bytes: &mut Vec<u8>| bytes.truncate(5000)) as fn(&mut Vec<u8>)),
        ("cut in the header", |bytes| bytes.truncate(50)),
        ("cut in the mark", |bytes| bytes.truncate(7)),
        ("zeros", |bytes| bytes.fill(0)),
        ("a wrong page", |bytes| bytes[4096..].fill(0xa5)),
        ("a wrong schema", |bytes| bytes[100..4096].fill(7)),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.sqlite");
        let mut daemon = Daemon::start(place(&folder), 3, 0);
        daemon.measure(false, 1);
        daemon.keep(1);
        drop(daemon);
        let mut bytes = fs::read(&path).unwrap();
        spoil(&mut bytes);
        fs::write(&path, &bytes).unwrap();

        let mut daemon = Daemon::start(place(&folder), 3, 100);
        daemon.measure(false, 101);
        let archive = daemon.keep(101);
        let Archive::File { note: Some(note), .. } = &archive else {
            panic!("{name}: {archive:?}")
        };
        assert!(note.contains(".damaged-2026"), "{name}: {note}");
        assert!(all(&path).len() >= 4, "{name}: the new run is in a new file");
        let aside = fs::read_dir(folder.path()).unwrap().filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            (name.contains(".damaged-") && !name.ends_with("-wal") && !name.ends_with("-shm"))
                .then_some(name)
        });
        let aside: Vec<String> = aside.collect();
        assert_eq!(aside.len(), 1, "{name}: {aside:?}");
        assert_eq!(fs::read(folder.path().join(&aside[0])).unwrap(), bytes, "{name}: untouched");
    }
}

#[test]
fn no_more_than_a_few_damaged_files_pile_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.sqlite");
    for time in 0..=limits::HISTORY_SET_ASIDE {
        fs::write(&path, [0; 4096]).unwrap();
        let mut daemon = Daemon::start(place(&folder), 1, i64::try_from(time).unwrap());
        let archive = daemon.keep(50);
        let full = time == limits::HISTORY_SET_ASIDE;
        assert_eq!(matches!(&archive, Archive::Degraded { .. }), full, "{archive:?}");
        if full {
            assert!(archive.trouble().unwrap().contains("remove them"), "{archive:?}");
            assert_eq!(fs::read(&path).unwrap(), [0; 4096]);
        }
    }
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let write = |path: &Path, sql: &str| {
        rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
    };
    for (name, expected) in [
        ("text", "no history file"),
        ("stranger", "database of another program"),
        ("future", "newer vnetprobe"),
        ("folder", "cannot be opened"),
        ("missing/folder", "create the folder"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        match name {
            "text" => fs::write(&path, "root:x:0:0:".repeat(99)).unwrap(),
            "stranger" => write(&path, "CREATE TABLE t (x); INSERT INTO t VALUES (1)"),
            "folder" => fs::create_dir(&path).unwrap(),
            "future" => {
                drop(Daemon::start(Place { path: path.clone(), ..place(&folder) }, 1, 0));
                write(&path, "PRAGMA user_version = 7");
            }
            _ => {}
        }
        let before = fs::read(&path).ok();
        let place = Place { path: path.clone(), ..place(&folder) };
        let mut daemon = Daemon::start(place, 1, 0);
        daemon.measure(true, 1);
        let archive = daemon.keep(1);
        let Archive::Degraded { reason, .. } = &archive else { panic!("{name}: {archive:?}") };
        assert!(reason.contains(expected), "{name}: {reason}");
        assert_eq!(fs::read(&path).ok(), before, "{name} was touched");
        assert!(daemon.keeper.retry_after().is_some());
        let reader = read(&path, &Inquiry::of_query("", at(0)).unwrap());
        assert!(reader.is_err(), "{name}");
    }
}

#[test]
fn two_daemons_do_not_share_a_file_and_the_second_comes_in_when_the_first_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.sqlite");
    let mut first = Daemon::start(place(&folder), 2, 0);
    first.measure(false, 1);
    first.keep(1);
    let before = numbers(&path);
    let mut second = Daemon::start(place(&folder), 2, 2);
    second.measure(false, 3);
    let archive = second.keep(3);
    let Archive::Degraded { reason, .. } = &archive else { panic!("{archive:?}") };
    assert!(reason.contains("another vnetprobe"), "{reason}");
    drop(first);
    assert!(is_file(&second.keep(4)));
    // Its events had the same numbers; they come after the others.
    let after = numbers(&path);
    assert_eq!(after, (1..=before.len() as u64 * 2).collect::<Vec<_>>());
    assert_eq!(second.keeper_offset(), before.len() as u64);
}

impl Daemon {
    fn keeper_offset(&self) -> u64 {
        self.keeper.shared().offset.load(Ordering::Relaxed)
    }
}

#[test]
fn a_removed_file_is_made_anew_with_what_memory_has() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.sqlite");
    let mut daemon = Daemon::start(place(&folder), 2, 0);
    daemon.measure(false, 1);
    daemon.keep(1);
    let before = numbers(&path);
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(file::beside(&path, suffix));
    }
    daemon.measure(true, 60);
    daemon.measure(true, 61);
    assert!(is_file(&daemon.keep(61)));
    let after = numbers(&path);
    assert!(after.starts_with(&before) && after.len() == before.len() + 2, "{after:?}");
    drop(daemon);
    let again = Daemon::start(place(&folder), 2, 100);
    assert_eq!(again.past.checks.values().next().unwrap().strip.samples().len(), 3);
}

#[test]
fn events_that_memory_forgot_first_are_counted_as_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.sqlite");
    fs::create_dir(&path).unwrap();
    let mut daemon = Daemon::start(place(&folder), 1, 0);
    for number in 0..limits::JOURNAL_EVENTS + 9 {
        daemon.history.refuse_reload("no", at(i64::try_from(number).unwrap()));
    }
    let archive = daemon.keep(1);
    assert!(matches!(archive, Archive::Degraded { lost: 10, .. }), "{archive:?}");
    fs::remove_dir(&path).unwrap();
    let archive = daemon.keep(2);
    assert!(matches!(archive, Archive::File { lost: 10, .. }), "{archive:?}");
    assert_eq!(numbers(&path)[0], 11);
    let archive = daemon.keep(3);
    assert!(matches!(archive, Archive::File { lost: 10, .. }), "{archive:?}");
}

#[test]
fn the_file_stays_within_its_size_and_samples_go_before_events() {
    let folder = tempfile::tempdir().unwrap();
    let max_bytes = limits::HISTORY_BYTES.0;
    let place = Place { max_bytes, ..place(&folder) };
    let path = place.path.clone();
    let mut daemon = Daemon::start(place, 100, 0);
    let reason = "x".repeat(15_000);
    let mut largest = 0;
    for round in 0..400 {
        daemon.measure(true, round * 60);
        daemon.history.refuse_reload(&reason, at(round * 60));
        let archive = daemon.keep(round * 60);
        assert!(is_file(&archive), "{archive:?}");
        largest = largest.max(fs::metadata(&path).unwrap().len());
        if round == 200 {
            assert_eq!(numbers(&path)[0], 1, "samples went first");
        }
    }
    assert!(largest <= max_bytes && largest > max_bytes / 2, "{largest}");
    let numbers = numbers(&path);
    assert_eq!(numbers.last(), Some(&401));
    assert!(numbers[0] > 1, "events went when there was nothing else");
}

#[test]
fn what_is_old_goes() {
    let folder = tempfile::tempdir().unwrap();
    let retention = Duration::from_hours(24);
    let place = Place { retention, ..place(&folder) };
    let path = place.path.clone();
    let mut daemon = Daemon::start(place, 1, 0);
    for hour in 0..48 {
        daemon.history.refuse_reload("no", at(hour * 3600));
        daemon.keep(hour * 3600);
    }
    let oldest = all(&path)[0].at;
    assert!(oldest >= at(47 * 3600) - SignedDuration::from_hours(24), "{oldest}");
}

#[test]
fn large_evidence_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::start(place(&folder), 1, 0);
    let Outcome::Observed(small) = result(false, 1) else { panic!() };
    let climbs = vec![small.climbs[0].clone(); 400];
    let large = Outcome::Observed(Arc::new(Observation { climbs, ..Observation::default() }));
    daemon.history.fold(0, &large, at(1));
    daemon.keep(1);
    let events = all(&folder.path().join("history.sqlite"));
    let json = serde_json::to_string(&events[1]).unwrap();
    assert!(json.contains("\"summary\"") && !json.contains("\"observation\""), "{json}");
}

/// A figure for the documents, not a law: how much 1,000 checks a minute take.
#[test]
fn a_sample_takes_few_bytes_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.sqlite");
    let mut daemon = Daemon::start(place(&folder), 1_000, 0);
    daemon.measure(true, 0);
    daemon.keep(0);
    let mut now = 60;
    // As a daemon does it: every second those that are due.
    for _ in 0..10 {
        for second in 0..60_i64 {
            for slot in (0..1_000).filter(|slot| slot % 60 == usize::try_from(second).unwrap()) {
                daemon.history.fold(slot, &result(true, 20), at(now + second));
            }
            daemon.keep(now + second);
        }
        now += 60;
    }
    drop(daemon);
    let bytes = fs::metadata(&path).unwrap().len();
    assert!(bytes < 400_000, "1,000 checks, 10,000 samples: {bytes} bytes");
}

#[test]
fn names_out_of_a_spoiled_file_are_printable() {
    let said = "malformed database schema (event\u{10}\u{1b}[31m)".to_owned();
    let error = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(11), Some(said));
    let reason = file::Trouble::Sqlite(error).reason();
    assert!(reason.starts_with("malformed") && !reason.contains(char::is_control), "{reason:?}");
}
