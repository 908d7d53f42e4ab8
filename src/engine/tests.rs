//! The loop under paused time, with a scripted network.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::catalog;
use crate::cause::Cause;
use crate::machine::Machine;
use crate::model::{Cloud, Elapsed, Host, Kind, Status};
use crate::observation::{AboveTcp, Climb, ClimbOutcome, ConnectFailure, LocalTrouble};
use crate::parameters::{NetworkFacts, Parameters};
use crate::plan::{ExtraProbe, Plan, plan};

/// What a scripted target does on its n-th run.
type Script = fn(run: usize) -> Act;

enum Act {
    Pass,
    Fail,
    Local,
    /// Passes after this long.
    Slow(Duration),
    Panic,
}

#[derive(Default)]
struct Seen {
    running: usize,
    most_running: usize,
    at_once: BTreeSet<String>,
    starts: HashMap<String, Vec<Duration>>,
    overlapped: bool,
}

struct Scripted {
    script: Script,
    origin: Instant,
    runs: AtomicUsize,
    seen: Arc<Mutex<Seen>>,
}

impl Prober for Scripted {
    async fn probe(&self, target: &Target, _private: bool) -> Observation {
        let host = target.host.to_string();
        let run = {
            let mut seen = self.seen.lock().unwrap();
            seen.running += 1;
            seen.most_running = seen.most_running.max(seen.running);
            seen.overlapped |= !seen.at_once.insert(host.clone());
            let starts = seen.starts.entry(host.clone()).or_default();
            starts.push(self.origin.elapsed());
            starts.len()
        };
        self.runs.fetch_add(1, Ordering::Relaxed);
        let act = (self.script)(run);
        if let Act::Slow(time) = act {
            tokio::time::sleep(time).await;
        } else {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let mut seen = self.seen.lock().unwrap();
        seen.running -= 1;
        seen.at_once.remove(&host);
        drop(seen);
        let ip = "203.0.113.1".parse().unwrap();
        let elapsed = Elapsed(Duration::from_millis(10));
        let outcome = match act {
            Act::Pass | Act::Slow(_) => ClimbOutcome::Connected {
                elapsed,
                local: "192.0.2.1:1".parse().unwrap(),
                then: AboveTcp::Nothing { closed: false },
            },
            Act::Fail => ClimbOutcome::NotConnected { elapsed, failure: ConnectFailure::Timeout },
            Act::Local => ClimbOutcome::NotConnected {
                elapsed,
                failure: ConnectFailure::Local(LocalTrouble::Exhausted),
            },
            Act::Panic => panic!("scripted"),
        };
        Observation {
            dns: None,
            climbs: vec![Climb { ip, port: 443, outcome }],
            ..Observation::default()
        }
    }
}

fn a_plan(targets: usize) -> Plan {
    let probes: Vec<ExtraProbe> = (0..targets)
        .map(|n| ExtraProbe {
            id: format!("probe-{n}"),
            target: Target {
                host: Host::Name(format!("host-{n}.example")),
                port: Some(443),
                kind: Kind::Tcp,
                path: "/".into(),
            },
            expect: Expect::Any,
            subnets: Vec::new(),
            scenarios: vec!["all".into()],
        })
        .collect();
    let catalog = catalog::embedded(Cloud::None).unwrap();
    plan(&catalog, &probes, &Parameters::default(), &network(), |_| false)
}

fn network() -> NetworkFacts {
    NetworkFacts::default()
}

struct Run {
    last: Arc<Snapshot>,
    seen: Arc<Mutex<Seen>>,
    took: Duration,
    statuses: Vec<(Duration, Status)>,
}

/// Runs a script for a while (or until done) and tells what was published for the first check.
async fn run(
    targets: usize,
    repeat: Repeat,
    concurrency: usize,
    script: Script,
    stop_after: Duration,
) -> Run {
    let origin = Instant::now();
    let seen = Arc::new(Mutex::new(Seen::default()));
    let prober = Scripted { script, origin, runs: AtomicUsize::new(0), seen: Arc::clone(&seen) };
    let interval = match repeat {
        Repeat::Once => None,
        Repeat::Every(interval) => Some(interval),
    };
    let setting = Setting {
        plan: Arc::new(a_plan(targets)),
        network: Arc::new(network()),
        machine: Arc::new(Machine::default()),
        interval,
        budget: Duration::from_secs(10),
    };
    let options = Options { repeat, concurrency, seed: 1 };
    let mut engine = Engine::new(prober, setting, &options, Past::default());
    let (publish, mut published) = watch::channel(engine.snapshot());
    let watching = tokio::spawn(async move {
        let mut statuses = Vec::new();
        while published.changed().await.is_ok() {
            let snapshot = Arc::clone(&published.borrow_and_update());
            if let Some(verdict) = snapshot.checks.first().and_then(|c| c.verdict.clone()) {
                statuses.push((origin.elapsed(), verdict.status));
            }
        }
        statuses.dedup_by_key(|(_, status)| *status);
        statuses
    });
    let (_orders, obeyed) = mpsc::channel(1);
    let last = engine.run(&publish, obeyed, tokio::time::sleep(stop_after)).await;
    drop(publish);
    let took = origin.elapsed();
    Run { last, seen, took, statuses: watching.await.unwrap() }
}

const HOUR: Duration = Duration::from_hours(1);
const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test(start_paused = true)]
async fn once_measures_everything_once_and_ends() {
    let run = run(200, Repeat::Once, 64, |_| Act::Pass, HOUR).await;
    assert!(run.last.is_complete());
    assert_eq!(run.last.summary().pass, 200);
    let seen = run.seen.lock().unwrap();
    assert_eq!(seen.most_running, 64);
    assert!(seen.starts.values().all(|starts| starts.len() == 1));
    assert!(run.took < Duration::from_secs(1), "{:?}", run.took);
}

#[tokio::test(start_paused = true)]
async fn starts_are_spread_and_keep_their_rhythm() {
    let run = run(60, Repeat::Every(MINUTE), 64, |_| Act::Pass, MINUTE * 5).await;
    let seen = run.seen.lock().unwrap();
    assert!(seen.most_running <= 3, "{}", seen.most_running);
    for starts in seen.starts.values() {
        assert!((4..=6).contains(&starts.len()), "{}", starts.len());
        assert!(
            starts[1..]
                .windows(2)
                .all(|pair| pair[1].abs_diff(pair[0]).abs_diff(MINUTE) < Duration::from_millis(20))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_target_never_overlaps_itself_and_its_skips_are_counted() {
    let run =
        run(1, Repeat::Every(MINUTE), 64, |_| Act::Slow(Duration::from_secs(150)), MINUTE * 20)
            .await;
    let seen = run.seen.lock().unwrap();
    assert!(!seen.overlapped);
    assert!(run.last.counters.skipped > 5, "{}", run.last.counters.skipped);
}

#[tokio::test(start_paused = true)]
async fn a_change_is_published_only_after_a_quick_second_look() {
    // The third run fails, and so does every later one.
    let run = run(
        1,
        Repeat::Every(MINUTE),
        64,
        |run| if run < 3 { Act::Pass } else { Act::Fail },
        MINUTE * 4,
    )
    .await;
    assert_eq!(
        run.statuses.iter().map(|(_, s)| *s).collect::<Vec<_>>(),
        [Status::Pass, Status::Fail]
    );
    let seen = run.seen.lock().unwrap();
    let starts = &seen.starts["host-0.example"];
    let confirmation = starts[3].abs_diff(starts[2]);
    assert!(confirmation < limits::CONFIRM_AFTER * 2, "{confirmation:?}");
}

#[tokio::test(start_paused = true)]
async fn a_single_lost_result_changes_nothing() {
    let run = run(
        1,
        Repeat::Every(MINUTE),
        64,
        |run| if run == 3 { Act::Fail } else { Act::Pass },
        MINUTE * 10,
    )
    .await;
    assert_eq!(run.statuses.iter().map(|(_, s)| *s).collect::<Vec<_>>(), [Status::Pass]);
    // It is still counted: the counters tell of measurements, not of what was published.
    assert_eq!(run.last.checks[0].failures, 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_in_flight_at_the_stop_is_no_failure() {
    let run = run(3, Repeat::Once, 64, |_| Act::Slow(HOUR), Duration::from_secs(5)).await;
    assert!(!run.last.is_complete());
    assert_eq!(run.last.summary().fail, 0);
    assert!(run.took < Duration::from_secs(6));
}

#[tokio::test(start_paused = true)]
async fn our_own_trouble_is_unknown() {
    let run = run(2, Repeat::Once, 64, |_| Act::Local, HOUR).await;
    assert_eq!(run.last.summary().unknown, 2);
    assert_eq!(run.last.findings.len(), 1);
    assert_eq!(run.last.findings[0].cause, Cause::LocalExhausted);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_probe_is_ours_and_stops_nothing() {
    let run = run(
        2,
        Repeat::Every(MINUTE),
        64,
        |run| if run == 1 { Act::Panic } else { Act::Pass },
        MINUTE * 3,
    )
    .await;
    assert_eq!(run.last.summary().pass, 2);
    assert_eq!(run.statuses.first().map(|(_, s)| *s), Some(Status::Unknown));
}

#[tokio::test(start_paused = true)]
async fn lateness_is_measured_when_places_are_scarce() {
    let run = run(50, Repeat::Once, 1, |_| Act::Pass, HOUR).await;
    assert_eq!(run.last.counters.lateness.count(), 50);
    assert!(run.last.counters.lateness.sum > 5.0, "{}", run.last.counters.lateness.sum);
}

fn replace(new: (Scripted, Setting, Options)) -> Command<Scripted> {
    Command::Replace { new: Box::new(new), reason: "SIGHUP".into() }
}

#[tokio::test(start_paused = true)]
async fn a_new_plan_replaces_the_old_one_at_once_and_keeps_what_is_the_same() {
    let origin = Instant::now();
    let seen = Arc::new(Mutex::new(Seen::default()));
    let scripted = |script: Script| Scripted {
        script,
        origin,
        runs: AtomicUsize::new(0),
        seen: Arc::clone(&seen),
    };
    let setting = |targets| Setting {
        plan: Arc::new(a_plan(targets)),
        network: Arc::new(network()),
        machine: Arc::new(Machine::default()),
        interval: Some(MINUTE),
        budget: Duration::from_secs(10),
    };
    let options = Options { repeat: Repeat::Every(MINUTE), concurrency: 64, seed: 1 };
    let mut engine = Engine::new(scripted(|_| Act::Pass), setting(3), &options, Past::default());
    let (publish, mut published) = watch::channel(engine.snapshot());
    let (orders, obeyed) = mpsc::channel(1);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(async move {
        engine
            .run(&publish, obeyed, async {
                let _ = stopped.await;
            })
            .await
    });
    published.wait_for(|snapshot| snapshot.is_complete()).await.unwrap();
    // Five targets, of which three are known; then two.
    let new = (scripted(|_| Act::Fail), setting(5), options.clone());
    orders.send(replace(new)).await.unwrap();
    let five = published.wait_for(|s| s.checks.len() == 5).await.unwrap().clone();
    assert_eq!((five.summary().pass, five.summary().unknown), (3, 2), "at once, state kept");
    let known: Vec<usize> = {
        let seen = seen.lock().unwrap();
        (0..5).map(|n| seen.starts.get(&format!("host-{n}.example")).map_or(0, Vec::len)).collect()
    };
    assert_eq!(known, [1, 1, 1, 0, 0]);
    published.wait_for(|snapshot| snapshot.is_complete()).await.unwrap();
    let new = (scripted(|_| Act::Slow(HOUR)), setting(2), options.clone());
    orders.send(replace(new)).await.unwrap();
    published.wait_for(|s| s.checks.len() == 2).await.unwrap();
    tokio::time::sleep(MINUTE * 2).await;
    assert_eq!(published.borrow().counters.in_flight, 2);
    // Probes of a target that is gone are abandoned.
    let new = (scripted(|_| Act::Pass), setting(1), options);
    orders.send(replace(new)).await.unwrap();
    published.wait_for(|s| s.checks.len() == 1).await.unwrap();
    assert_eq!(published.borrow().counters.in_flight, 1);
    stop.send(()).unwrap();
    assert_eq!(running.await.unwrap().checks.len(), 1);
}
