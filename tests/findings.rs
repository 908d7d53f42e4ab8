//! Failing checks become real-world faults, and faults decide what people can do.
#![expect(clippy::unwrap_used, reason = "values written here are good")]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use vnetprobe::cause::Cause;
use vnetprobe::check::{Check, Expectation, Target};
use vnetprobe::finding::{self, Finding};
use vnetprobe::journal::Strip;
use vnetprobe::machine::Machine;
use vnetprobe::model::{Cloud, Elapsed, Expect, Host, Kind, Proof, Status};
use vnetprobe::observation::{
    AboveTcp, AddressRecord, Alias, Answer, CertificateFacts, Climb, ClimbOutcome, ConnectFailure,
    DnsFailure, DnsObservation, Exchange, ExchangeOutcome, LocalTrouble, NetworkError, Observation,
    Rcode, ServerObservation, ServerRole, TlsFailure, TlsObservation, TlsOutcome, Trust,
    TrustResult, UdpObservation, UdpOutcome,
};
use vnetprobe::parameters::NetworkFacts;
use vnetprobe::plan::Plan;
use vnetprobe::remedy::Situation;
use vnetprobe::requirement::Scenario;
use vnetprobe::snapshot::{CheckReport, ScenarioReport, ScenarioStatus};
use vnetprobe::verdict::{Context, judge};
use vnetprobe::{limits, scenario};

const QUICK: Elapsed = Elapsed(Duration::from_millis(2));

// --------------------------------------------------------------------------------------- builders

/// One check and what was seen of it; starts as a TCP check that passes.
struct Row {
    check: Check,
    observation: Observation,
}

fn row(requirement: &str, host: &str, port: u16) -> Row {
    let host = Host::parse(host).unwrap();
    let target = Target { host, port: Some(port), kind: Kind::Tcp, path: "/".into() };
    Row {
        check: Check {
            id: format!("{requirement}@{}", target.authority()),
            requirement: requirement.into(),
            target: Arc::new(target),
            expectation: Expectation {
                expect: Expect::Any,
                zone: None,
                declared: Vec::new(),
                subnets: Vec::new(),
            },
            proof: Proof::Exact,
            pattern: String::new(),
            scenarios: vec!["studio".into()],
            required: true,
            public_service: false,
            service: None,
            service_tag: None,
            purpose: String::new(),
        },
        observation: Observation { dns: None, climbs: Vec::new(), ..Observation::default() },
    }
    .resolved("10.0.0.4", &[], "172.16.0.7")
    .climbed(connected(AboveTcp::Nothing { closed: false }))
}

fn exchange(outcome: ExchangeOutcome) -> Exchange {
    Exchange { elapsed: QUICK, attempts: 1, over_tcp: false, outcome }
}

fn server(address: &str, outcome: &ExchangeOutcome) -> ServerObservation {
    ServerObservation {
        server: (address.parse::<IpAddr>().unwrap(), 53).into(),
        role: ServerRole::Configured,
        a: exchange(outcome.clone()),
        aaaa: exchange(outcome.clone()),
    }
}

fn silent() -> ExchangeOutcome {
    ExchangeOutcome::Failed(DnsFailure::Timeout)
}

fn answer(host: &str, aliases: &[&str], ip: &str) -> ExchangeOutcome {
    let chain =
        aliases.iter().map(|to| Alias { from: host.into(), to: (*to).into(), ttl: 60 }).collect();
    ExchangeOutcome::Answer(Answer {
        rcode: Rcode::NoError,
        chain,
        chain_loops: false,
        addresses: vec![AddressRecord { ip: ip.parse().unwrap(), ttl: 60 }],
        negative_ttl: None,
    })
}

fn connected(then: AboveTcp) -> ClimbOutcome {
    ClimbOutcome::Connected { elapsed: QUICK, local: "10.9.9.9:50000".parse().unwrap(), then }
}

fn dropped() -> ClimbOutcome {
    let elapsed = Elapsed(Duration::from_secs(3));
    ClimbOutcome::NotConnected { elapsed, failure: ConnectFailure::Timeout }
}

impl Row {
    fn asking(mut self, servers: Vec<ServerObservation>) -> Self {
        self.observation.dns = Some(DnsObservation { hosts_file: Vec::new(), servers });
        self
    }

    fn resolved(self, by: &str, aliases: &[&str], ip: &str) -> Self {
        let said = answer(&self.check.target.host.to_string(), aliases, ip);
        self.asking(vec![server(by, &said)])
    }

    fn unresolved(mut self) -> Self {
        self.observation.climbs.clear();
        self.asking(vec![server("10.0.0.4", &silent())])
    }

    /// The only address ended so.
    fn climbed(mut self, outcome: ClimbOutcome) -> Self {
        let ip = vnetprobe::resolution::effective(self.observation.dns.as_ref().unwrap())
            .addresses()
            .first()
            .copied()
            .unwrap();
        let port = self.check.target.port.unwrap();
        self.observation.climbs = vec![Climb { ip, port, outcome }];
        self
    }

    fn kind(mut self, kind: Kind) -> Self {
        self.check.target = Arc::new(Target { kind, ..Target::clone(&self.check.target) });
        self
    }

    fn private(mut self) -> Self {
        self.check.expectation.expect = Expect::Private;
        self
    }

    fn optional(mut self) -> Self {
        self.check.required = false;
        self
    }

    fn needed_by(mut self, scenarios: &[&str]) -> Self {
        self.check.scenarios = scenarios.iter().map(|s| (*s).to_owned()).collect();
        self
    }

    fn report(self) -> Arc<CheckReport> {
        let (network, machine, now) = (network(), Machine::default(), now());
        let context = Context { network: &network, machine: &machine, now };
        let verdict = judge(&self.check, context, &self.observation);
        Arc::new(CheckReport {
            check: Arc::new(self.check),
            verdict: Some(Arc::new(verdict)),
            observation: Some(Arc::new(self.observation)),
            last_run_at: Some(now),
            last_success_at: None,
            since: Some(now),
            attempts: 1,
            failures: 0,
            strip: Strip::default(),
        })
    }
}

fn reports(rows: Vec<Row>) -> Vec<Arc<CheckReport>> {
    rows.into_iter().map(Row::report).collect()
}

fn network() -> NetworkFacts {
    NetworkFacts {
        private_ranges: vec!["172.16.0.0/12".parse().unwrap(), "fd00::/8".parse().unwrap()],
        endpoint_subnets: Vec::new(),
        endpoint_addresses: BTreeMap::new(),
    }
}

fn now() -> jiff::Timestamp {
    "2026-11-01T12:00:00Z".parse().unwrap()
}

fn correlate(reports: &[Arc<CheckReport>]) -> Vec<Finding> {
    let (network, machine) = (network(), Machine::default());
    let situation = Situation {
        cloud: Cloud::UsGovernment,
        region: "usgovvirginia",
        workspace: "mlw-research",
        machine: &machine,
        network: &network,
        now: now(),
    };
    finding::correlate(reports, situation)
}

fn findings(rows: Vec<Row>) -> Vec<Finding> {
    correlate(&reports(rows))
}

fn causes(findings: &[Finding]) -> Vec<Cause> {
    findings.iter().map(|f| f.cause).collect()
}

/// The states of these scenarios.
fn scenarios(ids: &[&str], reports: &[Arc<CheckReport>]) -> Vec<ScenarioReport> {
    let plan = Plan {
        cloud: Cloud::None,
        catalog_date: String::new(),
        workspace: String::new(),
        vantage: vnetprobe::model::Vantage::Any,
        region: String::new(),
        scenarios: ids
            .iter()
            .map(|id| Scenario { id: (*id).into(), title: (*id).into(), purpose: String::new() })
            .collect(),
        requirements: Vec::new(),
        checks: reports.iter().map(|r| Arc::clone(&r.check)).collect(),
        targets: Vec::new(),
    };
    scenario::judge(&plan, reports)
}

fn studio(rows: Vec<Row>) -> ScenarioReport {
    scenarios(&["studio"], &reports(rows)).remove(0)
}

// ----------------------------------------------------------------------------------- correlation

#[test]
fn a_healthy_set_has_no_finding() {
    let rows = || (0..20).map(|n| row("a", &format!("h{n}.example"), 443)).collect::<Vec<_>>();
    assert_eq!(findings(rows()), []);
    assert_eq!(findings(Vec::new()), []);
    assert_eq!(studio(rows()).status, ScenarioStatus::Ready);
}

#[test]
fn a_check_without_a_result_is_no_finding() {
    let report =
        CheckReport { verdict: None, ..CheckReport::clone(&row("a", "a.example", 443).report()) };
    let reports = [Arc::new(report)];
    assert_eq!(correlate(&reports), []);
    assert_eq!(scenarios(&["studio"], &reports)[0].status, ScenarioStatus::Unknown);
}

#[test]
fn a_dead_dns_server_is_one_finding_over_all_hosts() {
    let hosts = limits::FINDING_EVIDENCE + 22;
    let found = findings(
        (0..hosts).map(|n| row("a", &format!("h{n}.example"), 443).unresolved()).collect(),
    );
    let [only] = found.as_slice() else { panic!("{:?}", causes(&found)) };
    assert_eq!((only.cause, only.status), (Cause::DnsTimeout, Status::Fail));
    assert_eq!(only.explains.len(), hosts);
    assert_eq!(only.evidence.len(), limits::FINDING_EVIDENCE + 1);
    assert_eq!(only.evidence.last().unwrap(), "and 22 more like these");
    assert_eq!(
        only.title,
        format!("DNS server 10.0.0.4 answers nobody: {hosts} hosts cannot be looked up")
    );
    assert!(only.prove[0].contains("dig @10.0.0.4 "), "{:?}", only.prove);
}

#[test]
fn one_dead_server_of_two_is_one_warning_over_all_hosts() {
    let found = findings(
        (0..5)
            .map(|n| {
                let host = format!("h{n}.example");
                let good = answer(&host, &[], "172.16.0.7");
                row("a", &host, 443)
                    .asking(vec![server("10.0.0.4", &silent()), server("10.0.0.5", &good)])
            })
            .collect(),
    );
    let [only] = found.as_slice() else { panic!("{:?}", causes(&found)) };
    assert_eq!((only.cause, only.status), (Cause::DnsServerDown, Status::Warn));
    assert_eq!(only.explains.len(), 5);
    assert_eq!(only.culprit.to_string(), "DNS server 10.0.0.4");
}

#[test]
fn two_unlinked_zones_are_two_findings() {
    let unlinked = |host: &str, zone: &str| {
        let (name, _) = host.split_once('.').unwrap();
        row("a", host, 443)
            .private()
            .resolved("10.0.0.4", &[&format!("{name}.{zone}"), "front.example"], "20.140.1.1")
            .climbed(connected(AboveTcp::Nothing { closed: false }))
    };
    let blob = "privatelink.blob.core.usgovcloudapi.net";
    let vault = "privatelink.vaultcore.usgovcloudapi.net";
    let found = findings(vec![
        unlinked("one.blob.core.usgovcloudapi.net", blob),
        unlinked("kv.vault.usgovcloudapi.net", vault),
        unlinked("two.blob.core.usgovcloudapi.net", blob),
    ]);
    let culprits: Vec<String> = found.iter().map(|f| f.culprit.to_string()).collect();
    assert_eq!(culprits, [format!("zone {blob}"), format!("zone {vault}")]);
    assert_eq!(found[0].explains.len(), 2);
    assert!(found.iter().all(|f| f.cause == Cause::PrivateZoneNotLinked));
}

#[test]
fn one_dropped_port_is_one_finding_that_lists_every_check() {
    let host = "mlstore.file.core.usgovcloudapi.net";
    let found = findings(vec![
        row("storage-file", host, 445).kind(Kind::Smb).climbed(dropped()),
        row("compute-file", host, 445).kind(Kind::Smb).climbed(dropped()),
    ]);
    let [only] = found.as_slice() else { panic!("{:?}", causes(&found)) };
    assert_eq!(only.cause, Cause::TcpTimeout);
    assert_eq!(
        only.explains,
        [format!("storage-file@{host}:445"), format!("compute-file@{host}:445")]
    );
    assert_eq!(only.evidence.len(), 1, "the same sentence is told once: {:?}", only.evidence);
    assert_eq!(only.culprit.to_string(), "port 445 toward private addresses");
    assert_eq!(only.title, format!("No answer from port 445 of {host} (private addresses)"));
}

#[test]
fn a_port_toward_private_and_toward_public_addresses_are_two_rules() {
    let found = findings(vec![
        row("a", "a.example", 445).climbed(dropped()),
        row("b", "b.example", 445).resolved("10.0.0.4", &[], "20.140.1.1").climbed(dropped()),
        row("c", "c.example", 443).climbed(dropped()),
    ]);
    assert_eq!(found.len(), 3);
}

#[test]
fn the_finding_whose_mending_restores_most_comes_first() {
    let refused = || ClimbOutcome::NotConnected {
        elapsed: QUICK,
        failure: ConnectFailure::Network(NetworkError::Refused),
    };
    let slow = ClimbOutcome::Connected {
        elapsed: Elapsed(Duration::from_millis(1_100)),
        local: "10.9.9.9:50000".parse().unwrap(),
        then: AboveTcp::Nothing { closed: false },
    };
    let exhausted = ClimbOutcome::NotConnected {
        elapsed: QUICK,
        failure: ConnectFailure::Local(LocalTrouble::Exhausted),
    };
    let found = findings(vec![
        // A warning that touches everything, five times.
        row("w1", "w1.example", 1).climbed(slow.clone()).needed_by(&["a", "b", "c", "d"]),
        row("w2", "w2.example", 1).climbed(slow).needed_by(&["a", "b", "c", "d"]),
        row("u", "u.example", 2).climbed(exhausted).needed_by(&["a", "b", "c", "d"]),
        // One scenario, two checks; then two scenarios, one check.
        row("f1", "f1.example", 3).climbed(dropped()).needed_by(&["a"]),
        row("f2", "f2.example", 3).climbed(dropped()).needed_by(&["a"]),
        row("g", "g.example", 4).climbed(refused()).needed_by(&["a", "b"]),
        // One scenario, one check.
        row("h", "h.example", 5).climbed(refused()).needed_by(&["c"]),
    ]);
    assert_eq!(
        found.iter().map(|f| f.explains[0].as_str()).collect::<Vec<_>>(),
        ["g@g.example:4", "h@h.example:5", "f1@f1.example:3", "u@u.example:2", "w1@w1.example:1"]
    );
    assert_eq!(found[0].scenarios, ["a", "b"]);
}

#[test]
fn the_order_does_not_depend_on_the_order_of_checks() {
    let rows = || {
        vec![
            row("a", "a.example", 1).climbed(dropped()),
            row("b", "b.example", 2).climbed(dropped()),
            row("c", "c.example", 3).unresolved(),
        ]
    };
    let mut turned = reports(rows());
    turned.reverse();
    assert_eq!(causes(&correlate(&reports(rows()))), causes(&correlate(&turned)));
    let culprits = |found: Vec<Finding>| found.into_iter().map(|f| f.culprit).collect::<Vec<_>>();
    assert_eq!(culprits(findings(rows())), culprits(correlate(&turned)));
}

#[test]
fn every_warning_of_a_check_is_a_finding_of_its_own() {
    let good = answer("a.example", &[], "172.16.0.7");
    let slow = ClimbOutcome::Connected {
        elapsed: Elapsed(Duration::from_millis(1_100)),
        local: "10.9.9.9:50000".parse().unwrap(),
        then: AboveTcp::Nothing { closed: false },
    };
    let rows = || {
        vec![
            row("a", "a.example", 443)
                .asking(vec![server("10.0.0.4", &good), server("10.0.0.5", &silent())])
                .climbed(slow.clone()),
        ]
    };
    let found = findings(rows());
    assert_eq!(causes(&found), [Cause::DnsServerDown, Cause::TcpSynLoss]);
    assert!(found.iter().all(|f| f.status == Status::Warn && f.explains == ["a@a.example:443"]));
    assert_eq!(studio(rows()).status, ScenarioStatus::Degraded);
}

#[test]
fn commands_put_ipv6_in_brackets_before_a_port() {
    let failed = TlsObservation {
        elapsed: QUICK,
        chain: Vec::new(),
        trust: None,
        client_certificate_asked: false,
        outcome: TlsOutcome::Failed(TlsFailure::Alert {
            code: 40,
            name: "handshake_failure".into(),
        }),
    };
    let found = findings(vec![
        row("a", "a.example", 443)
            .kind(Kind::Tls)
            .resolved("10.0.0.4", &[], "fd00::7")
            .climbed(connected(AboveTcp::Tls(Box::new(failed)))),
    ]);
    assert_eq!(found[0].cause, Cause::TlsAlert);
    let prove = &found[0].prove[0];
    assert!(prove.contains("-connect '[fd00::7]:443' "), "{prove}");
    assert!(!prove.contains(['{', '}']), "{prove}");
}

#[test]
fn commands_have_every_value_filled_in() {
    for found in findings(vec![
        row("a", "a.example", 443).unresolved(),
        row("b", "b.example", 443).climbed(dropped()),
        row("c", "c.example", 443).climbed(connected(AboveTcp::Nothing { closed: true })),
    ]) {
        assert!(!found.fix.is_empty() && !found.prove.is_empty(), "{}", found.cause);
        assert!(found.prove.iter().all(|line| !line.contains("{host}")
            && !line.contains("{port}")
            && !line.contains("{address}")
            && !line.contains("{server}")));
    }
}

// ------------------------------------------------------------------------------------- scenarios

fn udp_silence() -> Row {
    let silence = UdpObservation { elapsed: QUICK, outcome: UdpOutcome::Silence };
    row("u", "u.example", 5831).kind(Kind::Udp).climbed(ClimbOutcome::Datagram(silence))
}

#[test]
fn udp_silence_is_no_finding_and_touches_no_scenario() {
    let report = udp_silence().report();
    assert_eq!((report.status(), report.cause()), (Status::Unknown, Some(Cause::UdpNoEvidence)));
    assert_eq!(findings(vec![udp_silence()]), []);
    let alone = studio(vec![udp_silence()]);
    assert_eq!((alone.status, alone.checks), (ScenarioStatus::Ready, 1));
    let with_others = studio(vec![udp_silence(), row("a", "a.example", 443)]);
    assert_eq!(with_others.status, ScenarioStatus::Ready);
    assert_eq!(with_others.blocked_by, Vec::<String>::new());
}

#[test]
fn a_required_failure_blocks_and_an_optional_one_degrades() {
    let blocked = studio(vec![
        row("ok", "ok.example", 443),
        row("o", "o.example", 443).optional().climbed(dropped()),
        row("r", "r.example", 443).climbed(dropped()),
    ]);
    assert_eq!(blocked.status, ScenarioStatus::Blocked);
    assert_eq!(
        blocked.blocked_by,
        ["r@r.example:443", "o@o.example:443"],
        "what blocks comes first"
    );
    let degraded = studio(vec![row("o", "o.example", 443).optional().climbed(dropped())]);
    assert_eq!(degraded.status, ScenarioStatus::Degraded);
    assert_eq!(degraded.blocked_by, ["o@o.example:443"]);
}

#[test]
fn our_own_trouble_makes_a_scenario_unknown_but_hides_no_failure() {
    let exhausted = || {
        row("u", "u.example", 443).climbed(ClimbOutcome::NotConnected {
            elapsed: QUICK,
            failure: ConnectFailure::Local(LocalTrouble::Exhausted),
        })
    };
    assert_eq!(studio(vec![exhausted()]).status, ScenarioStatus::Unknown);
    let both = studio(vec![exhausted(), row("r", "r.example", 443).climbed(dropped())]);
    assert_eq!(both.status, ScenarioStatus::Blocked);
}

#[test]
fn a_scenario_without_any_check_is_unknown() {
    let states = scenarios(&["studio", "rstudio"], &reports(vec![row("a", "a.example", 443)]));
    assert_eq!(states[0].status, ScenarioStatus::Ready);
    assert_eq!((states[1].status, states[1].checks), (ScenarioStatus::Unknown, 0));
    assert_eq!(states[1].blocked_by, Vec::<String>::new());
}

#[test]
fn a_failure_blocks_only_the_scenarios_that_need_it() {
    use ScenarioStatus::{Blocked, Ready};
    let rows = vec![
        row("a", "a.example", 443).needed_by(&["studio", "notebooks"]).climbed(dropped()),
        row("b", "b.example", 443).needed_by(&["images"]),
    ];
    let states = scenarios(&["studio", "images", "notebooks"], &reports(rows));
    let states: Vec<ScenarioStatus> = states.iter().map(|s| s.status).collect();
    assert_eq!(states, [Blocked, Ready, Blocked]);
}

// --------------------------------------------------------------- one fault however it is called

fn unlinked(host: &str, zone: &str) -> Row {
    let (name, _) = host.split_once('.').unwrap();
    row("a", host, 443)
        .private()
        .resolved("10.0.0.4", &[&format!("{name}.{zone}"), "front.example"], "20.140.1.1")
        .climbed(connected(AboveTcp::Nothing { closed: false }))
}

fn public(host: &str, port: u16) -> Row {
    row("a", host, port).resolved("10.0.0.4", &[], "20.140.1.9")
}

fn handshake(failure: TlsFailure) -> ClimbOutcome {
    connected(AboveTcp::Tls(Box::new(TlsObservation {
        elapsed: QUICK,
        chain: Vec::new(),
        trust: None,
        client_certificate_asked: false,
        outcome: TlsOutcome::Failed(failure),
    })))
}

fn cut(host: &str) -> Row {
    let end = handshake(TlsFailure::Reset { heard: false });
    public(host, 443).kind(Kind::Tls).climbed(end)
}

#[test]
fn what_goes_wrong_at_a_wrong_address_is_no_fault_of_its_own() {
    let host = "one.file.core.usgovcloudapi.net";
    let zone = "privatelink.file.core.usgovcloudapi.net";
    let aliases = [format!("one.{zone}")];
    let aliases: Vec<&str> = aliases.iter().map(String::as_str).collect();
    let other = format!("two.{zone}");
    let found = findings(vec![
        unlinked(host, zone),
        // No expectation of the address, so the check blames the port.
        row("smb", host, 445).resolved("10.0.0.4", &aliases, "20.140.1.1").climbed(dropped()),
        // Another host of the same zone, known only by its alias.
        row("b", "two.file.core.usgovcloudapi.net", 445)
            .resolved("10.0.0.4", &[&other], "20.140.1.2")
            .climbed(dropped()),
    ]);
    let [only] = found.as_slice() else { panic!("{:?}", causes(&found)) };
    assert_eq!(only.cause, Cause::PrivateZoneNotLinked);
    assert_eq!(only.explains.len(), 3);
    assert_eq!(only.evidence.len(), 1, "{:?}", only.evidence);
    assert!(only.title.contains(host), "{}", only.title);
}

#[test]
fn a_server_that_sees_no_private_zone_is_one_fault() {
    let zones = ["blob.core.usgovcloudapi.net", "vault.usgovcloudapi.net", "azurecr.us"];
    let rows =
        || zones.map(|zone| unlinked(&format!("x.{zone}"), &format!("privatelink.{zone}"))).into();
    let found = findings(rows());
    let [only] = found.as_slice() else { panic!("{:?}", causes(&found)) };
    assert_eq!(
        only.title,
        "DNS server 10.0.0.4 sees no private zone: 3 hosts resolve to public addresses"
    );
    // One zone that is seen makes the others single faults.
    let mut rows: Vec<Row> = rows();
    rows.push(row("seen", "y.notebooks.usgovcloudapi.net", 443).private());
    assert_eq!(findings(rows).len(), 3);
}

#[test]
fn one_firewall_that_filters_names_is_one_fault() {
    let found = findings(vec![
        cut("pypi.org"),
        cut("mcr.microsoft.com"),
        row("private", "x.blob.core.usgovcloudapi.net", 443)
            .kind(Kind::Tls)
            .climbed(handshake(TlsFailure::Closed { heard: false })),
    ]);
    let [only] = found.as_slice() else { panic!("{:?}", causes(&found)) };
    assert_eq!((only.cause, only.explains.len()), (Cause::TlsClosed, 3));
    assert_eq!(only.culprit.to_string(), "port 443 toward public addresses");
    let rule = only.fix.iter().find(|step| step.contains("--target-fqdns")).unwrap();
    assert!(rule.contains("pypi.org mcr.microsoft.com x.blob.core.usgovcloudapi.net"), "{rule}");
}

#[test]
fn nothing_that_answers_on_any_port_is_one_fault() {
    let silent = |port| move |name: &str| row("p", name, port).climbed(dropped());
    let rows: Vec<Row> = ["a.example", "b.example"]
        .map(silent(443))
        .into_iter()
        .chain(["c.example", "d.example"].map(silent(445)))
        .collect();
    let found = findings(rows);
    let [only] = found.as_slice() else { panic!("{:?}", causes(&found)) };
    assert_eq!(only.title, "No answer from any port of 4 hosts (private addresses)");
    assert_eq!(only.explains.len(), 4);
    // One that answers, and it is about ports again.
    let mut rows: Vec<Row> = ["a.example", "b.example"].map(silent(443)).into();
    rows.extend(["c.example", "d.example"].map(silent(445)));
    rows.push(row("ok", "e.example", 22));
    assert_eq!(findings(rows).len(), 2);
}

#[test]
fn no_route_is_one_fault_whatever_the_port() {
    let no_route = || ClimbOutcome::NotConnected {
        elapsed: QUICK,
        failure: ConnectFailure::Network(NetworkError::NetworkUnreachable),
    };
    let found = findings(vec![
        row("a", "a.example", 443).climbed(no_route()),
        row("b", "b.example", 445).climbed(no_route()),
        public("c.example", 443).climbed(no_route()),
        public("d.example", 80).kind(Kind::Tcp).climbed(no_route()),
    ]);
    let [only] = found.as_slice() else { panic!("{:?}", causes(&found)) };
    assert_eq!(
        (only.cause, only.title.as_str()),
        (Cause::TcpUnreachable, "There is no route to 4 hosts")
    );
}

#[test]
fn a_dead_server_is_told_once_whether_it_fails_checks_or_only_warns() {
    let good = answer("b.example", &[], "172.16.0.7");
    let both = || vec![server("10.0.0.4", &silent()), server("10.0.0.5", &silent())];
    let mut rows: Vec<Row> = (0..3)
        .map(|n| {
            let mut row = row("a", &format!("a{n}.example"), 443).asking(both());
            row.observation.climbs.clear();
            row
        })
        .collect();
    rows.push(
        row("b", "b.example", 443)
            .asking(vec![server("10.0.0.4", &silent()), server("10.0.0.5", &good)]),
    );
    let found = findings(rows);
    let [only] = found.as_slice() else { panic!("{:?}", causes(&found)) };
    assert_eq!((only.cause, only.explains.len()), (Cause::DnsTimeout, 4));
    assert!(
        only.title.ends_with("not answer: 3 hosts cannot be looked up")
            || only.title.contains("a0.example"),
        "{}",
        only.title
    );
}

#[test]
fn two_dead_servers_are_two_faults() {
    let rows = ["a.example", "b.example"].map(|host| {
        let good = answer(host, &[], "172.16.0.7");
        row("a", host, 443).asking(vec![
            server("10.0.0.4", &silent()),
            server("10.0.0.5", &silent()),
            server("10.0.0.6", &good),
        ])
    });
    let found = findings(rows.into());
    assert_eq!(causes(&found), [Cause::DnsServerDown; 2]);
    assert!(found.iter().all(|f| f.explains.len() == 2));
    assert!(found[0].title.starts_with("DNS server 10.0.0.4 answers nobody"), "{}", found[0].title);
}

#[test]
fn a_port_that_every_host_refuses_is_refused_on_the_way() {
    let refused = |host: &str| {
        row("r", host, 445).climbed(ClimbOutcome::NotConnected {
            elapsed: QUICK,
            failure: ConnectFailure::Network(NetworkError::Refused),
        })
    };
    let all = || ["a.example", "b.example", "c.example"].map(refused).into_iter();
    let found = findings(all().collect());
    let [only] = found.as_slice() else { panic!("{:?}", causes(&found)) };
    assert_eq!(only.culprit.to_string(), "port 445 toward private addresses");
    let open = row("ok", "d.example", 445);
    assert_eq!(findings(all().chain([open]).collect()).len(), 3, "the port is open elsewhere");
}

#[test]
fn five_independent_faults_are_five_findings() {
    let zone = "privatelink.blob.core.usgovcloudapi.net";
    let dead = |row: Row| {
        let host = row.check.target.host.to_string();
        let ip = row.observation.climbs.first().unwrap().ip.to_string();
        let good = answer(&host, &[], &ip);
        row.asking(vec![server("10.0.0.4", &good), server("10.0.0.9", &silent())])
    };
    let mut rows = vec![
        // An unlinked zone, and what follows from it.
        unlinked("one.blob.core.usgovcloudapi.net", zone),
        unlinked("two.blob.core.usgovcloudapi.net", zone),
        // A filtered name, twice.
        cut("pypi.org"),
        cut("files.pythonhosted.org"),
        // A blocked port.
        row("smb", "mlstore.file.core.usgovcloudapi.net", 445).kind(Kind::Smb).climbed(dropped()),
        // A name that is not there.
        row("n", "typo.example", 443).asking(vec![server(
            "10.0.0.4",
            &ExchangeOutcome::Answer(Answer {
                rcode: Rcode::NxDomain,
                chain: Vec::new(),
                chain_loops: false,
                addresses: Vec::new(),
                negative_ttl: None,
            }),
        )]),
    ];
    // A dead second server, which every healthy check warns about.
    rows.extend((0..10).map(|n| dead(row("ok", &format!("h{n}.example"), 443))));
    let found = findings(rows);
    assert_eq!(found.len(), 5, "{:?}", causes(&found));
    let explained: usize = found.iter().map(|f| f.explains.len()).sum();
    assert_eq!(explained, 16);
    assert!(found.iter().all(|f| !f.fix.is_empty() && !f.prove.is_empty()));
}

fn shown(host: &str, chain: Vec<CertificateFacts>, trust: TrustResult) -> Row {
    let trust = Trust { host: trust.clone(), configured: None, mozilla: trust };
    let tls = TlsObservation {
        elapsed: QUICK,
        chain: chain.into_iter().map(Into::into).collect(),
        trust: Some(trust),
        client_certificate_asked: false,
        outcome: TlsOutcome::Established {
            version: "TLSv1.3".into(),
            cipher: "TLS13_AES_256_GCM_SHA384".into(),
            then: None,
        },
    };
    public(host, 443).kind(Kind::Tls).climbed(connected(AboveTcp::Tls(Box::new(tls))))
}

fn certificate(subject: &str, issuer: &str, until: &str) -> CertificateFacts {
    CertificateFacts {
        subject: format!("CN={subject}"),
        issuer: format!("CN={issuer}"),
        names: vec![subject.into()],
        more_names: 0,
        not_before: "2025-01-01T00:00:00Z".parse().unwrap(),
        not_after: until.parse().unwrap(),
        self_signed: false,
        sha256: format!("{subject} of {issuer}"),
        issuer_url: None,
    }
}

const PAST: &str = "2026-10-01T00:00:00Z";
const FUTURE: &str = "2027-10-01T00:00:00Z";

#[test]
fn an_expired_intermediate_is_one_fault_and_expired_servers_are_several() {
    let by_issuer = ["a.contoso.mil", "b.contoso.mil"].map(|host| {
        let leaf = certificate(host, "Contoso Issuing 3", FUTURE);
        let issuing = certificate("Contoso Issuing 3", "Contoso Root", PAST);
        shown(host, vec![leaf, issuing], TrustResult::Expired)
    });
    let found = findings(by_issuer.into());
    let [only] = found.as_slice() else { panic!("{:?}", causes(&found)) };
    assert_eq!(only.culprit.to_string(), "issuer CN=Contoso Issuing 3");
    assert!(only.title.contains("CN=Contoso Issuing 3"), "{}", only.title);
    let own = ["a.contoso.mil", "b.contoso.mil"].map(|host| {
        shown(host, vec![certificate(host, "Contoso Issuing 3", PAST)], TrustResult::Expired)
    });
    assert_eq!(findings(own.into()).len(), 2);
}

#[test]
fn unrelated_certificates_that_are_all_expired_are_a_wrong_clock() {
    let rows = ["a", "b", "c"].map(|name| {
        let host = format!("{name}.example");
        let leaf = certificate(&host, &format!("CA {name}"), PAST);
        shown(&host, vec![leaf], TrustResult::Expired)
    });
    let found = findings(rows.into());
    let [only] = found.as_slice() else { panic!("{:?}", causes(&found)) };
    assert_eq!(only.title, "Certificates of 3 hosts have all expired by the clock of this machine");
    assert!(only.fix[0].starts_with("Admin of this machine: "), "{:?}", only.fix);
}

#[test]
fn one_certificate_on_several_names_is_one_fault() {
    let wildcard = || certificate("*.contoso.mil", "Contoso Issuing 3", PAST);
    let rows = ["a.contoso.mil", "b.contoso.mil"]
        .map(|host| shown(host, vec![wildcard()], TrustResult::Expired));
    assert_eq!(causes(&findings(rows.into())), [Cause::TlsExpired]);
}

#[test]
fn a_server_that_rejects_some_questions_and_is_silent_to_others_is_one_fault() {
    let rejected = ExchangeOutcome::Failed(DnsFailure::Unreachable(NetworkError::Refused));
    let asked = |host: &str, outcome: &ExchangeOutcome| {
        row(host, host, 443).unresolved().asking(vec![server("10.0.0.4", outcome)])
    };
    let rows = vec![
        asked("a.example", &rejected),
        asked("b.example", &silent()),
        asked("c.example", &silent()),
    ];
    let findings = findings(rows);
    assert_eq!(causes(&findings), [Cause::DnsUnreachable]);
    assert_eq!(findings[0].explains.len(), 3);
}
