//! The listeners as programs see them: curl, a real Prometheus and systemd's own activation over
//! TLS, with passwords, tokens and client certificates; and clients that take all they can get.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test stops where its world is not as it says, and it makes that world"
)]

mod process;

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use process::daemon::Daemon;
use process::loopback::{get, half_a_request};
use process::{Process, alone, folder, needs, run, until, vnetprobe};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};
use tempfile::TempDir;

/// SHA-256 of `s3cret-token`.
const TOKEN_HASH: &str = "a81e611a041b13f078bf8ebe5dab4d4fd63fcc5594661c918bec093a2f416a7e";
/// What a configuration of this test begins with: nothing to probe.
const NOTHING: &str = "[workspace]\ncloud = \"none\"\n";

// ------------------------------------------------------------------------------------ the world

/// An authority with a name of its own.
fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Writes `NAME.pem` and `NAME.key`, issued by this authority for this machine's loopback.
fn issue(folder: &Path, name: &str, authority: &CertifiedIssuer<'static, KeyPair>) {
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
    fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
}

/// A folder with an authority, a server's and a client's certificate, and a stranger's of an
/// authority of the same name.
fn pki(config: &str) -> TempDir {
    let folder = folder(&[("probes.toml", &format!("{NOTHING}{config}"))]);
    let (ours, theirs) = (authority("Contoso"), authority("Contoso"));
    fs::write(folder.path().join("ca.pem"), ours.pem()).unwrap();
    issue(folder.path(), "server", &ours);
    issue(folder.path(), "client", &ours);
    issue(folder.path(), "stranger", &theirs);
    folder
}

const TLS: &str = "[web]\ncert_file = \"server.pem\"\nkey_file = \"server.key\"\n";

fn accounts() -> String {
    let hash = bcrypt::hash("correct horse", 4).unwrap();
    format!(
        "basic_auth_users = {{ alice = \"{hash}\" }}\n\
         bearer_tokens = {{ prometheus = \"{TOKEN_HASH}\" }}\n"
    )
}

/// A daemon in a folder, and where it said it listens.
fn serve(folder: &Path, arguments: &[&str]) -> (Process, SocketAddr) {
    let mut command = vnetprobe(&["serve"]);
    let process = Process::start(command.args(arguments).current_dir(folder));
    let address = address(&process);
    (process, address)
}

fn address(process: &Process) -> SocketAddr {
    let said = process.says("/metrics");
    let (_, after) = said.split_once("://").unwrap();
    after.split_once('/').unwrap().0.parse().unwrap()
}

/// What curl hears: the status, 000 when there was no answer, and the body.
fn curl(folder: &Path, arguments: &[&str]) -> (String, String) {
    needs("curl", "curl");
    let mut command = Command::new("curl");
    command.current_dir(folder).args(["-q", "-s", "-m", "60", "-w", "\n%{http_code}"]);
    let ended = Process::start(command.args(arguments)).ended();
    let (body, status) = ended.stdout.rsplit_once('\n').unwrap();
    (status.to_owned(), body.to_owned())
}

#[track_caller]
fn hears(folder: &Path, arguments: &[&str], status: &str) -> String {
    let (heard, body) = curl(folder, arguments);
    assert_eq!(heard, status, "curl {arguments:?}: {body}");
    body
}

fn stopped(process: Process) {
    process.signal("TERM");
    process.ended().expect(0);
}

// ------------------------------------------------------------------------------------------ TLS

#[test]
fn curl_over_tls() {
    alone(|| {
        let folder = pki(TLS);
        let (process, address) = serve(folder.path(), &["--listen", "127.0.0.1:0"]);
        let url = format!("https://{address}/api/v1/report");
        let ca = ["--cacert", "ca.pem"];
        let report = hears(folder.path(), &[&ca[..], &[&url]].concat(), "200");
        assert!(report.contains("vnetprobe.report/v1"), "{report}");
        let headers = hears(folder.path(), &[&ca[..], &["-I", &url]].concat(), "200");
        assert!(headers.contains("strict-transport-security: max-age=31536000"), "{headers}");
        hears(folder.path(), &[&url], "000");
        hears(folder.path(), &[&ca[..], &["--tls-max", "1.2", &url]].concat(), "200");
        // Whoever forgets the s is told.
        let plain = hears(folder.path(), &[&format!("http://{address}/")], "400");
        assert!(plain.contains("ask with https"), "{plain}");
        stopped(process);
        let arguments = ["--listen", "127.0.0.1:0", "--set", "web.min_version=TLS13"];
        let (process, address) = serve(folder.path(), &arguments);
        let url = format!("https://{address}/");
        hears(folder.path(), &[&ca[..], &["--tls-max", "1.2", &url]].concat(), "000");
        hears(folder.path(), &[&ca[..], &[&url]].concat(), "200");
        stopped(process);
    });
}

#[test]
fn client_certificates_are_verified() {
    alone(|| {
        let required =
            "client_ca_file = \"ca.pem\"\nclient_auth_type = \"RequireAndVerifyClientCert\"\n";
        let folder = pki(&format!("{TLS}{required}"));
        let path = folder.path();
        let (process, address) = serve(path, &["--listen", "127.0.0.1:0"]);
        let url = format!("https://{address}/metrics");
        let with = |name: &str, url: &str, status: &str| {
            let (certificate, key) = (format!("{name}.pem"), format!("{name}.key"));
            hears(path, &["--cacert", "ca.pem", "--cert", &certificate, "--key", &key, url], status)
        };
        with("client", &url, "200");
        with("stranger", &url, "000");
        hears(path, &["--cacert", "ca.pem", &url], "000");
        stopped(process);
        // Who has a certificate need not have a password, who has none needs one.
        let given = format!(
            "{NOTHING}{TLS}client_ca_file = \"ca.pem\"\nclient_auth_type = \"VerifyClientCertIfGiven\"\n{}",
            accounts()
        );
        fs::write(path.join("probes.toml"), given).unwrap();
        let (process, address) = serve(path, &["--listen", "127.0.0.1:0"]);
        let url = format!("https://{address}/metrics");
        with("client", &url, "200");
        with("stranger", &url, "000");
        hears(path, &["--cacert", "ca.pem", &url], "401");
        hears(path, &["--cacert", "ca.pem", "-u", "alice:correct horse", &url], "200");
        stopped(process);
    });
}

#[test]
fn a_renewed_certificate_is_used_without_a_restart() {
    alone(|| {
        let folder = pki(TLS);
        let path = folder.path();
        let (process, address) = serve(path, &["--listen", "127.0.0.1:0"]);
        let url = format!("https://{address}/-/healthy");
        hears(path, &["--cacert", "ca.pem", &url], "200");
        // Half of the renewal is there: the old pair stays in use, and it is said.
        let new = authority("Contoso renewed");
        fs::write(path.join("new-ca.pem"), new.pem()).unwrap();
        issue(path, "new", &new);
        fs::copy(path.join("new.pem"), path.join("server.pem")).unwrap();
        until("the warning is there after another client came", || {
            hears(path, &["--cacert", "ca.pem", &url], "200");
            process.has_said("the old certificate stays in use").then_some(())
        });
        let said = process.says("does not belong to web.cert_file server.pem");
        assert_eq!(said.matches("the old certificate").count(), 1, "{said}");
        // The other half.
        fs::copy(path.join("new.key"), path.join("server.key")).unwrap();
        until("the new certificate is in use", || {
            (curl(path, &["--cacert", "new-ca.pem", &url]).0 == "200").then_some(())
        });
        process.says("web.cert_file server.pem was read again");
        hears(path, &["--cacert", "ca.pem", &url], "000");
        stopped(process);
    });
}

#[test]
fn files_that_do_not_fit_are_told_at_the_start() {
    alone(|| {
        let folder = pki(TLS);
        let path = folder.path();
        let mistake = |set: &str, text: &str| {
            for arguments in [&["validate", "--set", set][..], &["serve", "--set", set]] {
                let ended = Process::start(vnetprobe(arguments).current_dir(path)).ended();
                let ended = ended.expect(2);
                assert!(ended.stderr.contains(text), "{arguments:?}: {}", ended.stderr);
            }
        };
        mistake(
            "web.key_file=client.key",
            "web.key_file client.key does not belong to web.cert_file server.pem",
        );
        mistake("web.key_file=ca.pem", "web.key_file ca.pem holds no private key");
        mistake("web.cert_file=server.key", "web.cert_file server.key holds no certificate");
        mistake("web.cert_file=nowhere.pem", "failed to read web.cert_file nowhere.pem");
        mistake("web.basic_auth_users.alice=hunter2", "`alice`: this is not a bcrypt hash");
        let fine = Process::start(vnetprobe(&["validate"]).current_dir(path)).ended().expect(0);
        assert_eq!(fine.stdout, "ok\n");
    });
}

// ----------------------------------------------------------------------------- users and tokens

#[test]
fn curl_says_who_asks() {
    alone(|| {
        let folder = folder(&[("probes.toml", &format!("{NOTHING}[web]\n{}", accounts()))]);
        let path = folder.path();
        let (process, address) = serve(path, &["--listen", "127.0.0.1:0"]);
        let url = format!("http://{address}/metrics");
        let refused = hears(path, &[&url], "401");
        assert!(refused.contains("web.basic_auth_users"), "{refused}");
        hears(path, &["-u", "alice:correct horse", &url], "200");
        hears(path, &["-u", "alice:hunter2", &url], "401");
        hears(path, &["-H", "authorization: Bearer s3cret-token", &url], "200");
        hears(path, &["-H", "authorization: Bearer hunter2", &url], "401");
        hears(path, &[&format!("http://{address}/-/healthy")], "200");
        process.signal("TERM");
        let said = process.ended().expect(0).stderr;
        for secret in ["hunter2", "correct horse", "s3cret", TOKEN_HASH, "$2b$"] {
            assert!(!said.contains(secret), "{said}");
        }
    });
}

#[test]
fn prometheus_scrapes_over_tls_with_a_password() {
    alone(|| {
        needs("prometheus", "prometheus");
        let folder = pki(&format!("{TLS}{}", accounts()));
        let path = folder.path();
        let (process, address) = serve(path, &["--listen", "127.0.0.1:0"]);
        let job = |name: &str, password: &str| {
            format!(
                "- job_name: {name}\n\
                 \x20 scheme: https\n\
                 \x20 tls_config: {{ ca_file: ca.pem }}\n\
                 \x20 basic_auth: {{ username: alice, password: '{password}' }}\n\
                 \x20 static_configs: [ {{ targets: [ '{address}' ] }} ]\n"
            )
        };
        let yaml = format!(
            "global: {{ scrape_interval: 1s, scrape_timeout: 1s }}\nscrape_configs:\n{}{}",
            job("right", "correct horse"),
            job("wrong", "hunter2")
        );
        fs::write(path.join("prometheus.yml"), yaml).unwrap();
        let mut command = Command::new("prometheus");
        command.current_dir(path).args([
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=data",
            "--web.listen-address=127.0.0.1:9090",
        ]);
        let prometheus = Process::start(&mut command);
        let has = |query: &str| {
            let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
            let path = format!("/api/v1/query?query={query}");
            let answer = get(SocketAddr::from(([127, 0, 0, 1], 9090)), &path)?;
            let answer: serde_json::Value = serde_json::from_str(&answer.body).ok()?;
            (answer["data"]["result"].as_array()?.len() == 1).then_some(())
        };
        until("the right password scrapes", || has("up{job=\"right\"} == 1"));
        until("the wrong one does not", || has("up{job=\"wrong\"} == 0"));
        until("its metrics are there", || has("count(vnetprobe_build_info{job=\"right\"})"));
        drop(prometheus);
        stopped(process);
    });
}

// ------------------------------------------------------------------------------------- listeners

#[test]
fn a_unix_socket_comes_and_goes_with_the_daemon() {
    alone(|| {
        let folder = folder(&[("probes.toml", NOTHING)]);
        let path = folder.path();
        let socket = path.join("http.sock");
        let listen = format!("unix:{}", socket.display());
        let both = ["--listen", "127.0.0.1:0", "--listen", &listen];
        let (process, address) = serve(path, &both);
        process.says(&format!("status page: {listen}"));
        let file = fs::symlink_metadata(&socket).unwrap();
        assert!(file.file_type().is_socket());
        assert_eq!(file.permissions().mode() & 0o777, 0o660);
        let ask =
            ["--unix-socket", socket.to_str().unwrap(), "http://status.contoso.mil/-/healthy"];
        hears(path, &ask, "200");
        hears(path, &[&format!("http://{address}/-/healthy")], "200");
        // Somebody is there: another one does not take the place.
        let second = run(&["serve", "--set", "cloud=none", "--listen", &listen]).expect(3);
        assert!(second.stderr.contains("somebody answers there already"), "{}", second.stderr);
        hears(path, &ask, "200");
        stopped(process);
        assert!(!socket.exists(), "it is removed at the end");
        // One that nobody answers on was left behind, and a file is somebody's.
        drop(UnixListener::bind(&socket).unwrap());
        assert!(socket.exists());
        let (process, _) = serve(path, &both);
        hears(path, &ask, "200");
        stopped(process);
        fs::write(&socket, "notes").unwrap();
        let refused = run(&["serve", "--set", "cloud=none", "--listen", &listen]).expect(3);
        assert!(refused.stderr.contains("a file that is no socket"), "{}", refused.stderr);
        assert_eq!(fs::read_to_string(&socket).unwrap(), "notes");
    });
}

#[test]
fn systemd_passes_the_sockets() {
    alone(|| {
        needs("systemd-socket-activate", "systemd");
        let folder =
            folder(&[("probes.toml", &format!("{NOTHING}[web]\nlisten = \"127.0.0.1:1\"\n"))]);
        let path = folder.path();
        let socket = path.join("passed.sock");
        let mut command = Command::new("systemd-socket-activate");
        command.current_dir(path).args(["--listen=127.0.0.1:19200", "--listen"]).arg(&socket);
        let daemon = vnetprobe(&["serve"]);
        let process = Process::start(command.arg(daemon.get_program()).arg("serve"));
        process.says("Listening on");
        // The first client starts the daemon, and waits for it.
        let answer = until("the passed socket answers", || {
            let answer = curl(path, &["http://127.0.0.1:19200/-/healthy"]);
            (answer.0 == "200").then_some(answer.1)
        });
        assert_eq!(answer, "ok");
        process.says("status page: http://127.0.0.1:19200/");
        hears(
            path,
            &["--unix-socket", socket.to_str().unwrap(), "http://localhost/metrics"],
            "200",
        );
        stopped(process);
        assert!(socket.exists(), "it is systemd's to remove");
    });
}

#[test]
fn warnings_say_what_is_missing() {
    alone(|| {
        let folder = pki(&format!("{TLS}{}", accounts()));
        let path = folder.path();
        let say = |config: String| {
            fs::write(path.join("probes.toml"), format!("{NOTHING}{config}")).unwrap();
            let (process, _) = serve(path, &["--listen", "0.0.0.0:0"]);
            process.signal("TERM");
            process.ended().expect(0).stderr
        };
        assert!(!say(format!("{TLS}{}", accounts())).contains("reachable"));
        assert!(say(TLS.to_owned()).contains("without authentication"));
        assert!(say(format!("[web]\n{}", accounts())).contains("without TLS: passwords"));
    });
}

// --------------------------------------------------------------------------------- greedy clients

#[test]
fn a_thousand_idle_connections_leave_room() {
    alone(|| {
        let daemon = Daemon::start(NOTHING);
        let idle: Vec<TcpStream> = (0..1_000).map(|_| half_a_request(daemon.address)).collect();
        for _ in 0..20 {
            assert_eq!(daemon.get("/metrics").status, 200);
        }
        // Those that waited longest made room.
        let is_closed = |mut client: &TcpStream| {
            client.set_nonblocking(true).unwrap();
            !matches!(client.read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
        };
        let (first, last) = (idle.iter().take(400), idle.iter().skip(800));
        until("the first ones are closed", || first.clone().all(is_closed).then_some(()));
        assert!(!last.clone().any(is_closed), "the last ones are not");
        daemon.stopped().expect(0);
    });
}

#[test]
fn a_reader_of_single_bytes_holds_nobody_up() {
    alone(|| {
        let daemon = Daemon::start(NOTHING);
        let mut slow = TcpStream::connect(daemon.address).unwrap();
        let mut asks = slow.try_clone().unwrap();
        // Asks and asks, so that what it does not read fills every buffer.
        thread::spawn(move || {
            while asks.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").is_ok() {}
        });
        thread::spawn(move || {
            let mut byte = [0];
            while slow.read_exact(&mut byte).is_ok() {
                thread::sleep(Duration::from_secs(1));
            }
        });
        for _ in 0..20 {
            assert_eq!(daemon.get("/").status, 200);
        }
        daemon.stopped().expect(0);
    });
}

#[test]
fn another_machine_that_floods_is_told_to_wait() {
    alone(|| {
        // An address of this namespace that is not loopback stands for another machine.
        let added =
            Command::new("ip").args(["address", "add", "10.99.0.1/32", "dev", "lo"]).status();
        assert!(added.unwrap().success());
        let folder = folder(&[("probes.toml", NOTHING)]);
        let (process, address) = serve(folder.path(), &["--listen", "10.99.0.1:0"]);
        let refused = until("a flood is refused", || {
            // As fast as it goes: all of them at once over one connection, the last one ends it.
            let request = "GET /-/healthy HTTP/1.1\r\nhost: 10.99.0.1\r\n";
            let mut flood = format!("{request}\r\n").repeat(1_000);
            flood.push_str(request);
            flood.push_str("connection: close\r\n\r\n");
            let mut client = TcpStream::connect(address).unwrap();
            let mut asks = client.try_clone().unwrap();
            let asking = thread::spawn(move || asks.write_all(flood.as_bytes()));
            let mut answers = String::new();
            client.read_to_string(&mut answers).unwrap();
            asking.join().unwrap().unwrap();
            answers.contains("HTTP/1.1 429").then_some(answers)
        });
        assert!(refused.contains("retry-after: 1\r\n"), "{refused}");
        assert!(refused.contains("application/problem+json"), "{refused}");
        stopped(process);
    });
}
