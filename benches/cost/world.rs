//! What is measured against: nginx with certificates of its own, and a DNS server, on an address that
//! only these namespaces have.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};

use crate::figures::document::said;

/// Where the servers are. A loopback address would be a finding of its own for names.
pub(crate) const ADDRESSES: [Ipv4Addr; 4] = [
    Ipv4Addr::new(10, 77, 0, 1),
    Ipv4Addr::new(10, 77, 0, 2),
    Ipv4Addr::new(10, 77, 0, 3),
    Ipv4Addr::new(10, 77, 0, 4),
];
/// Every name below it is the first address.
pub(crate) const DOMAIN: &str = "bench.test";
/// Ports of one subject: a target is one address or name with one port.
pub(crate) const PORTS: u16 = 750;

/// What one check does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Connects and makes a whole handshake, the chain verified.
    Tls,
    /// Connects.
    Tcp,
    /// Asks for a name.
    Dns,
}

/// One kind of check on one kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Subject {
    /// As the document names it.
    pub(crate) title: &'static str,
    /// What a check does.
    pub(crate) kind: Kind,
    /// The first of its ports.
    pub(crate) port: u16,
    /// OpenSSL's option and name of the version, and the bits of the server's key.
    pub(crate) tls: (&'static str, &'static str, &'static str),
}

/// The variant that is looked at most closely.
pub(crate) const USUAL: Subject = Subject {
    title: "TCP+TLS 1.3, P-256",
    kind: Kind::Tls,
    port: 20_000,
    tls: ("-tls1_3", "TLSv1.3", "256"),
};
/// A plain connect.
pub(crate) const TCP: Subject =
    Subject { title: "plain TCP", kind: Kind::Tcp, port: 24_000, tls: ("", "", "") };
/// A question for a name.
pub(crate) const DNS: Subject =
    Subject { title: "DNS", kind: Kind::Dns, port: 53, tls: ("", "", "") };
/// All of them.
pub(crate) const SUBJECTS: [Subject; 6] = [
    USUAL,
    Subject {
        title: "TCP+TLS 1.2, P-256",
        port: 21_000,
        tls: ("-tls1_2", "TLSv1.2", "256"),
        ..USUAL
    },
    Subject {
        title: "TCP+TLS 1.3, RSA 2048",
        port: 22_000,
        tls: ("-tls1_3", "TLSv1.3", "2048"),
        ..USUAL
    },
    Subject {
        title: "TCP+TLS 1.2, RSA 2048",
        port: 23_000,
        tls: ("-tls1_2", "TLSv1.2", "2048"),
        ..USUAL
    },
    TCP,
    DNS,
];

/// The servers, which end with this value.
#[derive(Debug)]
pub(crate) struct World {
    folder: tempfile::TempDir,
    servers: Vec<Child>,
}

impl World {
    /// Starts them and sees that they are what they should be.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut world = Self { folder, servers: Vec::new() };
        for address in ADDRESSES {
            run("ip", &["address", "add", &format!("{address}/32"), "dev", "lo"]);
        }
        fs::write("/proc/sys/net/ipv4/ip_local_port_range", "30000 65000").expect("own network");
        world.certificates();
        world.name_server();
        world.nginx();
        let tls = SUBJECTS.iter().filter(|subject| subject.kind == Kind::Tls);
        tls.for_each(|subject| world.verify(subject));
        world
    }

    /// The roots that the servers' chains lead to.
    pub(crate) fn roots(&self) -> PathBuf {
        self.file("roots.pem")
    }

    /// A file in the folder that goes with this value.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A root, an intermediate and a leaf of each algorithm.
    fn certificates(&self) {
        let mut roots = String::new();
        for algorithm in ["P-256", "RSA"] {
            let root = CertifiedIssuer::self_signed(ca(algorithm, "Root"), key(algorithm));
            let root = root.expect("a root");
            let below = CertifiedIssuer::signed_by(ca(algorithm, "Issuing"), key(algorithm), &root);
            let below = below.expect("an intermediate");
            let mut names = vec![format!("*.{DOMAIN}")];
            names.extend(ADDRESSES.iter().map(ToString::to_string));
            let own = key(algorithm);
            let leaf = params(names, "bench").signed_by(&own, &below).expect("a leaf");
            let chain = format!("{}{}", leaf.pem(), below.pem());
            fs::write(self.file(&format!("{algorithm}.pem")), chain).expect("room for a file");
            fs::write(self.file(&format!("{algorithm}.key")), own.serialize_pem()).expect("room");
            roots.push_str(&root.pem());
        }
        fs::write(self.roots(), roots).expect("room for a file");
    }

    fn name_server(&mut self) {
        let resolv = self.file("resolv.conf");
        fs::write(&resolv, format!("nameserver {}\n", ADDRESSES[0])).expect("room for a file");
        let resolv = resolv.to_str().expect("a plain path");
        run("mount", &["--bind", resolv, "/etc/resolv.conf"]);
        let answer = format!("--address=/{DOMAIN}/{}", ADDRESSES[0]);
        let listen = format!("--listen-address={}", ADDRESSES[0]);
        let fixed = ["--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts"];
        let fixed = fixed.into_iter().chain(["--bind-interfaces", "--user=root", "--pid-file="]);
        self.serve(Command::new("dnsmasq").args(fixed).args([answer, listen]));
        let query = question("ready", 1);
        let socket = UdpSocket::bind((ADDRESSES[0], 0)).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a time");
        socket.connect((ADDRESSES[0], 53)).expect("an address");
        let answered = (0..100).any(|_| {
            thread::sleep(Duration::from_millis(20));
            socket.send(&query).is_ok() && socket.recv(&mut [0; 512]).is_ok()
        });
        assert!(answered, "dnsmasq does not answer");
    }

    fn nginx(&mut self) {
        let mut config = format!(
            "daemon off; worker_processes 1; worker_rlimit_nofile 16384; user root;\n\
             pid {0}/nginx.pid; error_log stderr crit;\n\
             events {{ worker_connections 8192; }}\n\
             http {{ access_log off; client_body_temp_path {0}/a; proxy_temp_path {0}/b;\n\
             fastcgi_temp_path {0}/c; uwsgi_temp_path {0}/d; scgi_temp_path {0}/e;\n\
             ssl_session_tickets off; ssl_session_cache off;\n",
            self.folder.path().display()
        );
        for subject in SUBJECTS.iter().filter(|subject| subject.kind != Kind::Dns) {
            let ssl = if subject.kind == Kind::Tls { " ssl" } else { "" };
            config.push_str("server {\n");
            for port in subject.port..subject.port + PORTS {
                let _ = writeln!(config, "listen {port}{ssl};");
            }
            if subject.kind == Kind::Tls {
                let (_, version, bits) = subject.tls;
                let pair = self.file(if bits == "256" { "P-256" } else { "RSA" });
                let pair = pair.display();
                let _ = writeln!(
                    config,
                    "ssl_protocols {version}; ssl_certificate {pair}.pem; ssl_certificate_key {pair}.key;"
                );
            }
            config.push_str("}\n");
        }
        config.push_str("}\n");
        let file = self.file("nginx.conf");
        fs::write(&file, config).expect("room for a file");
        self.serve(Command::new("nginx").arg("-c").arg(&file).arg("-p").arg(self.folder.path()));
        answers((ADDRESSES[0], TCP.port).into());
    }

    /// The version, the key, the chain, and that nobody resumes, as OpenSSL sees them.
    fn verify(&self, subject: &Subject) {
        let (_, version, bits) = subject.tls;
        let at = format!("{}:{}", ADDRESSES[0], subject.port);
        let output = Command::new("openssl")
            .args(["s_client", "-reconnect", "-showcerts", "-connect", &at, "-CAfile"])
            .arg(self.roots())
            .stdin(Stdio::null())
            .output()
            .expect("openssl runs");
        let text = String::from_utf8_lossy(&output.stdout);
        let new = text.matches(&format!("New, {version}")).count();
        let good = text.contains("Verify return code: 0 (ok)")
            && text.contains(&format!("Server public key is {bits} bit"))
            && text.matches("BEGIN CERTIFICATE").count() >= 2
            && new >= 2
            && !text.contains("Reused");
        assert!(good, "{subject:?} is not what it should be:\n{text}");
    }

    fn serve(&mut self, command: &mut Command) {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.servers.push(child.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for server in &mut self.servers {
            let _ = server.kill();
            let _ = server.wait();
        }
        run("umount", &["/etc/resolv.conf"]);
    }
}

/// A question for the address of a name of the domain (RFC 1035 section 4).
pub(crate) fn question(name: &str, id: u16) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.').chain(DOMAIN.split('.')) {
        bytes.push(u8::try_from(label.len()).expect("a short label"));
        bytes.extend(label.as_bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    bytes
}

/// Waits until somebody accepts connections.
pub(crate) fn answers(address: SocketAddr) {
    let accepted = (0..250).any(|_| {
        thread::sleep(Duration::from_millis(20));
        TcpStream::connect(address).is_ok()
    });
    assert!(accepted, "nobody listens at {address}");
}

/// Versions of the servers.
pub(crate) fn versions() -> String {
    format!("{}; {}", said("nginx", &["-v"]), said("dnsmasq", &["--version"]))
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status();
    assert!(status.is_ok_and(|status| status.success()), "{program} {arguments:?}");
}

fn key(algorithm: &str) -> KeyPair {
    if algorithm != "RSA" {
        return KeyPair::generate().expect("a key");
    }
    // ring signs with RSA but makes no keys.
    let made = Command::new("openssl")
        .args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-quiet"])
        .output()
        .expect("openssl runs");
    KeyPair::from_pem(&String::from_utf8_lossy(&made.stdout)).expect("a key")
}

fn params(names: Vec<String>, subject: &str) -> CertificateParams {
    let mut params = CertificateParams::new(names).expect("good names");
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, subject);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2120, 1, 1);
    params
}

fn ca(algorithm: &str, role: &str) -> CertificateParams {
    let mut ca = params(Vec::new(), &format!("Bench {algorithm} {role}"));
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca
}

/// Where a folder of the machine is, for those that are told.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}
