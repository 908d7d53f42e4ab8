//! A healthy world on loopback: a DNS server, and every service that a check can climb to. Its own
//! process (the benchmark's), so that nothing of it counts for a measured program.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::{default_provider, sign::any_supported_type};
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use vnetprobe::observation::WEBSOCKET_ACCEPT;

use super::top;

/// Below it every name `hN` exists, each with an address of its own.
pub(crate) const SUFFIX: &str = "bench.example";
/// Where the DNS server is.
pub(crate) const DNS: &str = "127.0.0.1:53";

/// Where all its addresses are.
pub(crate) const NETWORKS: [&str; 2] = ["172.16.0.0/12", "203.0.113.0/24"];

/// What stands in the world besides the names below [`SUFFIX`].
#[derive(Debug, Default)]
pub(crate) struct Shape {
    /// Names with their addresses.
    pub(crate) names: BTreeMap<String, Ipv4Addr>,
    /// Ports that speak TLS, and HTTP over it.
    pub(crate) tls: BTreeSet<u16>,
    /// Ports that speak HTTP in clear text, or say nothing to who says nothing.
    pub(crate) http: BTreeSet<u16>,
    /// Ports that negotiate SMB2.
    pub(crate) smb: BTreeSet<u16>,
    /// Ports that take datagrams and answer them or not.
    pub(crate) udp: BTreeMap<u16, bool>,
}

/// What hosts below a suffix answer, from the lab's description of Azure.
#[derive(Debug, Deserialize)]
struct Answer {
    suffix: String,
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: String,
}

#[derive(Debug, Deserialize)]
struct Azure {
    answer: Vec<Answer>,
}

/// Starts it for as long as this process lives; returns the file with its root certificate. Programs
/// that read `/etc/resolv.conf` ask its DNS server from now on.
pub(crate) fn start(folder: &Path, shape: Shape) -> PathBuf {
    fs::write(folder.join("resolv.conf"), "nameserver 127.0.0.1\n").expect("room for a file");
    let file = folder.join("resolv.conf");
    run("mount", &["--bind", &file.to_string_lossy(), "/etc/resolv.conf"]);
    for network in NETWORKS {
        run("ip", &["route", "add", "local", network, "dev", "lo"]);
    }
    let (root, acceptor) = certificates(shape.names.keys());
    let ca = folder.join("root.pem");
    fs::write(&ca, root).expect("room for a file");
    let azure = fs::read_to_string(top().join("tests/lab/azure.toml")).expect("the lab is there");
    let azure: Azure = toml::from_str(&azure).expect("the lab's description of Azure");
    let answers = Arc::new(azure.answer);

    let dns = UdpSocket::bind(DNS).expect("the DNS port is free in a namespace of its own");
    let names = shape.names;
    thread::spawn(move || answer_names(&dns, &names));
    let (ready, wait) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async move {
            for port in shape.tls {
                let (acceptor, answers) = (acceptor.clone(), Arc::clone(&answers));
                listen(port, move |stream| {
                    let (acceptor, answers) = (acceptor.clone(), Arc::clone(&answers));
                    async move {
                        let Ok(stream) = acceptor.accept(stream).await else { return };
                        speak_http(stream, &answers).await;
                    }
                })
                .await;
            }
            for port in shape.http {
                listen(port, |stream| async { speak_http(stream, &[]).await }).await;
            }
            for port in shape.smb {
                listen(port, speak_smb).await;
            }
            for (port, answering) in shape.udp {
                let socket = tokio::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).await;
                let socket = socket.expect("a free port");
                tokio::spawn(async move {
                    let mut datagram = [0; 2_048];
                    while let Ok((length, from)) = socket.recv_from(&mut datagram).await {
                        if answering {
                            let _ = socket.send_to(&datagram[..length], from).await;
                        }
                    }
                });
            }
            ready.send(()).expect("somebody waits");
            std::future::pending::<()>().await;
        });
    });
    wait.recv().expect("the world stands");
    ca
}

/// Runs a command that must work.
pub(crate) fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status();
    assert!(status.is_ok_and(|status| status.success()), "{program} {arguments:?}");
}

/// The address of `hN` below [`SUFFIX`]: no two share one, or connections would run out of ports.
pub(crate) fn address(number: usize) -> Ipv4Addr {
    let [.., high, low] = u32::try_from(number).expect("not that many").to_be_bytes();
    Ipv4Addr::new(172, 20, high, low)
}

async fn listen<F, R>(port: u16, serve: F)
where
    F: Fn(TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await.expect("a free port");
    tokio::spawn(async move {
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream));
            }
        }
    });
}

// --------------------------------------------------------------------------------- certificates

/// A leaf for each name, or for everything below [`SUFFIX`].
#[derive(Debug)]
struct Leaves {
    named: BTreeMap<String, Arc<CertifiedKey>>,
    other: Arc<CertifiedKey>,
}

impl ResolvesServerCert for Leaves {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().and_then(|name| self.named.get(name));
        Some(Arc::clone(named.unwrap_or(&self.other)))
    }
}

/// Root in PEM, and a server with chains of leaf and intermediate, all ECDSA P-256.
fn certificates<'a>(names: impl Iterator<Item = &'a String>) -> (String, TlsAcceptor) {
    let key = KeyPair::generate().expect("a key");
    let params = authority("vnetprobe benchmark root");
    let root = params.self_signed(&key).expect("a root").pem();
    let top = Issuer::new(params, key);
    let key = KeyPair::generate().expect("a key");
    let params = authority("vnetprobe benchmark intermediate");
    let intermediate = params.signed_by(&key, &top).expect("an intermediate").der().clone();
    let issuer = Issuer::new(params, key);
    let leaf_key = KeyPair::generate().expect("a key");
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
    let signing = any_supported_type(&der).expect("ring signs with it");
    let leaf = |names: Vec<String>| {
        let mut params = CertificateParams::new(names.clone()).expect("names");
        params.distinguished_name.push(DnType::OrganizationName, "vnetprobe benchmark");
        let common = names.first().and_then(|name| name.get(..64)).unwrap_or(&names[0]);
        params.distinguished_name.push(DnType::CommonName, common);
        valid(&mut params, 1, 90);
        let leaf = params.signed_by(&leaf_key, &issuer).expect("a leaf").der().clone();
        Arc::new(CertifiedKey::new(vec![leaf, intermediate.clone()], Arc::clone(&signing)))
    };
    let leaves = Leaves {
        named: names.map(|name| (name.clone(), leaf(vec![name.clone()]))).collect(),
        // As many names as the certificates of Azure's services usually have.
        other: leaf(
            ["*", "*.east", "*.west", "*.north", "*.south"]
                .map(|label| format!("{label}.{SUFFIX}"))
                .into(),
        ),
    };
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has them")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(leaves));
    (root, TlsAcceptor::from(Arc::new(config)))
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    valid(&mut params, 400, 400);
    params
}

/// From so many days ago to so many days ahead.
fn valid(params: &mut CertificateParams, before: u64, after: u64) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    let days = |days| Duration::from_hours(24 * days);
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + now.saturating_sub(days(before));
    params.not_after = rcgen::date_time_ymd(1970, 1, 1) + (now + days(after));
}

// ---------------------------------------------------------------------------------------- names

/// Answers every question over UDP: an address, no address of that type, or no such name.
fn answer_names(socket: &UdpSocket, names: &BTreeMap<String, Ipv4Addr>) {
    let mut question = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut question) {
        if let Some(answer) = answer(&question[..length], names) {
            let _ = socket.send_to(&answer, from);
        }
    }
}

fn answer(question: &[u8], names: &BTreeMap<String, Ipv4Addr>) -> Option<Vec<u8>> {
    const HEADER: usize = 12;
    let mut labels: Vec<String> = Vec::new();
    let mut at = HEADER;
    loop {
        let length = usize::from(*question.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        let label = std::str::from_utf8(question.get(at..at + length)?).ok()?;
        labels.push(label.to_ascii_lowercase());
        at += length;
    }
    let kind = question.get(at..at + 2)?;
    let name = labels.join(".");
    let address = names.get(&name).copied().or_else(|| {
        let number = name.strip_suffix(SUFFIX)?.strip_suffix('.')?.strip_prefix('h')?;
        Some(address(number.parse().ok()?))
    });
    let (code, record) = match address {
        None => (3, None),
        Some(address) => (0, (kind == [0, 1]).then_some(address)),
    };
    let mut answer = question.get(..2)?.to_vec();
    answer.extend([0x81, 0x80 | code, 0, 1, 0, u8::from(record.is_some()), 0, 0, 0, 0]);
    answer.extend(question.get(HEADER..at + 4)?);
    if let Some(address) = record {
        answer.extend([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(address.octets());
    }
    Some(answer)
}

// ------------------------------------------------------------------------------------- services

/// Answers one request, or waits until the other side goes.
async fn speak_http(mut stream: impl AsyncRead + AsyncWrite + Unpin, answers: &[Answer]) {
    let mut head = Vec::new();
    let mut chunk = [0; 1_024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(length) => head.extend(&chunk[..length]),
        }
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let host = head.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default();
    let answer = match answers.iter().find(|answer| host.ends_with(&answer.suffix)) {
        Some(Answer { status, headers, body, .. }) => {
            let mut text = format!("HTTP/1.1 {status} -\r\n");
            for (name, value) in headers {
                let _ = write!(text, "{name}: {value}\r\n");
            }
            let _ = write!(text, "content-length: {}\r\n\r\n{body}", body.len());
            text
        }
        None if head.contains("upgrade: websocket") => format!(
            "HTTP/1.1 101 -\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: {WEBSOCKET_ACCEPT}\r\n\r\n"
        ),
        None => "HTTP/1.1 200 OK\r\nserver: bench\r\ncontent-length: 4\r\n\r\nwell".to_owned(),
    };
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// Chooses SMB 3.1.1 and offers nothing (MS-SMB2 section 2.2.4).
async fn speak_smb(mut stream: TcpStream) {
    let mut request = [0; 1_024];
    let Ok(1..) = stream.read(&mut request).await else { return };
    let mut message = b"\xfeSMB\x40\x00".to_vec();
    message.extend([0; 10]); // CreditCharge, Status, Command NEGOTIATE, Credits
    message.extend(1_u32.to_le_bytes()); // Flags: a response
    message.resize(64, 0);
    message.extend([65, 0, 1, 0, 0x11, 0x03]); // StructureSize, SecurityMode, DialectRevision
    message.resize(64 + 64, 0);
    let mut framed = u32::try_from(message.len()).expect("short").to_be_bytes().to_vec();
    framed.extend(message);
    let _ = stream.write_all(&framed).await;
    let _ = stream.read(&mut request).await;
}

/// An address for each name of a plan: private where a check expects that, else public.
pub(crate) fn addresses<'a>(
    names: impl Iterator<Item = (&'a str, bool)>,
) -> BTreeMap<String, Ipv4Addr> {
    let mut private: BTreeMap<&str, bool> = BTreeMap::new();
    for (name, inside) in names.filter(|(name, _)| name.parse::<IpAddr>().is_err()) {
        *private.entry(name).or_default() |= inside;
    }
    let numbered = private.into_iter().zip(4_u8..);
    numbered
        .map(|((name, private), number)| {
            let [a, b, c] = if private { [172, 16, 0] } else { [203, 0, 113] };
            (name.to_owned(), Ipv4Addr::new(a, b, c, number))
        })
        .collect()
}

/// A port that is free now.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)));
    listener.and_then(|listener| listener.local_addr()).expect("a free port").port()
}
