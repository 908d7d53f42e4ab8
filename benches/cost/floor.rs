//! What no prober can do without: connect, handshake, verify, close, in a bare loop over blocking
//! sockets. It runs as a process of its own, which counts its threads' own processor time. Besides,
//! `openssl s_time`.

use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore};

use crate::daemon::target;
use crate::world::{ADDRESSES, Kind, SUBJECTS, Subject, World, question, text};
use crate::{Pace, Run, turn};

/// The argument that makes this program the bare loop.
pub(crate) const ARGUMENT: &str = "bare-loop";

/// So many checks by the bare loop, so many at a time.
pub(crate) fn measure(
    world: &World,
    subject: &Subject,
    at_once: usize,
    pace: Pace,
    checks: usize,
) -> Run {
    let pace = pace.unwrap_or_default().to_string();
    let start = Instant::now();
    let output = Command::new(std::env::current_exe().expect("this program has a path"))
        .args([ARGUMENT, subject.title, &at_once.to_string(), &pace, &checks.to_string()])
        .arg(world.roots())
        .output()
        .expect("this program runs");
    let wall = start.elapsed().as_secs_f64();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    let mut numbers = text.split_whitespace().map(|word| word.parse::<f64>().expect("a number"));
    let microseconds = numbers.next().expect("a number");
    let latencies: Vec<f64> = numbers.collect();
    assert_eq!(latencies.len(), checks);
    Run { microseconds, rate: checks as f64 / wall, latencies }
}

/// The bare loop itself: prints microseconds of processor time per check, then the time of each.
pub(crate) fn run(arguments: &[String]) {
    let [title, at_once, pace, checks, roots] = arguments else { panic!("{arguments:?}") };
    let subject = SUBJECTS.iter().find(|subject| subject.title == title).expect("a subject");
    let (at_once, checks): (usize, usize) =
        (at_once.parse().expect("a number"), checks.parse().expect("a number"));
    let pace = Some(pace.parse().expect("a number")).filter(|pace| *pace > 0);
    let config = config(Path::new(roots));
    let start = Instant::now();
    let next = AtomicUsize::new(0);
    let work = || {
        let before = own_nanoseconds();
        let mut took = Vec::new();
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= checks {
                return (own_nanoseconds() - before, took);
            }
            turn(start, n, pace);
            took.push(check(subject, n, &config));
        }
    };
    let threads: Vec<(u64, Vec<f64>)> = if at_once == 1 {
        vec![work()]
    } else {
        thread::scope(|scope| {
            let threads: Vec<_> = (0..at_once).map(|_| scope.spawn(work)).collect();
            threads.into_iter().map(|thread| thread.join().expect("a thread")).collect()
        })
    };
    let cpu: u64 = threads.iter().map(|(cpu, _)| cpu).sum();
    let mut out = format!("{}\n", cpu as f64 / 1e3 / checks as f64);
    for took in threads.iter().flat_map(|(_, took)| took) {
        out.push_str(&format!("{took}\n"));
    }
    std::io::stdout().write_all(out.as_bytes()).expect("somebody reads");
}

/// Processor time that this thread has used.
fn own_nanoseconds() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    text.split_whitespace().next().and_then(|word| word.parse().ok()).expect("a number")
}

fn config(roots: &Path) -> Arc<ClientConfig> {
    let pem = fs::read(roots).expect("the roots are there");
    let mut store = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(&pem) {
        store.add(root.expect("PEM")).expect("a root");
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .expect("versions")
        .with_root_certificates(store)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

/// One check; how long it took until it was clear that all is well, in seconds.
fn check(subject: &Subject, n: usize, config: &Arc<ClientConfig>) -> f64 {
    if subject.kind == Kind::Dns {
        let query = question(&format!("n{n}"), n as u16);
        let start = Instant::now();
        let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
        socket.connect((ADDRESSES[0], 53)).expect("an address");
        socket.send(&query).expect("sent");
        let mut answer = [0; 1232];
        let length = socket.recv(&mut answer).expect("an answer");
        let good = answer[..2] == query[..2] && answer[3] % 16 == 0 && answer[7] == 1;
        assert!(good, "{:?}", &answer[..length]);
        return start.elapsed().as_secs_f64();
    }
    let address: SocketAddr = target(subject, false, n).parse().expect("an address");
    let start = Instant::now();
    let mut stream = TcpStream::connect(address).expect("connected");
    if subject.kind == Kind::Tls {
        stream.set_nodelay(true).expect("a socket");
        let name = ServerName::from(address.ip());
        let mut session = ClientConnection::new(Arc::clone(config), name).expect("a session");
        while session.is_handshaking() {
            session.complete_io(&mut stream).expect("a handshake over a good chain");
        }
        assert_ne!(session.handshake_kind(), Some(HandshakeKind::Resumed));
    }
    start.elapsed().as_secs_f64()
}

/// OpenSSL's own loop for a second, with its command's processor time.
pub(crate) fn openssl(world: &World, subject: &Subject) -> Run {
    let (option, ..) = subject.tls;
    let script = format!(
        "TIMEFORMAT='%U %S'; time openssl s_time -new {option} -time 1 -verify 3 -CAfile {} -connect {}:{}",
        text(&world.roots()),
        ADDRESSES[0],
        subject.port
    );
    let output = Command::new("bash").args(["-c", &script]).output().expect("bash runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let connections = said.lines().find_map(|line| {
        let (count, rest) = line.split_once(" connections in ")?;
        // The first such line has the processor time, the second the time of the wall.
        rest.contains("real seconds").then(|| count.parse::<f64>().expect("a count"))
    });
    let connections = connections.unwrap_or_else(|| panic!("s_time said: {said}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    let times = errors.lines().last().expect("times").split_whitespace();
    let seconds: f64 = times.map(|word| word.parse::<f64>().expect("seconds")).sum();
    Run { microseconds: seconds * 1e6 / connections, rate: connections, latencies: Vec::new() }
}
