//! What is told of what happened, over restarts and reloads too.

use super::*;
use crate::journal::{Event, PastCheck, Sample, State, Strip};
use crate::observation::{AddressRecord, TlsObservation, TlsOutcome};

fn whats(history: &mut History, now: Timestamp) -> Vec<What> {
    history.snapshot(now, 0, 0).journal.since(0).map(|event| event.what.clone()).collect()
}

fn state(status: Status, cause: Option<Cause>) -> State {
    State { status, cause }
}

const GOOD: State = State { status: Status::Pass, cause: None };

#[test]
fn a_first_pass_is_no_news_and_a_first_failure_is() {
    let mut history = history(&["a.example", "b.example"], Some(INTERVAL));
    history.fold(0, &good(), at(1));
    assert_eq!(whats(&mut history, at(1)), []);
    history.fold(1, &dropped(), at(2));
    let [What::Check { check, from, to, summary, observation }] = &whats(&mut history, at(2))[..]
    else {
        panic!("one event");
    };
    assert_eq!((check.as_str(), *from), ("probe-1@b.example:443", State::UNMEASURED));
    assert_eq!(*to, state(Status::Fail, Some(Cause::TcpTimeout)));
    assert!(!summary.is_empty() && observation.is_some());
}

#[test]
fn only_confirmed_changes_are_told() {
    let mut history = one();
    for (second, outcome) in [good(), dropped(), good(), dropped(), dropped()].iter().enumerate() {
        history.fold(0, outcome, at(i64::try_from(second).unwrap()));
    }
    let changes: Vec<Event> = history
        .snapshot(at(9), 0, 0)
        .journal
        .since(0)
        .filter(|event| event.what.check().is_some())
        .map(|event| Event::clone(event))
        .collect();
    assert_eq!(changes.len(), 1);
    assert_eq!((changes[0].number, changes[0].at), (1, at(4)));
    // The strip shows what was measured, believed or not.
    let statuses: Vec<Status> = published(&mut history, at(9))
        .strip
        .samples()
        .into_iter()
        .map(|s| s.state().status)
        .collect();
    assert_eq!(statuses, [Status::Pass, Status::Fail, Status::Pass, Status::Fail, Status::Fail]);
}

#[test]
fn a_finding_is_told_when_it_has_stood_for_an_interval_and_when_it_is_gone() {
    let mut history = one();
    history.fold(0, &dropped(), at(0));
    let told = |history: &mut History, now| {
        let whats = whats(history, now);
        let opened = whats.iter().filter(|what| matches!(what, What::Opened { .. })).count();
        (opened, whats.iter().filter(|what| matches!(what, What::Closed { .. })).count())
    };
    assert_eq!(told(&mut history, at(0)), (0, 0));
    assert_eq!(told(&mut history, at(59)), (0, 0));
    assert_eq!(told(&mut history, at(60)), (1, 0));
    assert_eq!(told(&mut history, at(120)), (1, 0));
    history.fold(0, &good(), at(121));
    history.fold(0, &good(), at(122));
    assert_eq!(told(&mut history, at(122)), (1, 1));
    // One that comes and goes within an interval is told neither way.
    history.fold(0, &refused(), at(181));
    history.fold(0, &refused(), at(182));
    assert_eq!(told(&mut history, at(182)), (1, 1));
    history.fold(0, &good(), at(190));
    history.fold(0, &good(), at(191));
    assert_eq!(told(&mut history, at(191)), (1, 1));
}

#[test]
fn a_finding_knows_since_when() {
    let mut history = history(&["a.example", "b.example"], Some(INTERVAL));
    history.fold(0, &dropped(), at(5));
    history.fold(1, &dropped(), at(9));
    let finding = history.snapshot(at(10), 0, 0).findings.remove(0);
    assert_eq!(finding.since, Some(at(5)));
    assert!(finding.id.starts_with("tcp_timeout@"), "{}", finding.id);
}

// -------------------------------------------------------------------------------------- restarts

fn past(state: State) -> Past {
    let sample = Sample::new(at(-70), state, None);
    let check = PastCheck {
        state,
        since: at(-500),
        last_success_at: Some(at(-600)),
        strip: Strip::from_iter([sample]),
    };
    let open = ("tcp_timeout@gone".to_owned(), Cause::TcpTimeout);
    Past {
        last_event: 41,
        checks: [("probe-0@a.example:443".to_owned(), check)].into(),
        open: [open].into(),
    }
}

fn restarted(state: State) -> History {
    History::new(setting(&["a.example"], Some(INTERVAL)), past(state), at(0))
}

#[test]
fn what_was_so_before_a_restart_is_so_since_then() {
    let failed = state(Status::Fail, Some(Cause::TcpTimeout));
    let mut history = restarted(failed);
    assert!(published(&mut history, at(0)).verdict.is_none());
    history.fold(0, &dropped(), at(1));
    let report = published(&mut history, at(1));
    assert_eq!((report.since, report.last_success_at), (Some(at(-500)), Some(at(-600))));
    assert_eq!(report.strip.samples().len(), 2);
    assert!(whats(&mut history, at(1)).iter().all(|what| what.check().is_none()));
}

#[test]
fn what_changed_during_a_restart_is_told() {
    let mut history = restarted(GOOD);
    history.fold(0, &dropped(), at(1));
    let snapshot = history.snapshot(at(1), 0, 0);
    let event = snapshot.journal.since(0).next().unwrap();
    assert_eq!(event.number, 42, "the numbers go on");
    assert!(matches!(event.what, What::Check { from: GOOD, .. }), "{event:?}");
    assert_eq!(snapshot.checks[0].since, Some(at(1)));
}

#[test]
fn a_finding_that_is_gone_after_a_restart_is_told() {
    let mut history = restarted(GOOD);
    assert_eq!(whats(&mut history, at(0)), [], "nothing is known before the first round");
    history.fold(0, &good(), at(1));
    let closed = What::Closed { finding: "tcp_timeout@gone".into(), cause: Cause::TcpTimeout };
    assert_eq!(whats(&mut history, at(1)), [closed]);
}

// --------------------------------------------------------------------------------------- reloads

#[test]
fn a_reload_keeps_what_is_the_same_and_nothing_else() {
    let mut history = history(&["a.example", "b.example"], Some(INTERVAL));
    history.fold(0, &good(), at(1));
    history.fold(1, &dropped(), at(2));
    history.replace(setting(&["a.example", "c.example"], Some(INTERVAL)), "SIGHUP", at(30));
    let snapshot = history.snapshot(at(30), 0, 0);
    let hosts: Vec<String> =
        snapshot.checks.iter().map(|r| r.check.target.host.to_string()).collect();
    assert_eq!(hosts, ["a.example", "c.example"]);
    assert_eq!((snapshot.checks[0].attempts, snapshot.checks[0].since), (1, Some(at(1))));
    assert!(snapshot.checks[1].verdict.is_none() && !snapshot.is_complete());
    assert_eq!(snapshot.plan.checks.len(), 2);
    assert_eq!(snapshot.counters.config_loaded_at, at(30));
    let last = snapshot.journal.since(0).last().unwrap().what.clone();
    assert_eq!(last, What::Reloaded { reason: "SIGHUP".into(), added: 1, removed: 1 });
    // Results go where they belong in the new plan.
    history.fold(1, &refused(), at(31));
    assert!(history.snapshot(at(31), 0, 0).is_complete());
    assert_eq!(history.snapshot(at(31), 0, 0).checks[1].cause(), Some(Cause::TcpRefused));
}

#[test]
fn new_facts_judge_what_was_seen_anew() {
    let mut history = History::new(private("10.0.0.0/8"), Past::default(), at(0));
    history.fold(0, &resolved("10.1.2.3", None), at(1));
    assert_eq!(cause(&mut history, at(1)), PASS);
    history.replace(private("192.168.0.0/16"), "SIGHUP", at(30));
    let (status, cause) = cause(&mut history, at(30));
    assert_eq!(status, Status::Fail, "{cause:?}");
    assert!(whats(&mut history, at(30)).iter().any(|what| what.check().is_some()));
}

#[test]
fn a_refused_reload_is_shown_until_one_works() {
    let mut history = one();
    history.refuse_reload("probes.toml:3:1: no\nsuch key", at(1));
    let snapshot = history.snapshot(at(1), 0, 0);
    assert!(snapshot.reload_refused.is_some_and(|why| !why.contains('\n')));
    history.replace(setting(&["a.example"], Some(INTERVAL)), "SIGHUP", at(2));
    assert_eq!(history.snapshot(at(2), 0, 0).reload_refused, None);
}

// ------------------------------------------------------------------------- what the network shows

/// One check that expects a private address.
fn private(range: &str) -> Setting {
    let mut setting = setting(&["a.example"], Some(INTERVAL));
    let network =
        NetworkFacts { private_ranges: vec![range.parse().unwrap()], ..NetworkFacts::default() };
    let mut plan = Plan::clone(&setting.plan);
    Arc::make_mut(&mut plan.checks[0]).expectation.expect = Expect::Private;
    setting.plan = Arc::new(plan);
    setting.network = Arc::new(network);
    setting
}

fn resolved(ip: &str, issuer: Option<&str>) -> Outcome {
    let answer = |addresses| {
        ExchangeOutcome::Answer(Answer {
            rcode: Rcode::NoError,
            chain: Vec::new(),
            chain_loops: false,
            addresses,
            negative_ttl: None,
        })
    };
    let exchange = |outcome| Exchange {
        elapsed: Elapsed(Duration::from_millis(3)),
        attempts: 1,
        over_tcp: false,
        outcome,
    };
    let ip = ip.parse().unwrap();
    let server = ServerObservation {
        server: "10.0.0.4:53".parse().unwrap(),
        role: ServerRole::Configured,
        a: exchange(answer(vec![AddressRecord { ip, ttl: 60 }])),
        aaaa: exchange(answer(Vec::new())),
    };
    let then = match issuer {
        None => AboveTcp::Nothing { closed: false },
        Some(issuer) => AboveTcp::Tls(Box::new(TlsObservation {
            elapsed: Elapsed(Duration::from_millis(3)),
            chain: vec![certificate(issuer).into()],
            trust: None,
            client_certificate_asked: false,
            outcome: TlsOutcome::Failed(crate::observation::TlsFailure::Timeout),
        })),
    };
    let outcome = ClimbOutcome::Connected {
        elapsed: Elapsed(Duration::from_millis(2)),
        local: "192.0.2.1:1".parse().unwrap(),
        then,
    };
    Outcome::Observed(Arc::new(Observation {
        dns: Some(DnsObservation { hosts_file: Vec::new(), servers: vec![server] }),
        climbs: vec![Climb { ip, port: 443, outcome }],
        ..Observation::default()
    }))
}

fn certificate(issuer: &str) -> crate::observation::CertificateFacts {
    crate::observation::CertificateFacts {
        subject: "CN=a.example".into(),
        issuer: issuer.into(),
        names: Vec::new(),
        more_names: 0,
        not_before: at(-1000),
        not_after: at(100_000_000),
        self_signed: false,
        issuer_url: None,
        sha256: String::new(),
    }
}

#[test]
fn a_private_address_that_moves_is_told_and_a_public_one_is_not() {
    let moves = |from: &str, to: &str| {
        let mut history = History::new(private("10.0.0.0/8"), Past::default(), at(0));
        for (second, ip) in [from, to, to].iter().enumerate() {
            history.fold(0, &resolved(ip, None), at(i64::try_from(second).unwrap()));
        }
        let whats = whats(&mut history, at(9));
        whats.iter().filter(|what| matches!(what, What::Addresses { .. })).count()
    };
    assert_eq!(moves("10.1.2.3", "10.1.2.4"), 1);
    assert_eq!(moves("10.1.2.3", "203.0.113.9"), 1);
    assert_eq!(moves("203.0.113.9", "203.0.113.10"), 0);
    assert_eq!(moves("10.1.2.3", "10.1.2.3"), 0);
}

#[test]
fn an_issuer_is_told_once_when_it_is_new() {
    let mut history = History::new(private("10.0.0.0/8"), Past::default(), at(0));
    for (second, issuer) in ["CA 1", "CA 2", "CA 1", "CA 2", "Box"].iter().enumerate() {
        history.fold(0, &resolved("10.1.2.3", Some(issuer)), at(i64::try_from(second).unwrap()));
    }
    let issuers: Vec<String> = whats(&mut history, at(9))
        .into_iter()
        .filter_map(|what| match what {
            What::Issuer { from, to, .. } => Some(format!("{from} > {to}")),
            _ => None,
        })
        .collect();
    assert_eq!(issuers, ["CA 1 > CA 2", "CA 2 > Box"]);
}

#[test]
fn a_step_of_the_usual_time_is_told_and_an_outlier_is_not() {
    let took = |ms| {
        seen(ClimbOutcome::Connected {
            elapsed: Elapsed(Duration::from_millis(ms)),
            local: "192.0.2.1:1".parse().unwrap(),
            then: AboveTcp::Nothing { closed: false },
        })
    };
    let mut history = one();
    let times = [10, 11, 10, 900, 10, 11, 12, 200, 210, 190, 205, 220, 200, 10];
    for (second, ms) in times.iter().enumerate() {
        history.fold(0, &took(*ms), at(i64::try_from(second).unwrap()));
    }
    let steps = whats(&mut history, at(99));
    let [What::Latency { from, to, .. }] = &steps[..] else { panic!("{steps:?}") };
    assert!(from.0 < Duration::from_millis(20) && to.0 >= Duration::from_millis(190));
}
