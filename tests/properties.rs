//! Laws of the judgement, the findings, the scenarios and every rendering, over observations that
//! no network has shown yet, with text from hostile strangers wherever text can come from one.
#![expect(clippy::unwrap_used, reason = "values written here are good")]

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use vnetprobe::cause::Cause;
use vnetprobe::check::{Check, Expectation, Target};
use vnetprobe::history::{History, Outcome, Setting};
use vnetprobe::machine::{InterfaceAddress, Machine};
use vnetprobe::model::{Cloud, Elapsed, Expect, Host, Kind, Proof, Status};
use vnetprobe::observation::{
    AboveTcp, AddressRecord, Alias, Answer, CertificateFacts, Climb, ClimbOutcome, ConnectFailure,
    DnsFailure, DnsObservation, Exchange, ExchangeOutcome, Experiment, HandshakeEnd,
    HttpObservation, HttpOutcome, LocalTrouble, NetworkError, Observation, ProxyObservation,
    ProxyOutcome, Rcode, ServerObservation, ServerRole, SilenceEnd, SmbObservation, SmbOutcome,
    TlsFailure, TlsObservation, TlsOutcome, Trial, Trust, TrustResult, UdpObservation, UdpOutcome,
};
use vnetprobe::parameters::NetworkFacts;
use vnetprobe::plan::Plan;
use vnetprobe::render::layout::Layout;
use vnetprobe::render::{junit, markdown, metrics, table};
use vnetprobe::requirement::Scenario;
use vnetprobe::resolution::effective;
use vnetprobe::snapshot::{ScenarioStatus, Snapshot};
use vnetprobe::wire;

const NOW: i64 = 1_793_534_400;

// ------------------------------------------------------------------------------------ strategies

/// Text a stranger may have chosen.
fn text() -> BoxedStrategy<String> {
    prop_oneof![
        3 => "[a-z][a-z0-9.-]{0,20}",
        1 => "\\PC{0,12}",
        1 => any::<String>(),
        2 => select(vec![
            "", " ", "\u{1b}[2J\u{1b}[31m", "a\r\nb\tc\u{0}", "</failure><failure>", "]]>", "```\n# x",
            "|a|*b*|", "\u{202e}txt.exe", "\u{85}\u{9b}31m", "\"} 1\nup 1", "{host}{port}", "..",
        ]).prop_map(str::to_owned),
    ].boxed()
}

fn ip() -> BoxedStrategy<IpAddr> {
    let known = [
        "172.16.0.7",
        "172.16.1.7",
        "172.17.0.7",
        "10.0.0.9",
        "20.140.1.1",
        "20.140.1.2",
        "0.0.0.0",
        "127.0.0.1",
        "255.255.255.255",
        "fd00::7",
        "2001:489a:3103::1",
        "::",
        "::1",
        "::ffff:10.0.0.1",
    ];
    prop_oneof![
        8 => select(known.to_vec()).prop_map(|ip| ip.parse().unwrap()),
        1 => any::<IpAddr>(),
    ]
    .boxed()
}

fn elapsed() -> impl Strategy<Value = Elapsed> {
    prop_oneof![Just(0), Just(1), 1_u64..12_000_000]
        .prop_map(|us| Elapsed(Duration::from_micros(us)))
}

fn local_trouble() -> impl Strategy<Value = LocalTrouble> {
    use LocalTrouble::{Exhausted, NoNetwork, NoResolver};
    select(vec![NoNetwork, NoResolver, Exhausted])
}

fn network_error() -> impl Strategy<Value = NetworkError> {
    use NetworkError::{HostUnreachable, NetworkUnreachable, Prohibited, Refused, Reset};
    prop_oneof![
        select(vec![Refused, Reset, HostUnreachable, Prohibited, NetworkUnreachable]),
        any::<i32>().prop_map(NetworkError::Other),
    ]
}

fn connect_failure() -> impl Strategy<Value = ConnectFailure> {
    prop_oneof![
        Just(ConnectFailure::Timeout),
        network_error().prop_map(ConnectFailure::Network),
        local_trouble().prop_map(ConnectFailure::Local),
    ]
}

fn answer() -> BoxedStrategy<Answer> {
    let rcode = prop_oneof![
        6 => Just(Rcode::NoError),
        2 => Just(Rcode::NxDomain),
        1 => Just(Rcode::ServFail),
        1 => Just(Rcode::Refused),
        1 => any::<u16>().prop_map(Rcode::Other),
    ];
    let name = prop_oneof![
        text(),
        select(vec![
            "a.privatelink.blob.core.usgovcloudapi.net",
            "privatelink.azurecr.us",
            "b.example"
        ])
        .prop_map(str::to_owned),
    ];
    let alias =
        (name.clone(), name, any::<u32>()).prop_map(|(from, to, ttl)| Alias { from, to, ttl });
    let address = (ip(), any::<u32>()).prop_map(|(ip, ttl)| AddressRecord { ip, ttl });
    (
        rcode,
        vec(alias, 0..3),
        proptest::bool::weighted(0.1),
        vec(address, 0..3),
        any::<Option<u32>>(),
    )
        .prop_map(|(rcode, chain, chain_loops, addresses, negative_ttl)| Answer {
            rcode,
            chain,
            chain_loops,
            addresses,
            negative_ttl,
        })
        .boxed()
}

fn exchange() -> BoxedStrategy<Exchange> {
    let failure = prop_oneof![
        Just(DnsFailure::Timeout),
        network_error().prop_map(DnsFailure::Unreachable),
        connect_failure().prop_map(DnsFailure::TcpFailed),
        text().prop_map(DnsFailure::Malformed),
        local_trouble().prop_map(DnsFailure::Local),
    ];
    let outcome = prop_oneof![
        3 => answer().prop_map(ExchangeOutcome::Answer),
        1 => failure.prop_map(ExchangeOutcome::Failed),
    ];
    (elapsed(), any::<u32>(), any::<bool>(), outcome)
        .prop_map(|(elapsed, attempts, over_tcp, outcome)| Exchange {
            elapsed,
            attempts,
            over_tcp,
            outcome,
        })
        .boxed()
}

fn dns() -> BoxedStrategy<DnsObservation> {
    use ServerRole::{Configured, Reference, Upstream};
    let address = select(vec!["10.0.0.4:53", "10.0.0.5:5353", "[fd00::4]:53", "168.63.129.16:53"])
        .prop_map(|server| server.parse::<SocketAddr>().unwrap());
    let role = select(vec![Configured, Configured, Configured, Upstream, Reference]);
    let server = (address, role, exchange(), exchange())
        .prop_map(|(server, role, a, aaaa)| ServerObservation { server, role, a, aaaa });
    let hosts_file = prop_oneof![4 => Just(Vec::new()), 1 => vec(ip(), 1..3)];
    (hosts_file, vec(server, 0..4))
        .prop_map(|(hosts_file, servers)| DnsObservation { hosts_file, servers })
        .boxed()
}

fn http() -> BoxedStrategy<HttpObservation> {
    let answer = (any::<u16>(), vec((text(), text()), 0..3), text())
        .prop_map(|(status, headers, body)| HttpOutcome::Answer { status, headers, body });
    let usual = select(vec![101_u16, 200, 401, 403, 404, 470, 503]).prop_map(|status| {
        HttpOutcome::Answer { status, headers: Vec::new(), body: String::new() }
    });
    let outcome = prop_oneof![
        answer,
        usual,
        Just(HttpOutcome::Timeout),
        Just(HttpOutcome::Closed),
        text().prop_map(HttpOutcome::NotHttp),
    ];
    (elapsed(), outcome).prop_map(|(elapsed, outcome)| HttpObservation { elapsed, outcome }).boxed()
}

fn time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        4 => (NOW - 4_000_000)..(NOW + 4_000_000),
        1 => select(vec![-377_705_023_201, 253_402_207_200, 0]),
    ]
    .prop_map(|second| Timestamp::from_second(second).unwrap())
}

fn certificate() -> BoxedStrategy<CertificateFacts> {
    (text(), text(), vec(text(), 0..4), time(), time(), any::<bool>(), option::of(text()))
        .prop_map(|(subject, issuer, names, not_before, not_after, self_signed, issuer_url)| {
            CertificateFacts {
                subject,
                issuer,
                names,
                more_names: 0,
                not_before,
                not_after,
                self_signed,
                sha256: "00".repeat(32),
                issuer_url,
            }
        })
        .boxed()
}

fn trust() -> impl Strategy<Value = Trust> {
    use TrustResult::{EmptyStore, Expired, NotYetValid, Trusted, UnknownIssuer, WrongName};
    let result = || {
        prop_oneof![
            3 => Just(Trusted),
            5 => select(vec![EmptyStore, UnknownIssuer, Expired, NotYetValid, WrongName]),
            1 => text().prop_map(TrustResult::Other),
        ]
    };
    (result(), option::of(result()), result()).prop_map(|(host, configured, mozilla)| Trust {
        host,
        configured,
        mozilla,
    })
}

fn tls_failure() -> impl Strategy<Value = TlsFailure> {
    prop_oneof![
        Just(TlsFailure::Timeout),
        any::<bool>().prop_map(|heard| TlsFailure::Closed { heard }),
        any::<bool>().prop_map(|heard| TlsFailure::Reset { heard }),
        (any::<u8>(), text()).prop_map(|(code, name)| TlsFailure::Alert { code, name }),
        text().prop_map(TlsFailure::NotTls),
        text().prop_map(TlsFailure::NothingInCommon),
        text().prop_map(TlsFailure::Protocol),
    ]
}

fn handshake() -> BoxedStrategy<TlsObservation> {
    let outcome = prop_oneof![
        (text(), text(), option::of(http())).prop_map(|(version, cipher, then)| {
            TlsOutcome::Established { version, cipher, then }
        }),
        tls_failure().prop_map(TlsOutcome::Failed),
    ];
    (elapsed(), vec(certificate(), 0..3), option::of(trust()), outcome)
        .prop_map(|(elapsed, chain, trust, outcome)| TlsObservation {
            client_certificate_asked: false,
            elapsed,
            chain: chain.into_iter().map(Into::into).collect(),
            trust,
            outcome,
        })
        .boxed()
}

fn above() -> BoxedStrategy<AboveTcp> {
    let smb = prop_oneof![
        text().prop_map(|dialect| SmbOutcome::Negotiated { dialect }),
        Just(SmbOutcome::Timeout),
        Just(SmbOutcome::Closed),
        any::<u32>().prop_map(|status| SmbOutcome::Refused { status }),
        text().prop_map(SmbOutcome::NotSmb),
    ];
    prop_oneof![
        1 => any::<bool>().prop_map(|closed| AboveTcp::Nothing { closed }),
        4 => handshake().prop_map(|tls| AboveTcp::Tls(Box::new(tls))),
        1 => http().prop_map(AboveTcp::Http),
        1 => (elapsed(), smb)
            .prop_map(|(elapsed, outcome)| AboveTcp::Smb(SmbObservation { elapsed, outcome })),
    ]
    .boxed()
}

fn climb() -> BoxedStrategy<Climb> {
    let udp = prop_oneof![
        any::<usize>().prop_map(|bytes| UdpOutcome::Answer { bytes }),
        Just(UdpOutcome::Silence),
        network_error().prop_map(UdpOutcome::Network),
        local_trouble().prop_map(UdpOutcome::Local),
    ];
    let outcome = prop_oneof![
        2 => (elapsed(), connect_failure())
            .prop_map(|(elapsed, failure)| ClimbOutcome::NotConnected { elapsed, failure }),
        5 => (elapsed(), (ip(), any::<u16>()), above())
            .prop_map(|(elapsed, local, then)| ClimbOutcome::Connected { elapsed, local: local.into(), then }),
        1 => (elapsed(), udp)
            .prop_map(|(elapsed, outcome)| ClimbOutcome::Datagram(UdpObservation { elapsed, outcome })),
    ];
    (ip(), any::<u16>(), outcome)
        .prop_map(|(ip, port, outcome)| Climb { ip, port, outcome })
        .boxed()
}

fn experiment() -> BoxedStrategy<Experiment> {
    let handshake = || {
        prop_oneof![
            option::of(text()).prop_map(HandshakeEnd::Completed),
            tls_failure().prop_map(HandshakeEnd::Failed),
            connect_failure().prop_map(HandshakeEnd::NotConnected),
        ]
    };
    let silence = prop_oneof![
        Just(SilenceEnd::Waited),
        Just(SilenceEnd::Closed),
        text().prop_map(SilenceEnd::Spoke),
        connect_failure().prop_map(SilenceEnd::NotConnected),
    ];
    let name = select(vec!["login.microsoftonline.us", "mcr.microsoft.com"]);
    let server = select(vec!["10.0.0.4:53", "10.0.0.5:5353"]);
    let trial = prop_oneof![
        (ip(), name, handshake()).prop_map(|(ip, name, outcome)| Trial::OtherName {
            ip,
            name: Host::parse(name).unwrap(),
            outcome
        }),
        (ip(), silence).prop_map(|(ip, outcome)| Trial::SilentWait { ip, outcome }),
        (ip(), handshake()).prop_map(|(ip, outcome)| Trial::SmallSegments { ip, outcome }),
        (ip(), handshake()).prop_map(|(ip, outcome)| Trial::SmallGreeting { ip, outcome }),
        (ip(), handshake()).prop_map(|(ip, outcome)| Trial::LargeGreeting { ip, outcome }),
        (ip(), http()).prop_map(|(ip, http)| Trial::ClearText { ip, outcome: http.outcome }),
        (server, exchange()).prop_map(|(server, exchange)| Trial::DnsOverTcp {
            server: server.parse().unwrap(),
            outcome: exchange.outcome
        }),
    ];
    (elapsed(), trial).prop_map(|(elapsed, trial)| Experiment { elapsed, trial }).boxed()
}

fn proxy() -> BoxedStrategy<ProxyObservation> {
    let outcome = prop_oneof![
        select(vec![
            ProxyOutcome::Bypassed,
            ProxyOutcome::Open,
            ProxyOutcome::Unresolved,
            ProxyOutcome::Closed,
            ProxyOutcome::Timeout,
        ]),
        connect_failure().prop_map(ProxyOutcome::NotConnected),
        network_error().prop_map(ProxyOutcome::Network),
        text().prop_map(ProxyOutcome::NotHttp),
        (any::<u16>(), vec((text(), text()), 0..3), text()).prop_map(|(status, headers, body)| {
            ProxyOutcome::Answered { status, headers, body }
        }),
    ];
    let address = option::of((ip(), any::<u16>()));
    (text(), text(), address, elapsed(), outcome, any::<Option<bool>>())
        .prop_map(|(url, why, address, elapsed, outcome, lives)| ProxyObservation {
            url,
            why,
            address: address.map(Into::into),
            elapsed,
            outcome,
            lives,
        })
        .boxed()
}

fn observation() -> BoxedStrategy<Observation> {
    let experiments = (vec(experiment(), 0..4), option::of(elapsed()), elapsed());
    let proxy = option::weighted(0.3, proxy());
    (option::weighted(0.9, dns()), vec(climb(), 0..4), 0_usize..3, experiments, proxy)
        .prop_map(|(dns, climbs, addresses_not_tried, experiments, proxy)| {
            let (experiments, experiments_age, stalled) = experiments;
            Observation {
                dns,
                climbs,
                addresses_not_tried,
                experiments,
                experiments_age,
                proxy,
                stalled,
            }
        })
        .boxed()
}

const SCENARIOS: [&str; 3] = ["studio", "images", "nobody"];

fn check() -> BoxedStrategy<Check> {
    let host = select(vec![
        "mlstore.blob.core.usgovcloudapi.net",
        "graph.microsoft.us",
        "artifacts",
        "localhost",
        "172.16.0.7",
        "20.140.1.1",
        "fd00::7",
    ]);
    let port = select(vec![None, Some(80), Some(443), Some(445), Some(5831)]);
    let target = (host, port, select(Kind::ALL)).prop_map(|(host, port, kind)| Target {
        host: Host::parse(host).unwrap(),
        port,
        kind,
        path: "/".to_owned(),
    });
    let subnet = select(vec!["172.16.0.0/24", "fd00::/64"]).prop_map(|net| net.parse().unwrap());
    let zone =
        option::of(select(vec!["privatelink.blob.core.usgovcloudapi.net", "privatelink.", ""]));
    let expectation = (select(Expect::ALL), zone, vec(ip(), 0..2), vec(subnet, 0..2)).prop_map(
        |(expect, zone, declared, subnets)| Expectation {
            expect,
            zone: zone.map(str::to_owned),
            declared,
            subnets,
        },
    );
    let scenarios = proptest::sample::subsequence(vec!["studio", "images"], 0..=2);
    (target, expectation, select(Proof::ALL), scenarios, any::<(bool, bool)>(), text())
        .prop_map(|(target, expectation, proof, scenarios, (required, public_service), pattern)| {
            Check {
                id: String::new(),
                requirement: String::new(),
                target: Arc::new(target),
                expectation,
                proof,
                pattern,
                scenarios: scenarios.into_iter().map(str::to_owned).collect(),
                required,
                public_service,
                service: None,
                service_tag: None,
                purpose: String::new(),
            }
        })
        .boxed()
}

/// A machine whose every word is somebody's choice, and what is private around it.
fn around() -> BoxedStrategy<(Machine, NetworkFacts)> {
    let machine =
        (text(), any::<bool>(), vec(text(), 0..2)).prop_map(|(hostname, docker, troubles)| {
            let bridge = InterfaceAddress {
                interface: "docker0".to_owned(),
                network: "172.17.0.1/16".parse().unwrap(),
            };
            let addresses = if docker { vec![bridge] } else { Vec::new() };
            Machine { hostname, addresses, troubles, ..Machine::default() }
        });
    let subnets = option::of(Just("172.16.0.0/24".parse().unwrap()));
    let network = subnets.prop_map(|subnet| NetworkFacts {
        private_ranges: ["10.0.0.0/8", "172.16.0.0/12", "fc00::/7"]
            .map(|net| net.parse().unwrap())
            .to_vec(),
        endpoint_subnets: subnet.into_iter().collect(),
        endpoint_addresses: BTreeMap::new(),
    });
    (machine, network).boxed()
}

/// Checks with what was seen of each; some were never measured, and in some the probe broke down.
#[derive(Debug, Clone)]
struct World {
    machine: Machine,
    network: NetworkFacts,
    checks: Vec<Arc<Check>>,
    outcomes: Vec<Option<Outcome>>,
    titles: Vec<String>,
}

fn world() -> impl Strategy<Value = World> {
    let outcome = prop_oneof![
        8 => observation().prop_map(|seen| Some(Outcome::Observed(Arc::new(seen)))),
        1 => text().prop_map(|why| Some(Outcome::Broken(why))),
        1 => Just(None),
    ];
    (around(), vec((check(), outcome), 0..5), vec(text(), SCENARIOS.len())).prop_map(
        |((machine, network), rows, titles)| {
            let (checks, outcomes): (Vec<Check>, Vec<_>) = rows.into_iter().unzip();
            let checks = checks
                .into_iter()
                .enumerate()
                .map(|(number, mut check)| {
                    check.requirement = format!("row-{number}");
                    check.id = format!("row-{number}@{}", check.target.authority());
                    Arc::new(check)
                })
                .collect();
            World { machine, network, checks, outcomes, titles }
        },
    )
}

impl World {
    fn snapshot(&self) -> Snapshot {
        let scenario = |(id, title): (&&str, &String)| Scenario {
            id: (*id).to_owned(),
            title: title.clone(),
            purpose: String::new(),
        };
        let plan = Plan {
            workspace: String::new(),
            vantage: vnetprobe::model::Vantage::Any,
            cloud: Cloud::UsGovernment,
            catalog_date: "2026-11-01".to_owned(),
            region: "usgovvirginia".to_owned(),
            scenarios: SCENARIOS.iter().zip(&self.titles).map(scenario).collect(),
            requirements: Vec::new(),
            targets: self.checks.iter().map(|check| Arc::clone(&check.target)).collect(),
            checks: self.checks.clone(),
        };
        let setting = Setting {
            plan: Arc::new(plan),
            network: Arc::new(self.network.clone()),
            machine: Arc::new(self.machine.clone()),
            interval: None,
            budget: Duration::from_secs(16),
        };
        let now = Timestamp::from_second(NOW).unwrap();
        let mut history = History::new(setting, vnetprobe::journal::Past::default(), now);
        for (slot, outcome) in self.outcomes.iter().enumerate() {
            if let Some(outcome) = outcome {
                history.fold(slot, outcome, now);
            }
        }
        history.snapshot(now, 0, 0)
    }
}

/// Every rendering, by name.
fn renderings(snapshot: &Snapshot, width: usize) -> Vec<(&'static str, String)> {
    let layout = Layout { width, color: false };
    vec![
        ("table", table::report(snapshot, layout, table::Detail::Brief)),
        ("verbose table", table::report(snapshot, layout, table::Detail::Verbose)),
        ("markdown", markdown::report(snapshot)),
        ("junit", junit::report(snapshot)),
        ("metrics", metrics::text(snapshot)),
        ("report", wire::report_json(snapshot)),
        ("findings", wire::findings_json(snapshot)),
        (
            "checks",
            snapshot
                .checks
                .iter()
                .filter_map(|r| wire::check_json(snapshot, &r.check.id))
                .collect(),
        ),
        ("plan", wire::plan_json(&snapshot.plan)),
    ]
}

/// No control character but line ends, and none that changes how its neighbors are shown.
fn is_plain(text: &str) -> bool {
    let odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().all(|c| c == '\n' || !odd(c))
}

/// Whether a climb is what a check of this kind is for: above all, on a TLS port only a handshake
/// over a trusted chain is.
fn does_its_work(kind: Kind, climb: &Climb) -> bool {
    let then = match &climb.outcome {
        ClimbOutcome::Connected { then, .. } => then,
        ClimbOutcome::Datagram(udp) => {
            return kind == Kind::Udp && matches!(udp.outcome, UdpOutcome::Answer { .. });
        }
        ClimbOutcome::NotConnected { .. } => return false,
    };
    let answered = |http: &HttpObservation| matches!(http.outcome, HttpOutcome::Answer { .. });
    match then {
        AboveTcp::Nothing { closed } => kind == Kind::Tcp && !closed,
        AboveTcp::Http(http) => kind == Kind::Http && answered(http),
        AboveTcp::Smb(smb) => {
            // A server that declines has answered in SMB: the way to it is open.
            let spoke =
                matches!(smb.outcome, SmbOutcome::Negotiated { .. } | SmbOutcome::Refused { .. });
            kind == Kind::Smb && spoke
        }
        AboveTcp::Tls(tls) => {
            let trusted =
                tls.trust.as_ref().is_some_and(|t| *t.effective() == TrustResult::Trusted);
            match &tls.outcome {
                TlsOutcome::Established { then, .. } if trusted => match kind {
                    Kind::Tls => true,
                    Kind::Https | Kind::Websocket => then.as_ref().is_some_and(answered),
                    _ => false,
                },
                _ => false,
            }
        }
    }
}

// ------------------------------------------------------------------------------------------ laws

proptest! {
    // A counterexample becomes a case in a test, not a file of seeds.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_verdict_is_complete(world in world()) {
        for report in &world.snapshot().checks {
            let Some(verdict) = &report.verdict else { continue };
            let known = verdict.cause.is_some() && verdict.layer.is_some() && verdict.culprit.is_some();
            prop_assert_eq!(known, verdict.status != Status::Pass, "{:?}", verdict);
            prop_assert!(known || verdict.cause.is_none() && verdict.warnings.is_empty());
            let sentences = verdict.warnings.iter().map(|warning| &warning.summary);
            for sentence in sentences.chain([&verdict.summary]) {
                prop_assert!(!sentence.chars().any(char::is_control), "{:?}", sentence);
                prop_assert!(sentence.ends_with('.'), "{}", sentence);
                prop_assert!(sentence.contains(&report.check.target.host.to_string()), "{}", sentence);
            }
        }
    }

    #[test]
    fn only_what_its_kind_asks_for_makes_a_check_work(world in world()) {
        for report in &world.snapshot().checks {
            let (Some(verdict), Some(seen)) = (&report.verdict, &report.observation) else { continue };
            let missing = [Some(Cause::DnsNxdomain), Some(Cause::DnsNodata)].contains(&verdict.cause);
            if missing || !matches!(verdict.status, Status::Pass | Status::Warn) {
                continue;
            }
            let kind = report.check.target.kind;
            let proven = match kind {
                Kind::Dns => seen.dns.is_some() || report.check.target.host.name().is_none(),
                _ => seen.climbs.iter().any(|climb| does_its_work(kind, climb)),
            };
            prop_assert!(proven, "{} {:?}", verdict.summary, seen);
        }
    }

    #[test]
    fn what_works_is_where_it_was_expected(world in world()) {
        let snapshot = world.snapshot();
        for report in &snapshot.checks {
            let (Some(verdict), Some(seen)) = (&report.verdict, &report.observation) else { continue };
            let Check { target, expectation, .. } = report.check.as_ref();
            let by_proxy = target.kind != Kind::Dns && seen.through().is_some();
            if by_proxy && expectation.expect != Expect::Private {
                // The proxy resolves the name.
                continue;
            }
            let addresses = match (&seen.dns, &report.check.target.host) {
                (Some(dns), Host::Name(_)) => effective(dns).addresses(),
                (_, Host::Ip(ip)) => vec![*ip],
                (None, Host::Name(_)) => continue,
            };
            let missing = [Some(Cause::DnsNxdomain), Some(Cause::DnsNodata)].contains(&verdict.cause);
            if missing || !matches!(verdict.status, Status::Pass | Status::Warn) {
                continue;
            }
            // A proxy resolves names by itself, so only private ones are judged by what they are here.
            let expect = report.check.expectation.expect;
            if seen.through().is_some() && expect != Expect::Private {
                continue;
            }
            prop_assert!(!addresses.is_empty(), "{}", verdict.summary);
            let private = addresses.iter().filter(|ip| world.network.is_private(**ip)).count();
            match expect {
                Expect::Private => prop_assert_eq!(private, addresses.len(), "{}", verdict.summary),
                Expect::Public => prop_assert_eq!(private, 0, "{}", verdict.summary),
                Expect::Any => {}
            }
        }
    }

    #[test]
    fn every_failure_is_in_exactly_one_finding(world in world()) {
        let snapshot = world.snapshot();
        for report in &snapshot.checks {
            let times = snapshot.findings.iter().flat_map(|f| &f.explains)
                .filter(|id| **id == report.check.id).count();
            match report.status() {
                Status::Fail => prop_assert_eq!(times, 1, "{}", report.summary()),
                Status::Pass => prop_assert_eq!(times, 0, "{}", report.summary()),
                Status::Warn => prop_assert!(times >= 1, "{}", report.summary()),
                Status::Unknown => prop_assert!(times <= 1, "{}", report.summary()),
            }
        }
        for finding in &snapshot.findings {
            prop_assert!(!finding.explains.is_empty() && !finding.evidence.is_empty());
            prop_assert!(!finding.fix.is_empty() && !finding.prove.is_empty());
        }
        let kinds: Vec<_> = snapshot.findings.iter().map(|f| (f.cause, f.culprit.clone())).collect();
        for (at, kind) in kinds.iter().enumerate() {
            prop_assert!(!kinds[..at].contains(kind), "{:?} twice", kind);
        }
    }

    #[test]
    fn a_scenario_is_as_bad_as_its_checks(world in world()) {
        let snapshot = world.snapshot();
        for report in &snapshot.scenarios {
            let checks: Vec<_> = snapshot.checks.iter()
                .filter(|c| c.check.scenarios.contains(&report.scenario.id)).collect();
            let broken = checks.iter().any(|c| c.status() == Status::Fail && c.check.required);
            prop_assert_eq!(report.status == ScenarioStatus::Blocked, broken);
            let fine = !checks.is_empty() && report.blocked_by.is_empty();
            prop_assert_eq!(report.status == ScenarioStatus::Ready, fine);
            prop_assert_eq!(report.checks, checks.len());
        }
    }

    #[test]
    fn terminals_and_tickets_get_no_control_characters(world in world(), width in 0_usize..220) {
        let snapshot = world.snapshot();
        for (name, text) in renderings(&snapshot, width) {
            // JSON and metrics are for programs, but people look at them on terminals, too.
            prop_assert!(is_plain(&text), "{}: {:?}", name, text);
        }
    }

    #[test]
    fn documents_keep_their_shape(world in world()) {
        let snapshot = world.snapshot();
        let count = snapshot.checks.len();
        let report: serde_json::Value = serde_json::from_str(&wire::report_json(&snapshot)).unwrap();
        let checks = report["checks"].as_array().unwrap();
        prop_assert_eq!(checks.len(), count);
        for check in checks {
            prop_assert_eq!(check["status"] == "pass", check["cause"].is_null() && check["status"] != "unknown");
        }
        let xml = junit::report(&snapshot);
        prop_assert_eq!(xml.matches("<testcase ").count(), count);
        prop_assert_eq!(xml.matches("<failure ").count(), snapshot.summary().fail);
        let ticket = markdown::report(&snapshot);
        let row = |line: &&str| Status::ALL.iter().any(|s| line.starts_with(&format!("| {s} |")));
        prop_assert_eq!(ticket.lines().filter(row).count(), count);
        prop_assert_eq!(ticket.lines().filter(|line| line.starts_with("```")).count() % 2, 0);
        for line in metrics::text(&snapshot).lines() {
            let number = line.rsplit_once(' ').map(|(_, value)| value.parse::<f64>().is_ok());
            prop_assert!(line.starts_with('#') || number == Some(true), "{:?}", line);
        }
    }

    #[test]
    fn the_same_snapshot_gives_the_same_bytes(world in world(), width in 0_usize..220) {
        let snapshot = world.snapshot();
        let first = renderings(&snapshot, width);
        prop_assert_eq!(&first, &renderings(&snapshot, width));
        prop_assert_eq!(&first, &renderings(&world.snapshot(), width));
    }

    #[test]
    fn an_observation_is_the_same_after_a_file(seen in observation()) {
        let text = serde_json::to_string(&seen).unwrap();
        let read: Observation = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&read, &seen);
        prop_assert_eq!(serde_json::to_string(&read).unwrap(), text);
    }
}
