//! What the tests of local faults do to their own namespace, clock and control groups.

use std::collections::hash_map::DefaultHasher;
use std::fmt::Write as _;
use std::hash::{Hash as _, Hasher as _};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use std::{fs, thread};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::Value;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::process::loopback::{Answer, dns_answer};
use crate::process::{Process, is_alone, until};

/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(30);

/// A configuration with these targets, looked at so often.
pub(crate) fn config(targets: &[String], interval: &str) -> String {
    let mut config = "[workspace]\ncloud = \"none\"\n".to_owned();
    writeln!(config, "[schedule]\ninterval = \"{interval}\"").unwrap();
    for (number, target) in targets.iter().enumerate() {
        writeln!(config, "[[probe]]\nname = \"p{number}\"\ntarget = \"{target}\"").unwrap();
    }
    config
}

/// Runs a line of shell in the test's namespace.
#[track_caller]
pub(crate) fn do_as_root(line: &str) {
    assert!(is_alone(), "`{line}` is meant for a namespace");
    let done = Command::new("sh").args(["-ec", line]).output().unwrap();
    assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
}

/// Sets what belongs to the test's network namespace.
#[track_caller]
pub(crate) fn sysctl(name: &str, value: &str) {
    assert!(is_alone() && name.starts_with("net."), "{name} is the machine's");
    fs::write(format!("/proc/sys/{}", name.replace('.', "/")), format!("{value}\n")).unwrap();
}

// ------------------------------------------------------------------------------------ servers

/// Takes every connection, answers requests with 200, and goes when the other end goes.
pub(crate) fn echo_at(at: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind(at).unwrap();
    let at = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut head = Vec::new();
                let mut piece = [0; 1024];
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read(&mut piece) {
                        Ok(count @ 1..) => head.extend(piece.iter().take(count)),
                        _ => return,
                    }
                }
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
                let _ = io::Write::write_all(&mut stream, answer);
            });
        }
    });
    at
}

/// Something that listens at 10.9.0.2 port 8000, behind this namespace's interface `here`.
pub(crate) fn far_server() -> Process {
    do_as_root("ip link add here type veth peer name there");
    let line = "while ! ip address add 10.9.0.2/24 dev there; do sleep 0.02; done; \
                ip link set there up; exec python3 -m http.server --bind 10.9.0.2 8000";
    let far = Process::start(Command::new("unshare").args(["--net", "sh", "-c", line]));
    let network = |process: &str| fs::read_link(format!("/proc/{process}/ns/net")).unwrap();
    until("it has a namespace of its own", || {
        (network(&far.id().to_string()) != network("self")).then_some(())
    });
    do_as_root(&format!("ip link set there netns {}", far.id()));
    do_as_root("ip address add 10.9.0.1/24 dev here && ip link set here up");
    until("it listens", || TcpStream::connect((Ipv4Addr::new(10, 9, 0, 2), 8000)).ok());
    far
}

/// A DNS server on its usual port that gives every name this address.
pub(crate) fn dns_server_at(at: Ipv4Addr, says: Ipv4Addr) {
    assert!(is_alone(), "port 53 is the machine's");
    let socket = UdpSocket::bind((at, 53)).unwrap();
    thread::spawn(move || {
        let mut question = [0; 1024];
        while let Ok((length, from)) = socket.recv_from(&mut question) {
            let answer = dns_answer(question.get(..length).unwrap(), says);
            if let Some(answer) = answer {
                let _ = socket.send_to(&answer, from);
            }
        }
    });
}

/// A TLS server for localhost and `s1` to `s40` below it; its certificate is good from so many seconds ago for so
/// many from now. Gives its port and the root that signed it.
pub(crate) fn tls_server(since: u64, left: u64) -> (u16, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let names = (1..=40).map(|n| format!("s{n}.localhost")).chain(["localhost".to_owned()]);
    let names: Vec<String> = names.collect();
    let mut params = CertificateParams::new(names).unwrap();
    let now = SystemTime::now();
    params.not_before = (now - Duration::from_secs(since)).into();
    params.not_after = (now + Duration::from_secs(left)).into();
    let key = KeyPair::generate().unwrap();
    let leaf = params.signed_by(&key, &root).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let session = ServerConnection::new(Arc::clone(&config)).unwrap();
            thread::spawn(move || {
                // Until the other end goes.
                let _ = StreamOwned::new(session, stream).read(&mut [0]);
            });
        }
    });
    (port, root.pem())
}

// ------------------------------------------------------------------------------------- client

/// One connection to the daemon, kept: it needs no descriptor and no port any more.
pub(crate) struct Line(BufReader<TcpStream>);

impl Line {
    pub(crate) fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, REQUEST).unwrap();
        stream.set_read_timeout(Some(REQUEST)).unwrap();
        let mut line = Self(BufReader::new(stream));
        // Only an answer tells that the daemon has taken the connection.
        assert_eq!(line.get("/-/healthy").status, 200);
        line
    }

    pub(crate) fn send(&mut self, method: &str, path: &str) {
        let address = self.0.get_ref().peer_addr().unwrap();
        let head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: 0\r\n");
        io::Write::write_all(self.0.get_mut(), format!("{head}\r\n").as_bytes()).unwrap();
    }

    #[track_caller]
    pub(crate) fn answer(&mut self) -> Answer {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(self.0.read_line(&mut head).unwrap() > 0, "the daemon hung up");
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let head = head.to_ascii_lowercase();
        let length = head.split_once("content-length: ").unwrap().1;
        let mut body = vec![0; length.split_once('\r').unwrap().0.parse().unwrap()];
        self.0.read_exact(&mut body).unwrap();
        Answer { status, head, body: String::from_utf8(body).unwrap() }
    }

    #[track_caller]
    pub(crate) fn ask(&mut self, method: &str, path: &str) -> Answer {
        self.send(method, path);
        self.answer()
    }

    #[track_caller]
    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path)
    }

    #[track_caller]
    pub(crate) fn json(&mut self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }
}

/// The values of a metric, one per series.
pub(crate) fn values(metrics: &str, name: &str) -> Vec<f64> {
    let lines = metrics.lines().filter_map(|line| line.strip_prefix(name));
    let series = lines.filter(|rest| rest.starts_with('{'));
    series.map(|rest| rest.rsplit_once(' ').unwrap().1.parse().unwrap()).collect()
}

/// How many batches of measurements the history file has.
pub(crate) fn batches(path: &Path) -> u64 {
    let conn = rusqlite::Connection::open(path).unwrap();
    conn.query_row("SELECT count(*) FROM batch", [], |row| row.get(0)).unwrap()
}

// -------------------------------------------------------------------------------------- clock

/// A wall clock for one program: libfaketime reads from a file how far off it is. What counts time
/// that passes stays true.
pub(crate) struct Clock(tempfile::TempDir);

impl Clock {
    pub(crate) fn new() -> Self {
        let clock = Self(tempfile::tempdir().unwrap());
        clock.set(0);
        clock
    }

    /// This many seconds off the machine's.
    pub(crate) fn set(&self, seconds: i64) {
        // Readers see the old text or the new one, never none.
        fs::write(self.0.path().join("new"), format!("{seconds:+}\n")).unwrap();
        fs::rename(self.0.path().join("new"), self.0.path().join("offset")).unwrap();
    }

    /// Makes it the clock of a program that has not started.
    pub(crate) fn rules(&self, command: &mut Command) {
        let library = fs::read_dir("/usr/lib")
            .unwrap()
            .map(|folder| folder.unwrap().path().join("faketime/libfaketime.so.1"))
            .find(|library| library.exists())
            .unwrap_or_else(|| {
                panic!("this test needs libfaketime; install it with `apt-get install libfaketime`")
            });
        command.env("LD_PRELOAD", library);
        command.env("FAKETIME_TIMESTAMP_FILE", self.0.path().join("offset"));
        command.env("FAKETIME_NO_CACHE", "1").env("DONT_FAKE_MONOTONIC", "1");
    }
}

// ------------------------------------------------------------------------------------- groups

/// A control group of this test, version 1 or 2. The test program outside of the namespace makes
/// and removes it, so that it goes however the test ends.
pub(crate) struct Group {
    at: PathBuf,
    unified: bool,
}

impl Group {
    #[track_caller]
    pub(crate) fn of(controller: &str, test: &str) -> Self {
        let root = Path::new("/sys/fs/cgroup");
        let old = root.join(controller);
        let unified = !old.join("cgroup.procs").exists();
        let parent = if unified { root.to_owned() } else { old };
        // One per working tree, the same inside and outside of the namespace.
        let mut hash = DefaultHasher::new();
        env!("CARGO_TARGET_TMPDIR").hash(&mut hash);
        let at = parent.join(format!("vnetprobe-{test}-{:x}", hash.finish()));
        let group = Self { at, unified };
        if !is_alone() {
            if unified {
                let on = fs::write(parent.join("cgroup.subtree_control"), format!("+{controller}"));
                on.unwrap_or_else(|error| {
                    panic!(
                        "this test needs the control group controller {controller} in {}: {error}",
                        parent.display()
                    )
                });
            }
            // One that a killed run left behind.
            let _ = fs::remove_dir(&group.at);
            fs::create_dir(&group.at).unwrap_or_else(|error| {
                panic!("this test makes {}, which root may: {error}", group.at.display())
            });
        }
        group
    }

    fn set(&self, file: &str, value: &str) {
        let path = self.at.join(file);
        fs::write(&path, value).unwrap_or_else(|error| {
            panic!("failed to write {value} to {}: {error}", path.display())
        });
    }

    /// So many hundredths of one processor.
    pub(crate) fn allow_cpu(&self, percent: u32) {
        if self.unified {
            self.set("cpu.max", &format!("{} 100000", percent * 1_000));
        } else {
            self.set("cpu.cfs_period_us", "100000");
            self.set("cpu.cfs_quota_us", &(percent * 1_000).to_string());
        }
    }

    pub(crate) fn allow_memory(&self, bytes: u64) {
        let file = if self.unified { "memory.max" } else { "memory.limit_in_bytes" };
        self.set(file, &bytes.to_string());
    }

    /// Puts a process in.
    pub(crate) fn take(&self, process: u32) {
        self.set("cgroup.procs", &process.to_string());
    }

    /// The command, in the group from its first moment.
    pub(crate) fn within(&self, command: &Command) -> Command {
        let mut inside = Command::new("sh");
        let line = format!("echo $$ > {}/cgroup.procs && exec \"$@\"", self.at.display());
        inside.args(["-c", &line, "sh"]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside
    }

    pub(crate) fn has(&self, process: u32) -> bool {
        let members = fs::read_to_string(self.at.join("cgroup.procs")).unwrap();
        members.lines().any(|line| line == process.to_string())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !is_alone() && !thread::panicking() {
            // The namespace is gone, and its last process a moment later.
            until("the control group can be removed", || fs::remove_dir(&self.at).ok());
        } else if !is_alone() {
            for _ in 0..100 {
                if fs::remove_dir(&self.at).is_ok() {
                    return;
                }
                thread::sleep(Duration::from_millis(20));
            }
        }
    }
}
