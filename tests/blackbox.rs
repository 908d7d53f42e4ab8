//! `/probe` beside a real blackbox_exporter: the same targets, good and bad, and the same metrics.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test stops where its world is not as it says, and it makes that world"
)]

mod process;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use process::daemon::Daemon;
use process::loopback::{Answer, get_with, listener, refusing_port};
use process::{Process, alone, cover, folder, needs, until};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

/// Names that resolve; `nowhere.example` does not.
const NAMES: &[&str] = &["web.example", "wrong.example"];

const MODULES: &str = "\
modules:
  http_2xx: {prober: http}
  tcp_connect: {prober: tcp}
  tcp_connect_tls: {prober: tcp, tcp: {tls: true}}
  dns_udp: {prober: dns, dns: {query_name: web.example, query_type: A}}
  dns_tcp: {prober: dns, dns: {query_name: web.example, query_type: A, transport_protocol: tcp}}
  dns_udp_v6: {prober: dns, dns: {query_name: web.example, query_type: AAAA}}
  dns_udp_missing: {prober: dns, dns: {query_name: nowhere.example, query_type: A}}
  dns_tcp_missing: {prober: dns, dns: {query_name: nowhere.example, query_type: A, transport_protocol: tcp}}
";

/// A world of servers on loopback, and both programs looking at it.
struct World {
    ours: Daemon,
    theirs: SocketAddr,
    /// Ports: HTTP, HTTPS, self-signed, TLS 1.2 alone, silent, refusing.
    ports: [u16; 6],
    _silent: std::net::TcpListener,
    _running: Vec<Process>,
    _folder: TempDir,
}

fn write_certificates(folder: &Path) {
    let mut ca = CertificateParams::new(Vec::<String>::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, "blackbox test root");
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
    let mut leaf = CertificateParams::new(vec!["web.example".to_owned()]).unwrap();
    leaf.distinguished_name = rcgen::DistinguishedName::new();
    leaf.distinguished_name.push(DnType::CountryName, "US");
    leaf.distinguished_name.push(DnType::OrganizationName, "Contoso, \"Ltd.\"");
    leaf.distinguished_name.push(DnType::CommonName, "web.example");
    leaf.subject_alt_names.push(rcgen::SanType::DnsName("www.example".try_into().unwrap()));
    leaf.subject_alt_names.push(rcgen::SanType::IpAddress(Ipv4Addr::LOCALHOST.into()));
    // Before the root's end, as certificates are.
    leaf.not_after = rcgen::date_time_ymd(2035, 2, 3);
    let key = KeyPair::generate().unwrap();
    let signed = leaf.signed_by(&key, &ca).unwrap();
    std::fs::write(folder.join("root.pem"), ca.pem()).unwrap();
    std::fs::write(folder.join("good.pem"), signed.pem() + &ca.pem()).unwrap();
    std::fs::write(folder.join("good.key"), key.serialize_pem()).unwrap();
    let alone = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["web.example".to_owned()]).unwrap();
    std::fs::write(folder.join("own.pem"), own.self_signed(&alone).unwrap().pem()).unwrap();
    std::fs::write(folder.join("own.key"), alone.serialize_pem()).unwrap();
}

fn nginx(folder: &Path, [http, https, own, old, _, refusing]: [u16; 6]) -> String {
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {}/{kind};\n", folder.display()))
        .concat();
    format!(
        "daemon off; master_process off; error_log stderr; pid {folder}/nginx.pid; events {{}}
http {{ access_log off; {temporary} root {folder}/www; ssl_session_cache off;
server {{ listen 127.0.0.1:{http};
  location = /missing {{ return 404 \"no such thing\"; }}
  location = /broken {{ return 503 \"not now\"; }}
  location = /empty {{ return 204; }}
  location = /chunked.html {{ ssi on; }}
  location = /moved {{ return 302 /index.html; }}
  location = /moved-far {{ return 301 http://web.example:{http}/moved; }}
  location = /to-tls {{ return 308 https://web.example:{https}/index.html; }}
  location = /loop {{ return 307 /loop; }}
  location = /away {{ return 302 http://127.0.0.1:{refusing}/; }}
  location = /outside {{ return 302 http://169.254.169.254/; }}
  location = /odd {{ return 302 ftp://web.example/; }} }}
server {{ listen 127.0.0.1:{https} ssl; ssl_protocols TLSv1.2 TLSv1.3;
  ssl_certificate {folder}/good.pem; ssl_certificate_key {folder}/good.key;
  location = /loop {{ return 302 /loop; }} }}
server {{ listen 127.0.0.1:{own} ssl; ssl_certificate {folder}/own.pem; ssl_certificate_key {folder}/own.key; }}
server {{ listen 127.0.0.1:{old} ssl; ssl_protocols TLSv1.2;
  ssl_certificate {folder}/good.pem; ssl_certificate_key {folder}/good.key; }} }}",
        folder = folder.display()
    )
}

fn is_up(address: SocketAddr) {
    until(&format!("{address} listens"), || TcpStream::connect(address).ok());
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Every host and port of the world as the plan of the daemon.
fn plan(ports: [u16; 6]) -> String {
    let mut text = "[workspace]\ncloud = \"none\"\n\n[schedule]\ninterval = \"24h\"\n\
                    [dns]\nservers = [\"127.0.0.1\"]\n"
        .to_owned();
    for host in ["web.example", "wrong.example", "nowhere.example", "127.0.0.1"] {
        for port in ports.into_iter().chain([80]) {
            write!(
                text,
                "\n[[probe]]\nname = \"{host} {port}\"\ntarget = \"tcp://{host}:{port}\"\n"
            )
            .unwrap();
        }
    }
    text
}

impl World {
    fn new() -> Self {
        needs("prometheus-blackbox-exporter", "prometheus-blackbox-exporter");
        needs("nginx", "nginx");
        needs("dnsmasq", "dnsmasq-base");
        let (silent, silent_port) = listener();
        let [http, https, own, old, refusing] = [(); 5].map(|()| refusing_port());
        let ports = [http, https, own, old, silent_port, refusing];
        let folder = folder(&[("modules.yml", MODULES), ("hosts", "")]);
        let path = folder.path();
        write_certificates(path);
        std::fs::create_dir(path.join("www")).unwrap();
        std::fs::write(path.join("www/index.html"), "hello, prober\n").unwrap();
        std::fs::write(path.join("www/chunked.html"), "hello ".repeat(5_000)).unwrap();
        std::fs::write(path.join("nginx.conf"), nginx(path, ports)).unwrap();
        cover("/etc/resolv.conf", "nameserver 127.0.0.1\n");
        let roots = path.join("root.pem");

        let mut command = Command::new("dnsmasq");
        command.args(["--no-daemon", "--conf-file=/dev/null", "--user=root", "--no-resolv"]);
        command.args(["--no-hosts", "--listen-address=127.0.0.1", "--bind-interfaces"]);
        command.args(["--local=/example/", "--pid-file"]);
        for name in NAMES {
            command.arg(format!("--host-record={name},127.0.0.1"));
        }
        let names = Process::start(&mut command);
        let mut command = Command::new("nginx");
        let server =
            Process::start(command.arg("-p").arg(path).arg("-c").arg(path.join("nginx.conf")));
        let theirs = local(refusing_port());
        let mut command = Command::new("prometheus-blackbox-exporter");
        command.arg(format!("--config.file={}", path.join("modules.yml").display()));
        let exporter = Process::start(
            command.arg(format!("--web.listen-address={theirs}")).env("SSL_CERT_FILE", &roots),
        );
        is_up(local(53));
        for port in &ports[..4] {
            is_up(local(*port));
        }
        is_up(theirs);
        let ours = Daemon::start_trusting(&plan(ports), &roots);
        Self {
            ours,
            theirs,
            ports,
            _silent: silent,
            _running: vec![names, server, exporter],
            _folder: folder,
        }
    }

    /// Asks both for the same.
    fn both(&self, module: &str, target: &str) -> [Answer; 2] {
        // Their module has the question that ours is given.
        let (own, question) = match module {
            "dns_udp_v6" => ("dns_udp", "&query_name=web.example&query_type=AAAA"),
            "dns_udp_missing" => ("dns_udp", "&query_name=nowhere.example"),
            "dns_tcp_missing" => ("dns_tcp", "&query_name=nowhere.example"),
            "dns_udp" | "dns_tcp" => (module, "&query_name=web.example"),
            _ => (module, ""),
        };
        let target = target.replace(':', "%3A").replace('/', "%2F");
        let ask = |address, module: &str, more: &str| {
            let path = format!("/probe?module={module}&target={target}{more}");
            get_with(address, &path, "X-Prometheus-Scrape-Timeout-Seconds: 1.5\r\n").unwrap()
        };
        [ask(self.theirs, module, ""), ask(self.ours.address, own, question)]
    }
}

/// Comments and samples of an answer.
fn read(body: &str) -> (Vec<&str>, BTreeMap<&str, f64>) {
    let comments = body.lines().filter(|line| line.starts_with('#')).collect();
    let samples = body.lines().filter(|line| !line.starts_with('#'));
    let samples = samples.map(|line| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name, value.parse().unwrap())
    });
    (comments, samples.collect())
}

/// Everything in which the answers differ.
fn differences(world: &World, module: &str, target: &str, success: bool) -> Vec<String> {
    let [theirs, ours] = world.both(module, target);
    let mut found = Vec::new();
    if (theirs.status, ours.status) != (200, 200) {
        return vec![format!("{} {}: {}", theirs.status, ours.status, ours.body)];
    }
    let (their_comments, their_samples) = read(&theirs.body);
    let (our_comments, our_samples) = read(&ours.body);
    if our_comments != their_comments {
        found.push(format!("{our_comments:#?} instead of {their_comments:#?}"));
    }
    if !our_samples.keys().eq(their_samples.keys()) {
        found.push(format!("{our_samples:#?} instead of {their_samples:#?}"));
        return found;
    }
    let whole = our_samples["probe_duration_seconds"];
    for (name, value) in &our_samples {
        let their = their_samples[name];
        let time = name.contains("duration_seconds") || name.contains("lookup_time_seconds");
        // Finding an address may take no time that can be measured; what did not happen takes none.
        let instant =
            ["resolve", "lookup", "probe_duration"].iter().any(|part| name.contains(part));
        let same = if time {
            *value >= 0.0 && *value <= whole && (instant || (*value > 0.0) == (their > 0.0))
        } else {
            (value - their).abs() < 1e-6
        };
        if !same {
            found.push(format!("{name} is {value} instead of {their}"));
        }
    }
    if (our_samples["probe_success"] > 0.0) != success {
        found.push(format!("success should be {success}"));
    }
    found.into_iter().map(|line| format!("{module} {target}: {line}")).collect()
}

#[test]
fn the_same_metrics_as_blackbox_exporter() {
    alone(|| {
        let world = World::new();
        let [http, https, own, old, silent, refusing] = world.ports;
        let cases = [
            ("http_2xx", format!("http://web.example:{http}/index.html"), true),
            ("http_2xx", format!("127.0.0.1:{http}/index.html"), true),
            ("http_2xx", format!("http://web.example:{http}/chunked.html"), true),
            ("http_2xx", format!("http://web.example:{http}/empty"), true),
            ("http_2xx", format!("http://web.example:{http}/moved"), true),
            ("http_2xx", format!("http://web.example:{http}/moved-far"), true),
            ("http_2xx", format!("http://web.example:{http}/to-tls"), true),
            ("http_2xx", format!("https://web.example:{https}/index.html"), true),
            ("http_2xx", format!("https://web.example:{old}/index.html"), true),
            ("http_2xx", format!("http://web.example:{http}/missing"), false),
            ("http_2xx", format!("http://web.example:{http}/broken"), false),
            ("http_2xx", format!("http://web.example:{http}/loop"), false),
            ("http_2xx", format!("https://web.example:{https}/loop"), false),
            ("http_2xx", format!("http://web.example:{http}/away"), false),
            ("http_2xx", format!("http://web.example:{http}/odd"), false),
            ("http_2xx", format!("http://web.example:{https}/"), false),
            ("http_2xx", format!("https://web.example:{http}/"), false),
            ("http_2xx", format!("https://wrong.example:{https}/"), false),
            ("http_2xx", format!("https://web.example:{own}/"), false),
            ("http_2xx", format!("http://web.example:{silent}/"), false),
            ("http_2xx", format!("https://web.example:{silent}/"), false),
            ("http_2xx", format!("http://web.example:{refusing}/"), false),
            ("http_2xx", "http://nowhere.example/".to_owned(), false),
            ("tcp_connect", format!("web.example:{http}"), true),
            ("tcp_connect", format!("127.0.0.1:{silent}"), true),
            ("tcp_connect", format!("127.0.0.1:{refusing}"), false),
            ("tcp_connect", format!("nowhere.example:{http}"), false),
            ("tcp_connect", "web.example".to_owned(), false),
            ("tcp_connect_tls", format!("web.example:{https}"), true),
            ("tcp_connect_tls", format!("127.0.0.1:{https}"), true),
            ("tcp_connect_tls", format!("web.example:{old}"), true),
            ("tcp_connect_tls", format!("wrong.example:{https}"), false),
            ("tcp_connect_tls", format!("web.example:{own}"), false),
            ("tcp_connect_tls", format!("web.example:{http}"), false),
            ("tcp_connect_tls", format!("web.example:{silent}"), false),
            ("tcp_connect_tls", format!("web.example:{refusing}"), false),
            ("dns_udp", "127.0.0.1".to_owned(), true),
            ("dns_udp", "127.0.0.1:53".to_owned(), true),
            ("dns_tcp", "127.0.0.1".to_owned(), true),
            ("dns_udp_v6", "127.0.0.1".to_owned(), true),
            ("dns_udp_missing", "127.0.0.1".to_owned(), false),
            ("dns_tcp_missing", "127.0.0.1".to_owned(), false),
            ("dns_udp", format!("127.0.0.1:{refusing}"), false),
            ("dns_tcp", format!("127.0.0.1:{refusing}"), false),
            ("dns_tcp", format!("127.0.0.1:{silent}"), false),
            ("dns_udp", format!("nowhere.example:{http}"), false),
        ];
        let found: Vec<String> = cases
            .iter()
            .flat_map(|(module, target, success)| differences(&world, module, target, *success))
            .collect();
        assert!(found.is_empty(), "{}", found.join("\n"));
        world.ours.stopped().expect(0);
    });
}

#[test]
fn wrong_requests_and_what_people_see() {
    alone(|| {
        let world = World::new();
        let [http, _, _, _, _, refusing] = world.ports;
        let ask = |query: &str| world.ours.get(&format!("/probe?{query}"));
        for (query, status, part) in [
            ("module=icmp&target=web.example", 400, "Unknown module `icmp`"),
            ("module=http_2xx", 400, "Target parameter is missing"),
            ("", 400, "Target parameter is missing"),
            ("target=a.example&hostname=b.example", 400, "not supported"),
            ("module=dns_udp&target=127.0.0.1&query_type=MX", 400, "`A` or `AAAA`"),
            ("module=dns_udp&target=127.0.0.1&query_name=evil.example", 403, "evil.example"),
            ("module=dns_udp&target=127.0.0.2", 403, "127.0.0.2:53"),
            ("target=169.254.169.254", 403, "hosts and ports of the plan"),
            ("module=tcp_connect&target=127.0.0.1:22", 403, "127.0.0.1:22"),
        ] {
            let answer = ask(query);
            assert_eq!(answer.status, status, "{query}: {}", answer.body);
            assert!(answer.body.contains(part), "{query}: {}", answer.body);
            assert!(answer.head.contains("application/problem+json"), "{}", answer.head);
        }
        // The default module and the aliases.
        for query in [
            format!("target=web.example:{http}/index.html"),
            format!("module=http&target=web.example:{http}/index.html"),
            format!("module=tcp&target=web.example:{http}"),
            "module=dns&target=127.0.0.1".to_owned(),
        ] {
            assert!(ask(&query).body.contains("\nprobe_success 1\n"), "{query}");
        }
        let seen = ask(&format!("target=web.example:{http}/moved&debug=true")).body;
        for part in [
            "Logs for the probe:",
            "Received redirect location=",
            "Probe succeeded",
            "Metrics that would have been returned:\n# HELP probe_dns_lookup_time_seconds ",
            "Module configuration:\nmodule: http_2xx\n",
        ] {
            assert!(seen.contains(part), "no {part:?} in {seen}");
        }
        // A hop that may not be probed is not taken.
        let away = ask(&format!("target=web.example:{http}/outside&debug=true")).body;
        assert!(away.contains("redirect not followed: `http://169.254.169.254/`"), "{away}");
        assert!(away.contains("\nprobe_success 0\n"), "{away}");
        let away = ask(&format!("target=web.example:{http}/away&debug=true")).body;
        assert!(away.contains(&format!("no connection to 127.0.0.1 port {refusing}")), "{away}");
        let bad_time = get_with(
            world.ours.address,
            &format!("/probe?target=web.example:{http}"),
            "X-Prometheus-Scrape-Timeout-Seconds: soon\r\n",
        );
        assert_eq!(bad_time.unwrap().status, 400);
        let elsewhere = get_with(
            world.ours.address,
            &format!("/probe?target=web.example:{http}"),
            "Sec-Fetch-Site: cross-site\r\n",
        );
        assert_eq!(elsewhere.unwrap().status, 403);
        world.ours.stopped().expect(0);
    });
}
