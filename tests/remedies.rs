//! Fixes and proofs as data: one file in `tests/remedies/` says which checks fail and why, the text
//! beside it what people are told, word by word. `UPDATE_EXPECT=1` writes the texts anew.
//!
//! Every cause, whatever its target looks like, has an addressed step and a proof that a shell can
//! read.
#![expect(clippy::disallowed_methods, reason = "reads the cases, and asks bash")]
#![expect(clippy::expect_used, clippy::panic, reason = "a case that cannot be read fails")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;
use vnetprobe::cause::Cause;
use vnetprobe::check::{Check, Expectation, Target};
use vnetprobe::culprit::Culprit;
use vnetprobe::finding::{Finding, correlate};
use vnetprobe::journal::Strip;
use vnetprobe::machine::{InterfaceAddress, Machine};
use vnetprobe::model::{Cloud, Elapsed, Expect, Host, Kind, Proof, Status};
use vnetprobe::observation::{
    AboveTcp, AddressRecord, Alias, Answer, CertificateFacts, Climb, ClimbOutcome, ConnectFailure,
    DnsFailure, DnsObservation, Exchange, ExchangeOutcome, Experiment, HandshakeEnd, Observation,
    ProxyObservation, ProxyOutcome, Rcode, ServerObservation, ServerRole, TlsFailure,
    TlsObservation, TlsOutcome, Trial,
};
use vnetprobe::parameters::NetworkFacts;
use vnetprobe::remedy::{self, Case, Owner, Remedy, Situation, is_query};
use vnetprobe::snapshot::CheckReport;
use vnetprobe::verdict::{AddressVerdict, Phases, Verdict};

// ------------------------------------------------------------------------------ a case as a file

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default = "government")]
    cloud: Cloud,
    #[serde(default = "addresses")]
    addresses: Vec<String>,
    #[serde(default)]
    ca_files: Vec<PathBuf>,
    #[serde(default)]
    endpoint_subnets: Vec<ipnet::IpNet>,
    check: Vec<CheckPart>,
}

const fn government() -> Cloud {
    Cloud::UsGovernment
}

fn addresses() -> Vec<String> {
    vec!["eth0 10.20.4.11/24".to_owned()]
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CheckPart {
    host: String,
    port: Option<u16>,
    kind: Option<Kind>,
    path: Option<String>,
    expect: Option<Expect>,
    zone: Option<String>,
    tag: Option<String>,
    declared: Vec<IpAddr>,
    cause: String,
    /// `zone Z`, `servers A B`, `name N`, `service S`, `issuer I`, `path`, `machine`, `ipv6`.
    blames: String,
    ip: Option<IpAddr>,
    /// What is wrong with that address, where the cause is about several.
    ip_cause: Option<String>,
    other_ips: Vec<IpAddr>,
    /// `SERVER = ALIAS > ALIAS > ADDRESS`, with `reference` before the server; no word means silence.
    dns: Vec<String>,
    hosts_file: Vec<IpAddr>,
    /// `SUBJECT < ISSUER`, the server's first.
    certificates: Vec<String>,
    passes_name: Option<String>,
    /// Whether a small and a large greeting were answered.
    greetings: Option<[bool; 2]>,
    proxy: Option<String>,
    proxy_opens: bool,
}

fn kind_of(part: &CheckPart) -> Kind {
    part.kind.unwrap_or_else(|| part.port.map_or(Kind::Dns, Kind::of_port))
}

fn place(text: &str) -> SocketAddr {
    text.parse()
        .or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53)))
        .unwrap_or_else(|_| panic!("`{text}` is not a server"))
}

fn server(line: &str, host: &str) -> ServerObservation {
    let (who, said) = line.split_once(" = ").expect("a server and what it said");
    let (role, who) = match who.strip_prefix("reference ") {
        Some(who) => (ServerRole::Reference, who),
        None => (ServerRole::Configured, who),
    };
    let mut from = host.to_owned();
    let mut steps: Vec<&str> = said.split(" > ").collect();
    let end = steps.pop().expect("an end");
    let chain: Vec<Alias> = steps
        .into_iter()
        .map(|to| Alias {
            from: std::mem::replace(&mut from, to.to_owned()),
            to: to.to_owned(),
            ttl: 60,
        })
        .collect();
    let ask = |v4: bool| {
        let addresses: Vec<AddressRecord> = end
            .split(' ')
            .filter_map(|ip| ip.parse::<IpAddr>().ok())
            .filter(|ip| ip.is_ipv4() == v4)
            .map(|ip| AddressRecord { ip, ttl: 60 })
            .collect();
        let rcode = if end == "NXDOMAIN" { Rcode::NxDomain } else { Rcode::NoError };
        let answer = Answer {
            rcode,
            chain: chain.clone(),
            chain_loops: false,
            addresses,
            negative_ttl: None,
        };
        let outcome = match end {
            "timeout" => ExchangeOutcome::Failed(DnsFailure::Timeout),
            _ => ExchangeOutcome::Answer(answer),
        };
        Exchange { elapsed: Elapsed::default(), attempts: 1, over_tcp: false, outcome }
    };
    ServerObservation { server: place(who), role, a: ask(true), aaaa: ask(false) }
}

fn now() -> Timestamp {
    "2026-11-01T12:00:00Z".parse().expect("a time")
}

fn since() -> Timestamp {
    "2026-11-01T11:13:20Z".parse().expect("a time")
}

fn certificate(line: &str) -> CertificateFacts {
    let (subject, issuer) = line.split_once(" < ").expect("a subject and an issuer");
    let time = |text: &str| text.parse().expect("a time");
    CertificateFacts {
        subject: subject.to_owned(),
        issuer: issuer.to_owned(),
        names: vec![subject.trim_start_matches("CN=").to_owned()],
        more_names: 0,
        not_before: time("2025-01-01T00:00:00Z"),
        not_after: time("2026-10-01T00:00:00Z"),
        self_signed: subject == issuer,
        sha256: subject.to_owned(),
        issuer_url: Some("http://ca.contoso.example/issuing.crt".to_owned()),
    }
}

fn climbs(part: &CheckPart) -> Vec<Climb> {
    let chain: Vec<_> = part.certificates.iter().map(|c| certificate(c).into()).collect();
    let outcome = || {
        if chain.is_empty() {
            return ClimbOutcome::NotConnected {
                elapsed: Elapsed::default(),
                failure: ConnectFailure::Timeout,
            };
        }
        let tls = TlsObservation {
            elapsed: Elapsed::default(),
            chain: chain.clone(),
            trust: None,
            client_certificate_asked: false,
            outcome: TlsOutcome::Established {
                version: "TLSv1.3".to_owned(),
                cipher: "TLS13_AES_256_GCM_SHA384".to_owned(),
                then: None,
            },
        };
        let local = "10.20.4.11:50000".parse().expect("an address");
        ClimbOutcome::Connected {
            elapsed: Elapsed::default(),
            local,
            then: AboveTcp::Tls(Box::new(tls)),
        }
    };
    let all = part.ip.into_iter().chain(part.other_ips.iter().copied());
    all.map(|ip| Climb { ip, port: part.port.unwrap_or(443), outcome: outcome() }).collect()
}

fn observation(part: &CheckPart) -> Observation {
    let dns = (!part.dns.is_empty()).then(|| DnsObservation {
        hosts_file: part.hosts_file.clone(),
        servers: part.dns.iter().map(|line| server(line, &part.host)).collect(),
    });
    let passes = part.passes_name.iter().map(|name| Experiment {
        elapsed: Elapsed::default(),
        trial: Trial::OtherName {
            ip: part.ip.expect("an address"),
            name: Host::parse(name).expect("a name"),
            outcome: HandshakeEnd::Completed(None),
        },
    });
    let greeted = part.greetings.iter().flat_map(|[small, large]| {
        let ip = part.ip.expect("an address");
        let outcome = |heard: bool| {
            HandshakeEnd::Failed(if heard {
                TlsFailure::Closed { heard: false }
            } else {
                TlsFailure::Timeout
            })
        };
        [
            Trial::SmallGreeting { ip, outcome: outcome(*small) },
            Trial::LargeGreeting { ip, outcome: outcome(*large) },
        ]
        .map(|trial| Experiment { elapsed: Elapsed::default(), trial })
    });
    Observation {
        dns,
        climbs: climbs(part),
        experiments: passes.chain(greeted).collect(),
        proxy: part.proxy.as_ref().map(|url| ProxyObservation {
            url: url.clone(),
            why: String::new(),
            address: None,
            elapsed: Elapsed::default(),
            outcome: if part.proxy_opens { ProxyOutcome::Open } else { ProxyOutcome::Closed },
            lives: None,
        }),
        ..Observation::default()
    }
}

fn private_ranges() -> Vec<ipnet::IpNet> {
    ["10.0.0.0/8", "172.16.0.0/12", "fd00::/8"].map(|net| net.parse().expect("a net")).to_vec()
}

fn is_private(ip: IpAddr) -> bool {
    private_ranges().iter().any(|net| net.contains(&ip))
}

fn culprit(part: &CheckPart) -> Culprit {
    let (word, rest) = part.blames.split_once(' ').unwrap_or((&part.blames, ""));
    match word {
        "zone" => Culprit::Zone(rest.to_owned()),
        "servers" => Culprit::DnsServers(rest.split(' ').map(place).collect()),
        "name" => Culprit::Name(rest.to_owned()),
        "service" => Culprit::Service(rest.to_owned()),
        "issuer" => Culprit::Issuer(rest.to_owned()),
        "proxy" => Culprit::Proxy(rest.to_owned()),
        "path" => Culprit::Path {
            port: part.port.expect("a port"),
            private: part.ip.is_some_and(is_private),
        },
        "machine" => Culprit::Machine,
        "ipv6" => Culprit::Ipv6,
        _ => panic!("unknown culprit `{}`", part.blames),
    }
}

fn check(part: &CheckPart) -> Check {
    let target = Target {
        host: Host::parse(&part.host).expect("a host"),
        port: part.port,
        kind: kind_of(part),
        path: part.path.clone().unwrap_or_else(|| "/".to_owned()),
    };
    Check {
        id: format!("case@{}", target.authority()),
        requirement: "case".to_owned(),
        target: Arc::new(target),
        expectation: Expectation {
            expect: part.expect.unwrap_or(Expect::Any),
            zone: part.zone.clone(),
            declared: part.declared.clone(),
            subnets: Vec::new(),
        },
        proof: Proof::Exact,
        pattern: part.host.clone(),
        scenarios: vec!["studio".to_owned()],
        required: true,
        public_service: false,
        service: None,
        service_tag: part.tag.clone(),
        purpose: String::new(),
    }
}

fn verdict(part: &CheckPart, cause: Cause, culprit: Culprit) -> Verdict {
    let status = cause.info().status;
    let of_ip = part.ip_cause.as_ref().map_or(cause, |cause| cause.parse().expect("a cause"));
    let broken =
        part.ip.map(|ip| AddressVerdict { ip, status: of_ip.info().status, cause: Some(of_ip) });
    let good = |ip: &IpAddr| AddressVerdict { ip: *ip, status: Status::Pass, cause: None };
    Verdict {
        status,
        cause: Some(cause),
        layer: Some(cause.info().layer),
        culprit: Some(culprit),
        summary: format!("{} fails.", part.host),
        warnings: Vec::new(),
        addresses: broken.into_iter().chain(part.other_ips.iter().map(good)).collect(),
        resolved_private: part.ip.is_some_and(is_private),
        phases: Phases::default(),
    }
}

fn report(part: &CheckPart) -> Arc<CheckReport> {
    let verdict = verdict(part, part.cause.parse().expect("a cause"), culprit(part));
    Arc::new(CheckReport {
        check: Arc::new(check(part)),
        verdict: Some(Arc::new(verdict)),
        observation: Some(Arc::new(observation(part))),
        last_run_at: Some(now()),
        last_success_at: None,
        since: Some(since()),
        attempts: 1,
        failures: 1,
        strip: Strip::default(),
    })
}

fn machine(file: &File) -> Machine {
    let address = |text: &String| {
        let (interface, network) = text.split_once(' ').expect("a name and a network");
        InterfaceAddress {
            interface: interface.to_owned(),
            network: network.parse().expect("a network"),
        }
    };
    Machine {
        addresses: file.addresses.iter().map(address).collect(),
        dns_servers: vec![place("10.20.0.4")],
        ca_files: file.ca_files.clone(),
        ..Machine::default()
    }
}

fn findings(file: &File) -> Vec<Finding> {
    let network = NetworkFacts {
        private_ranges: private_ranges(),
        endpoint_subnets: file.endpoint_subnets.clone(),
        endpoint_addresses: BTreeMap::new(),
    };
    let reports: Vec<Arc<CheckReport>> = file.check.iter().map(report).collect();
    let machine = machine(file);
    let situation = Situation {
        cloud: file.cloud,
        region: "usgovvirginia",
        workspace: "mlw-research",
        machine: &machine,
        network: &network,
        now: now(),
    };
    correlate(&reports, situation)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/remedies")
}

fn cases() -> Vec<(String, File)> {
    let mut cases: Vec<(String, File)> = std::fs::read_dir(folder())
        .expect("the folder of cases")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).expect("a case");
            let file = toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            (name, file)
        })
        .collect();
    cases.sort_by(|a, b| a.0.cmp(&b.0));
    cases
}

fn told(findings: &[Finding]) -> String {
    let mut out = String::new();
    for finding in findings {
        let _ = writeln!(out, "{}: {}", finding.cause, finding.title);
        for (label, texts) in [("fix", &finding.fix), ("prove", &finding.prove)] {
            for text in texts {
                let _ = writeln!(out, "{label}: {}", text.replace('\n', "\n    "));
            }
        }
    }
    out
}

// ------------------------------------------------------------------------------------ the tests

#[test]
fn people_are_told_exactly_this() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut wrong = Vec::new();
    for (name, file) in cases() {
        let path = folder().join(format!("{name}.txt"));
        let told = told(&findings(&file));
        if update {
            std::fs::write(&path, &told).expect("writing the expectation");
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        if told != expected {
            wrong.push(format!("{name}: told\n{told}instead of\n{expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}\nUPDATE_EXPECT=1 rewrites them", wrong.join("\n"));
}

#[test]
fn many_causes_have_a_case() {
    let causes: std::collections::BTreeSet<String> =
        cases().into_iter().flat_map(|(_, file)| file.check).map(|check| check.cause).collect();
    assert!(causes.len() >= 30, "{}: {causes:?}", causes.len());
}

/// Whether bash can read it.
fn bash_reads(script: &str) -> bool {
    use std::io::Write as _;
    let mut bash = Command::new("bash")
        .arg("-n")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("bash");
    bash.stdin.take().expect("stdin").write_all(script.as_bytes()).expect("writing to bash");
    bash.wait().expect("waiting for bash").success()
}

fn check_texts(about: &str, fix: &[String], prove: &[String], scripts: &mut Vec<String>) {
    assert!(!fix.is_empty() && !prove.is_empty(), "{about}: no fix or no proof");
    for step in fix {
        let addressed =
            Owner::ALL.iter().any(|owner| step.starts_with(&format!("{}: ", owner.as_str())));
        assert!(addressed, "{about}: nobody is asked in `{step}`");
        let sentence = step.lines().next().expect("a sentence");
        assert!(sentence.ends_with(['.', ':']), "{about}: `{sentence}` has no end");
        assert!(!sentence.contains(['{', '}', '<', '>']), "{about}: a riddle in `{sentence}`");
        scripts.extend(step.lines().skip(1).map(str::to_owned));
    }
    let commands: Vec<&String> = prove.iter().filter(|line| !is_query(line)).collect();
    assert!(!commands.is_empty(), "{about}: only queries prove it");
    scripts.extend(commands.into_iter().cloned());
}

/// Targets of every look: a name, an address, both families, UDP, no port, a path full of traps.
fn targets() -> Vec<CheckPart> {
    let dns = vec!["10.20.0.4 = a.privatelink.example > 10.9.8.7".to_owned()];
    let odd = || Some("/a'b;$(reboot)`id`\"{x,y}[1]".to_owned());
    let part = |host: &str, port: u16, kind: Kind, ip: &str| CheckPart {
        host: host.to_owned(),
        port: Some(port),
        kind: Some(kind),
        ip: ip.parse().ok(),
        ..CheckPart::default()
    };
    vec![
        CheckPart { dns, path: odd(), ..part("a.example", 443, Kind::Tls, "10.9.8.7") },
        CheckPart { path: odd(), ..part("a.example", 443, Kind::Websocket, "fd00::7") },
        part("fd00::7", 443, Kind::Https, "fd00::7"),
        part("192.0.2.7", 80, Kind::Http, "192.0.2.7"),
        CheckPart { host: "a.example".to_owned(), ..CheckPart::default() },
        CheckPart {
            proxy: Some("http://p'x:1".to_owned()),
            ..part("_x.example", 5831, Kind::Udp, "192.0.2.9")
        },
    ]
}

/// A case of this cause on this target, told.
fn told_of(cause: Cause, culprit: &Culprit, part: &CheckPart, machine: &Machine) -> Remedy {
    let network = NetworkFacts {
        private_ranges: private_ranges(),
        endpoint_subnets: Vec::new(),
        endpoint_addresses: BTreeMap::new(),
    };
    let situation = Situation {
        cloud: Cloud::China,
        region: "",
        workspace: "",
        machine,
        network: &network,
        now: now(),
    };
    let (check, observation) = (check(part), observation(part));
    let verdict = verdict(part, cause, culprit.clone());
    let observation = Some(&observation);
    let only = Case { check: &check, verdict: &verdict, observation, since: None };
    remedy::remedy(cause, culprit, &[only], situation)
}

#[test]
fn every_cause_has_a_step_with_an_addressee_and_a_proof_bash_can_read() {
    let plain = Machine::default();
    let ca_files = vec!["/etc/our own/ca.pem".into(), "/etc/b's.pem".into()];
    let with_ca = Machine { ca_files, ..Machine::default() };
    let culprits = [
        Culprit::Machine,
        Culprit::DnsServers(vec![place("[fd00::53]:5353")]),
        Culprit::Zone("privatelink.example".to_owned()),
        Culprit::Name("a.example".to_owned()),
    ];
    let mut scripts = Vec::new();
    for &cause in Cause::ALL {
        for part in targets() {
            for (culprit, machine) in culprits.iter().zip([&plain, &with_ca].into_iter().cycle()) {
                let told = told_of(cause, culprit, &part, machine);
                let about = format!("{cause} of {}", part.host);
                check_texts(&about, &told.fix, &told.prove, &mut scripts);
            }
        }
    }
    if !bash_reads(&scripts.join("\n")) {
        let wrong: Vec<&String> = scripts.iter().filter(|script| !bash_reads(script)).collect();
        panic!("bash cannot read {wrong:#?}");
    }
}

#[test]
fn cases_can_be_read_by_bash_and_name_their_addressees() {
    let mut scripts = Vec::new();
    for (name, file) in cases() {
        for finding in findings(&file) {
            check_texts(&name, &finding.fix, &finding.prove, &mut scripts);
            assert!(!finding.title.ends_with('.') && !finding.title.contains('\n'), "{name}");
        }
    }
    assert!(bash_reads(&scripts.join("\n")), "{scripts:#?}");
}

#[test]
fn each_case_is_one_fault() {
    for (name, file) in cases() {
        assert_eq!(findings(&file).len(), 1, "{name}");
    }
}
