//! What is published when, and what is remembered of it.

mod events;

use super::*;
use crate::catalog;
use crate::journal::Sample;
use crate::model::{Cloud, Elapsed, Expect, Host, Kind};
use crate::observation::{
    AboveTcp, Answer, Climb, ClimbOutcome, ConnectFailure, DnsObservation, ExchangeOutcome,
    NetworkError, ServerObservation, ServerRole,
};
use crate::parameters::Parameters;
use crate::plan::{ExtraProbe, plan};

const INTERVAL: Duration = Duration::from_mins(1);
const BUDGET: Duration = Duration::from_secs(16);

/// This many seconds after the start.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_793_534_400 + seconds).unwrap()
}

/// Probes of these hosts; the same host twice is one target with two checks.
fn history(hosts: &[&str], interval: Option<Duration>) -> History {
    History::new(setting(hosts, interval), Past::default(), at(0))
}

fn setting(hosts: &[&str], interval: Option<Duration>) -> Setting {
    let probes: Vec<ExtraProbe> = hosts
        .iter()
        .enumerate()
        .map(|(number, host)| ExtraProbe {
            id: format!("probe-{number}"),
            target: Target {
                host: Host::parse(host).unwrap(),
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
    let network = NetworkFacts::default();
    let plan = plan(&catalog, &probes, &Parameters::default(), &network, |_| false);
    Setting {
        plan: Arc::new(plan),
        network: Arc::new(network),
        machine: Arc::new(Machine::default()),
        interval,
        budget: BUDGET,
    }
}

fn one() -> History {
    history(&["a.example"], Some(INTERVAL))
}

fn seen(outcome: ClimbOutcome) -> Outcome {
    let climb = Climb { ip: "203.0.113.1".parse().unwrap(), port: 443, outcome };
    Outcome::Observed(Arc::new(Observation {
        dns: None,
        climbs: vec![climb],
        ..Observation::default()
    }))
}

fn good() -> Outcome {
    seen(ClimbOutcome::Connected {
        elapsed: Elapsed(Duration::from_millis(2)),
        local: "192.0.2.1:1".parse().unwrap(),
        then: AboveTcp::Nothing { closed: false },
    })
}

fn failed(failure: ConnectFailure) -> Outcome {
    seen(ClimbOutcome::NotConnected { elapsed: Elapsed(Duration::from_millis(2)), failure })
}

fn dropped() -> Outcome {
    failed(ConnectFailure::Timeout)
}

fn refused() -> Outcome {
    failed(ConnectFailure::Network(NetworkError::Refused))
}

/// The first check as it is published at a moment.
fn published(history: &mut History, now: Timestamp) -> Arc<CheckReport> {
    Arc::clone(&history.snapshot(now, 0, 0).checks[0])
}

fn cause(history: &mut History, now: Timestamp) -> (Status, Option<Cause>) {
    let report = published(history, now);
    (report.status(), report.cause())
}

const PASS: (Status, Option<Cause>) = (Status::Pass, None);
const DROPPED: (Status, Option<Cause>) = (Status::Fail, Some(Cause::TcpTimeout));
const REFUSED: (Status, Option<Cause>) = (Status::Fail, Some(Cause::TcpRefused));
const OVERDUE: (Status, Option<Cause>) = (Status::Unknown, Some(Cause::Overdue));

#[test]
fn nothing_is_known_at_first() {
    let mut history = one();
    let report = published(&mut history, at(0));
    assert!(report.verdict.is_none() && report.since.is_none() && report.last_run_at.is_none());
    assert_eq!(report.status(), Status::Unknown);
    assert!(!history.snapshot(at(0), 0, 0).is_complete());
}

#[test]
fn the_first_result_is_published_at_once() {
    for (outcome, expected) in [(good(), PASS), (dropped(), DROPPED)] {
        let mut history = one();
        assert_eq!(history.fold(0, &outcome, at(1)), Next::Regular);
        assert_eq!(cause(&mut history, at(1)), expected);
        assert_eq!(published(&mut history, at(1)).since, Some(at(1)));
    }
}

#[test]
fn a_change_is_believed_the_second_time() {
    let mut history = one();
    history.fold(0, &good(), at(1));
    assert_eq!(history.fold(0, &dropped(), at(61)), Next::Confirm);
    assert_eq!(cause(&mut history, at(61)), PASS);
    assert!(published(&mut history, at(61)).observation.is_some());
    assert_eq!(history.fold(0, &dropped(), at(62)), Next::Regular);
    assert_eq!(cause(&mut history, at(62)), DROPPED);
}

#[test]
fn one_surprise_is_forgotten() {
    let mut history = one();
    history.fold(0, &good(), at(1));
    assert_eq!(history.fold(0, &dropped(), at(61)), Next::Confirm);
    assert_eq!(history.fold(0, &good(), at(62)), Next::Regular);
    let report = published(&mut history, at(62));
    assert_eq!((report.status(), report.since), (Status::Pass, Some(at(1))));
    assert_eq!((report.attempts, report.failures), (3, 1));
    // And the next one is a first surprise again.
    assert_eq!(history.fold(0, &dropped(), at(121)), Next::Confirm);
    assert_eq!(cause(&mut history, at(121)), PASS);
}

#[test]
fn a_second_measurement_that_differs_again_is_published() {
    let mut history = one();
    history.fold(0, &good(), at(1));
    assert_eq!(history.fold(0, &dropped(), at(61)), Next::Confirm);
    assert_eq!(history.fold(0, &refused(), at(62)), Next::Regular);
    assert_eq!(cause(&mut history, at(62)), REFUSED);
    assert_eq!(published(&mut history, at(62)).since, Some(at(62)));
}

#[test]
fn another_cause_of_the_same_status_is_a_change_too() {
    let mut history = one();
    history.fold(0, &dropped(), at(1));
    assert_eq!(history.fold(0, &refused(), at(61)), Next::Confirm);
    assert_eq!(cause(&mut history, at(61)), DROPPED);
    history.fold(0, &refused(), at(62));
    assert_eq!(cause(&mut history, at(62)), REFUSED);
}

#[test]
fn recovery_is_confirmed_as_well() {
    let mut history = one();
    history.fold(0, &dropped(), at(1));
    assert_eq!(history.fold(0, &good(), at(61)), Next::Confirm);
    assert_eq!(cause(&mut history, at(61)), DROPPED);
    assert_eq!(history.fold(0, &good(), at(62)), Next::Regular);
    assert_eq!(cause(&mut history, at(62)), PASS);
}

#[test]
fn times_and_counters_are_of_measurements_and_since_of_what_is_published() {
    let mut history = one();
    history.fold(0, &good(), at(1));
    history.fold(0, &good(), at(61));
    let report = published(&mut history, at(61));
    assert_eq!((report.since, report.last_success_at), (Some(at(1)), Some(at(61))));
    history.fold(0, &dropped(), at(121));
    history.fold(0, &dropped(), at(122));
    history.fold(0, &dropped(), at(181));
    let report = published(&mut history, at(181));
    assert_eq!(report.since, Some(at(122)));
    assert_eq!(report.last_success_at, Some(at(61)));
    assert_eq!(report.last_run_at, Some(at(181)));
    assert_eq!((report.attempts, report.failures), (5, 3));
}

#[test]
fn a_result_is_overdue_after_three_intervals_and_one_budget() {
    let mut history = one();
    history.fold(0, &dropped(), at(0));
    let limit = 3 * 60 + 16;
    assert_eq!(cause(&mut history, at(limit)), DROPPED);
    assert_eq!(cause(&mut history, at(limit + 1)), OVERDUE);
    let snapshot = history.snapshot(at(limit + 1), 0, 0);
    assert_eq!(snapshot.findings.len(), 1, "the old fault is no longer claimed");
    assert_eq!(snapshot.findings[0].cause, Cause::Overdue);
    let summary = snapshot.checks[0].summary().to_owned();
    assert!(summary.contains("a.example:443 was last measured 197 s ago"), "{summary}");
    // A new result ends it, and it is not a change that needs confirmation.
    assert_eq!(history.fold(0, &dropped(), at(300)), Next::Regular);
    assert_eq!(cause(&mut history, at(300)), DROPPED);
}

#[test]
fn a_check_that_was_never_measured_gets_overdue_too_and_says_so() {
    let mut history = one();
    assert!(published(&mut history, at(196)).verdict.is_none());
    assert_eq!(cause(&mut history, at(197)), OVERDUE);
    let summary = published(&mut history, at(197)).summary().to_owned();
    assert!(summary.contains("a.example:443 was never measured in 197 s"), "{summary}");
}

#[test]
fn a_one_shot_run_is_never_overdue() {
    let mut history = history(&["a.example"], None);
    history.fold(0, &good(), at(0));
    assert_eq!(cause(&mut history, at(1_000_000)), PASS);
}

fn after_a_loss() -> Outcome {
    seen(ClimbOutcome::Connected {
        elapsed: Elapsed(Duration::from_millis(1_020)),
        local: "192.0.2.1:1".parse().unwrap(),
        then: AboveTcp::Nothing { closed: false },
    })
}

const LOSS: (Status, Option<Cause>) = (Status::Warn, Some(Cause::TcpSynLoss));

#[test]
fn packets_lost_now_and_then_are_not_told() {
    let mut history = one();
    // Also not in the first round, and not when two happen to follow each other.
    for (second, outcome) in
        [after_a_loss(), good(), after_a_loss(), after_a_loss(), good()].iter().enumerate()
    {
        let second = i64::try_from(second).unwrap();
        assert_eq!(history.fold(0, outcome, at(second)), Next::Regular);
        assert_eq!(cause(&mut history, at(second)), PASS);
    }
    assert!(published(&mut history, at(5)).summary().contains("accepts TCP"));
}

#[test]
fn packets_lost_every_time_are_told() {
    let mut history = one();
    for second in 0..3 {
        history.fold(0, &after_a_loss(), at(second));
        assert_eq!(cause(&mut history, at(second)), PASS);
    }
    assert_eq!(history.fold(0, &after_a_loss(), at(3)), Next::Confirm);
    history.fold(0, &after_a_loss(), at(4));
    assert_eq!(cause(&mut history, at(4)), LOSS);
}

#[test]
fn who_looks_once_is_told_of_a_lost_packet() {
    let mut history = history(&["a.example"], None);
    history.fold(0, &after_a_loss(), at(1));
    assert_eq!(cause(&mut history, at(1)), LOSS);
}

#[test]
fn a_clock_set_back_makes_nothing_overdue() {
    let mut history = one();
    history.fold(0, &good(), at(0));
    assert_eq!(cause(&mut history, at(-1_000_000)), PASS);
}

#[test]
fn what_is_known_is_as_old_as_before_when_the_clock_is_set() {
    for by in [3_600, -3_600] {
        let mut history = one();
        history.fold(0, &good(), at(1));
        history.fold(0, &dropped(), at(61));
        history.fold(0, &dropped(), at(62));
        history.clock_set(SignedDuration::from_secs(by), at(by + 63));
        let report = published(&mut history, at(by + 63));
        assert_eq!((report.status(), report.cause()), DROPPED);
        assert_eq!(report.last_run_at, Some(at(by + 62)));
        assert_eq!(report.since, Some(at(by + 62)));
        assert_eq!(report.last_success_at, Some(at(by + 1)));
        assert_eq!(report.strip.newest_first().next().map(Sample::at), Some(at(by + 62)));
        // It gets old by the new clock, too.
        assert_eq!(cause(&mut history, at(by + 62 + 196)), DROPPED);
        assert_eq!(cause(&mut history, at(by + 62 + 197)), OVERDUE);
        let snapshot = history.snapshot(at(by + 63), 0, 0);
        assert_eq!(snapshot.started_at, at(by));
        let set = What::ClockSet { from: at(63) };
        assert!(
            snapshot.journal.since(0).any(|event| event.what == set && event.at == at(by + 63))
        );
    }
}

#[test]
fn a_probe_that_breaks_down_is_our_fault() {
    let mut history = one();
    history.fold(0, &good(), at(1));
    let broken = Outcome::Broken("index\nout of bounds".into());
    assert_eq!(history.fold(0, &broken, at(61)), Next::Confirm);
    history.fold(0, &broken, at(62));
    let report = published(&mut history, at(62));
    assert_eq!((report.status(), report.cause()), OVERDUE);
    assert!(report.observation.is_none());
    assert!(!report.summary().contains('\n'), "{}", report.summary());
    assert_eq!((report.failures, report.last_success_at), (0, Some(at(1))));
}

#[test]
fn the_first_round_is_complete_with_the_last_first_result() {
    let mut history = history(&["a.example", "b.example", "a.example"], Some(INTERVAL));
    assert_eq!(history.snapshot(at(0), 0, 0).checks.len(), 3);
    history.fold(0, &good(), at(1));
    assert!(!history.snapshot(at(1), 0, 0).is_complete());
    history.fold(1, &dropped(), at(2));
    history.fold(0, &good(), at(3));
    let snapshot = history.snapshot(at(3), 0, 0);
    assert_eq!(snapshot.first_round_at, Some(at(2)));
    // One measurement of a target is a result for each of its checks.
    assert_eq!(snapshot.checks[2].attempts, 2);
    assert_eq!((snapshot.summary().pass, snapshot.summary().fail), (2, 1));
}

#[test]
fn a_result_for_an_unknown_slot_changes_nothing() {
    let mut history = one();
    assert_eq!(history.fold(7, &dropped(), at(1)), Next::Regular);
    assert!(published(&mut history, at(1)).verdict.is_none());
}

#[test]
fn questions_to_dns_servers_are_counted_per_server() {
    let answer = |rcode| {
        ExchangeOutcome::Answer(Answer {
            rcode,
            chain: Vec::new(),
            chain_loops: false,
            addresses: Vec::new(),
            negative_ttl: None,
        })
    };
    let exchange = |outcome| Exchange {
        elapsed: Elapsed(Duration::from_millis(3)),
        attempts: 1,
        over_tcp: false,
        outcome,
    };
    let server = ServerObservation {
        server: "10.0.0.4:53".parse().unwrap(),
        role: ServerRole::Configured,
        a: exchange(answer(Rcode::NxDomain)),
        aaaa: exchange(answer(Rcode::ServFail)),
    };
    let dns = DnsObservation { hosts_file: Vec::new(), servers: vec![server.clone()] };
    let mut history = one();
    let outcome =
        Outcome::Observed(Arc::new(Observation { dns: Some(dns), ..Observation::default() }));
    history.fold(0, &outcome, at(1));
    history.fold(0, &outcome, at(61));
    let counters = history.snapshot(at(61), 0, 0).counters;
    let counted = &counters.dns_servers[&server.server];
    assert_eq!((counted.queries, counted.failures, counted.duration.count()), (4, 2, 4));
}
