//! Which follow-ups are planned, with which names, and how often.

use std::net::IpAddr;

use super::*;
use crate::model::Kind;
use crate::observation::{
    Answer, DnsObservation, HandshakeEnd, HttpObservation, NetworkError, ProxyObservation,
    ProxyOutcome, Rcode, ServerRole, SmbObservation, TlsObservation, Trial,
};

const AT: &str = "20.140.2.1:443";

fn at() -> SocketAddr {
    AT.parse().unwrap()
}

fn host(name: &str) -> Host {
    Host::parse(name).unwrap()
}

fn target() -> Target {
    Target { host: host("pypi.org"), port: Some(443), kind: Kind::Tls, path: "/".to_owned() }
}

fn climb(at: SocketAddr, outcome: TlsOutcome) -> Climb {
    let tls = TlsObservation {
        elapsed: Elapsed::default(),
        chain: Vec::new(),
        trust: None,
        client_certificate_asked: false,
        outcome,
    };
    let outcome = ClimbOutcome::Connected {
        elapsed: Elapsed::default(),
        local: at,
        then: AboveTcp::Tls(Box::new(tls)),
    };
    Climb { ip: at.ip(), port: at.port(), outcome }
}

fn failing(failures: &[(SocketAddr, TlsFailure)]) -> Observation {
    let climbs = failures
        .iter()
        .map(|(at, failure)| climb(*at, TlsOutcome::Failed(failure.clone())))
        .collect();
    Observation { climbs, ..Observation::default() }
}

fn planned(failure: TlsFailure) -> Vec<Wanted> {
    plan(&target(), &failing(&[(at(), failure)]))
}

#[test]
fn every_failure_has_its_follow_ups() {
    let at = at();
    let (first, second) = (Wanted::OtherName { at, nth: 0 }, Wanted::OtherName { at, nth: 1 });
    let (silent, clear) = (Wanted::SilentWait { at }, Wanted::ClearText { at });
    let closed = vec![first, silent, clear, second];
    assert_eq!(planned(TlsFailure::Closed { heard: false }), closed);
    assert_eq!(planned(TlsFailure::Reset { heard: false }), closed);
    let small = Wanted::SmallSegments { at };
    let (short, long) = (Wanted::SmallGreeting { at }, Wanted::LargeGreeting { at });
    assert_eq!(planned(TlsFailure::Timeout), [first, small, short, long, silent, second]);
    assert_eq!(planned(TlsFailure::NotTls("SSH-2.0".to_owned())), [clear]);
    for settled in [
        TlsFailure::Closed { heard: true },
        TlsFailure::Alert { code: 40, name: "handshake_failure".to_owned() },
        TlsFailure::NothingInCommon(String::new()),
        TlsFailure::Protocol(String::new()),
    ] {
        assert_eq!(planned(settled), []);
    }
    assert_eq!(plan(&target(), &Observation::default()), []);
}

#[test]
fn a_close_on_a_request_in_the_clear_is_tried_in_silence() {
    let at = at();
    let seen = |then: AboveTcp| {
        let outcome = ClimbOutcome::Connected { elapsed: Elapsed::default(), local: at, then };
        let climbs = vec![Climb { ip: at.ip(), port: at.port(), outcome }];
        plan(&target(), &Observation { climbs, ..Observation::default() })
    };
    let elapsed = Elapsed::default();
    let smb = |outcome| AboveTcp::Smb(SmbObservation { elapsed, outcome });
    let http = |outcome| AboveTcp::Http(HttpObservation { elapsed, outcome });
    assert_eq!(seen(smb(SmbOutcome::Closed)), [Wanted::SilentWait { at }]);
    assert_eq!(seen(http(HttpOutcome::Closed)), [Wanted::SilentWait { at }]);
    for settled in [SmbOutcome::Timeout, SmbOutcome::NotSmb(String::new())] {
        assert_eq!(seen(smb(settled)), []);
    }
    assert_eq!(seen(http(HttpOutcome::Timeout)), []);
}

#[test]
fn many_addresses_stay_within_the_limit() {
    let addresses: Vec<SocketAddr> =
        (1..=8).map(|n| SocketAddr::from(([20, 140, 2, n], 443))).collect();
    let failures: Vec<_> = addresses.iter().map(|at| (*at, TlsFailure::Timeout)).collect();
    let planned = plan(&target(), &failing(&failures));
    assert_eq!(planned.len(), limits::EXPERIMENTS_PER_PROBE);
    assert_eq!(planned[6..], [1, 2].map(|n| Wanted::OtherName { at: addresses[n], nth: 0 }));
}

#[test]
fn behind_a_proxy_the_address_is_not_tried() {
    let mut seen = failing(&[(at(), TlsFailure::Timeout)]);
    seen.proxy = Some(ProxyObservation {
        url: "http://proxy:3128".to_owned(),
        why: "HTTPS_PROXY".to_owned(),
        address: None,
        elapsed: Elapsed::default(),
        outcome: ProxyOutcome::Open,
        lives: None,
    });
    assert_eq!(plan(&target(), &seen), []);
}

fn exchange(outcome: ExchangeOutcome) -> Exchange {
    Exchange { elapsed: Elapsed::default(), attempts: 2, over_tcp: false, outcome }
}

#[test]
fn servers_without_an_answer_are_asked_over_tcp() {
    let failed = |failure: DnsFailure| exchange(ExchangeOutcome::Failed(failure));
    let answer = |rcode| {
        let chain = Vec::new();
        let answer =
            Answer { rcode, chain, chain_loops: false, addresses: Vec::new(), negative_ttl: None };
        exchange(ExchangeOutcome::Answer(answer))
    };
    let server: SocketAddr = "10.0.0.4:53".parse().unwrap();
    let asked = |role, a: Exchange, aaaa: Exchange| {
        let servers = vec![ServerObservation { server, role, a, aaaa }];
        let dns = Some(DnsObservation { hosts_file: Vec::new(), servers });
        plan(&target(), &Observation { dns, ..Observation::default() })
    };
    let own = ServerRole::Configured;
    let v4 = [Wanted::DnsOverTcp { server, ipv6: false }];
    for failure in [
        DnsFailure::Timeout,
        DnsFailure::Unreachable(NetworkError::Refused),
        DnsFailure::Malformed(String::new()),
    ] {
        assert_eq!(asked(own, failed(failure.clone()), failed(failure)), v4);
    }
    let v6 = asked(own, answer(Rcode::NoError), failed(DnsFailure::Timeout));
    assert_eq!(v6, [Wanted::DnsOverTcp { server, ipv6: true }]);
    assert_eq!(asked(own, answer(Rcode::NxDomain), failed(DnsFailure::Timeout)), []);
    assert_eq!(asked(own, answer(Rcode::Refused), answer(Rcode::Refused)), []);
    let silent = || failed(DnsFailure::Timeout);
    assert_eq!(asked(ServerRole::Reference, silent(), silent()), []);
}

// --------------------------------------------------------------------------------- other names

#[test]
fn other_names_are_never_the_target() {
    let mut passed = Passed::new(Cloud::UsGovernment);
    let sign_in = host("login.microsoftonline.us");
    let registry = host("mcr.microsoft.com");
    assert_eq!(passed.others(&target().host), [sign_in.clone(), registry.clone()]);
    assert!(!passed.others(&sign_in).contains(&sign_in));
    passed.note(&registry);
    passed.note(&target().host);
    assert_eq!(passed.others(&target().host), [registry.clone(), sign_in.clone()]);
    assert_eq!(passed.others(&registry), [target().host, sign_in]);
    passed.note(&Host::Ip(IpAddr::from([20, 140, 2, 1])));
    for n in 0..100 {
        passed.note(&host(&format!("n{n}.example")));
    }
    assert_eq!(passed.lately.len(), limits::PASSED_NAMES);
    assert_eq!(passed.others(&target().host)[0], host("n99.example"));
}

// ----------------------------------------------------------------------------------- how often

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn made(name: &str) -> Vec<Experiment> {
    let trial = Trial::OtherName {
        ip: at().ip(),
        name: host(name),
        outcome: HandshakeEnd::Completed(None),
    };
    vec![Experiment { elapsed: Elapsed::default(), trial }]
}

/// Decides and, like a probe, keeps what was made.
fn round(recent: &mut Recent, host: &Host, plan: &[Wanted], now: u64) -> Decision {
    let decision = recent.decide(host, plan, seconds(now));
    if decision == Decision::Make {
        recent.keep(host, plan.to_vec(), made(&format!("t{now}.example")), seconds(now));
    }
    decision
}

fn stands(decision: &Decision) -> Option<u64> {
    match decision {
        Decision::Stand { age, .. } => Some(age.0.as_secs()),
        _ => None,
    }
}

#[test]
fn twice_a_minute_and_what_was_found_stands_meanwhile() {
    let (mut recent, host) = (Recent::new(Repeat::Every(seconds(60))), host("pypi.org"));
    let plan = planned(TlsFailure::Timeout);
    assert_eq!(round(&mut recent, &host, &plan, 0), Decision::Make);
    assert_eq!(round(&mut recent, &host, &plan, 1), Decision::Make);
    for now in 2..60 {
        assert_eq!(stands(&round(&mut recent, &host, &plan, now)), Some(now - 1));
    }
    // Confirmed results stand a little longer than the window.
    assert_eq!(stands(&round(&mut recent, &host, &plan, 61)), Some(60));
    assert_eq!(round(&mut recent, &host, &plan, 101), Decision::Make);
    // The same on another address of the name is the same; another failure is not.
    let moved = plan_at("20.140.2.9:443");
    assert_eq!(stands(&round(&mut recent, &host, &moved, 102)), Some(1));
    let closed = planned(TlsFailure::Closed { heard: false });
    assert_eq!(round(&mut recent, &host, &closed, 103), Decision::Make);
    let odd = planned(TlsFailure::NotTls(String::new()));
    assert_eq!(round(&mut recent, &host, &odd, 104), Decision::Nothing);
}

fn plan_at(place: &str) -> Vec<Wanted> {
    plan(&target(), &failing(&[(place.parse().unwrap(), TlsFailure::Timeout)]))
}

/// Three failing ports of one host, every minute: none goes without, and none goes stale.
#[test]
fn the_ports_of_a_host_take_turns() {
    let (mut recent, host) =
        (Recent::new(Repeat::Every(seconds(60))), host("ci-alice.instances.azureml.us"));
    let plans = ["20.140.2.1:443", "20.140.2.1:8787", "20.140.2.1:18881"].map(plan_at);
    let mut times: Vec<u64> = Vec::new();
    for minute in 0..60 {
        for (offset, plan) in plans.iter().enumerate() {
            let now = minute * 60 + offset as u64 * 7;
            let decision = round(&mut recent, &host, plan, now);
            if decision == Decision::Make {
                times.push(now);
            }
            assert!(minute < 3 || decision != Decision::Nothing, "{now}: {plan:?}");
            assert!(stands(&decision).is_none_or(|age| age <= 180), "{now}: {decision:?}");
        }
    }
    for three in times.windows(3) {
        assert!(three[2] - three[0] >= 60, "{three:?}");
    }
}

#[test]
fn the_table_is_bounded_and_old_results_are_forgotten() {
    let mut recent = Recent::new(Repeat::Every(seconds(60)));
    let plan = planned(TlsFailure::Timeout);
    let name = |n: usize| host(&format!("n{n}.example"));
    for n in 0..limits::EXPERIMENT_HOSTS {
        assert_eq!(round(&mut recent, &name(n), &plan, 0), Decision::Make);
    }
    assert_eq!(round(&mut recent, &name(5_000), &plan, 1), Decision::Nothing);
    assert_eq!(round(&mut recent, &name(0), &plan, 1), Decision::Make);
    assert_eq!(round(&mut recent, &name(5_000), &plan, 300), Decision::Make);
    assert!(recent.hosts.len() < limits::EXPERIMENT_HOSTS);
    assert_eq!(round(&mut recent, &name(0), &plan, 400), Decision::Make);
}

#[test]
fn a_single_run_follows_up_every_target() {
    let (mut recent, host) = (Recent::new(Repeat::Once), host("ci-alice.instances.azureml.us"));
    for port in [443, 8443, 8787, 18_881] {
        let plan = plan_at(&format!("20.140.2.1:{port}"));
        assert_eq!(round(&mut recent, &host, &plan, 0), Decision::Make);
    }
}
