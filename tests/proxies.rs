//! Explicit proxies: what real ones on loopback do, well and badly, and that credentials for them
//! are shown nowhere. What each behavior means is judged in `tests/verdicts`, and which host goes
//! through the proxy in `src/proxy/tests.rs`.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test stops where its world is not as it says, and it makes that world"
)]

#[path = "loopback/pki.rs"]
#[expect(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "shared with the other probes' tests"
)]
mod pki;
mod process;
#[path = "loopback/world.rs"]
#[expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "shared with the other probes' tests"
)]
mod world;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use pki::{Authority, HOST, client, listen_13, server};
use process::daemon::Daemon;
use process::{Process, alone, run, run_with, vnetprobe};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use vnetprobe::check::Target;
use vnetprobe::engine::Prober as _;
use vnetprobe::model::Cloud;
use vnetprobe::observation::{
    AboveTcp, ClimbOutcome, ConnectFailure, HttpOutcome, LocalTrouble, NetworkError, Observation,
    ProxyOutcome, TlsFailure, TlsOutcome,
};
use vnetprobe::parameters::NetworkFacts;
use vnetprobe::probe::Live;
use vnetprobe::probe::dns::Servers;
use vnetprobe::probe::experiments::FollowUps;
use vnetprobe::probe::turns::Turns;
use vnetprobe::proxy::{Exception, Named, Proxy, Routes, Source};
use vnetprobe::schedule::Repeat;
use vnetprobe::settings::Timeouts;
use vnetprobe::target::parse_target;
use world::{BRIEF, PLENTY, answering, outlast, repeating, resetting, serve, stalling};

/// A password, and `bob:` with it in Base64.
const SECRETS: [&str; 2] = ["hunter2", "Ym9iOmh1bnRlcjI"];

// ------------------------------------------------------------------------------------- proxies

/// The heads of the requests that a proxy was asked, in order.
type Asked = Arc<Mutex<Vec<String>>>;

/// Reads up to the blank line and not a byte more.
async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

/// A proxy that leads every request to this backend, after these words.
async fn leading(backend: SocketAddr, words: &'static str) -> (SocketAddr, Asked) {
    let asked = Asked::default();
    let noted = Arc::clone(&asked);
    let proxy = serve(move |mut stream| {
        let noted = Arc::clone(&noted);
        async move {
            let head = head(&mut stream).await;
            let mut onward = TcpStream::connect(backend).await.unwrap();
            if !head.starts_with("CONNECT ") {
                onward.write_all(head.as_bytes()).await.unwrap();
            }
            noted.lock().unwrap().push(head);
            stream.write_all(words.as_bytes()).await.unwrap();
            let _ = copy_bidirectional(&mut stream, &mut onward).await;
        }
    })
    .await;
    (proxy, asked)
}

const ESTABLISHED: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

/// A proxy that says these bytes around what it was asked, and closes.
async fn repeating_the_request(before: &'static str, after: &'static str) -> SocketAddr {
    serve(move |mut stream| async move {
        let head = head(&mut stream).await;
        let _ = stream.write_all(format!("{before}{head}{after}").as_bytes()).await;
        let _ = stream.shutdown().await;
        outlast(&mut stream).await;
    })
    .await
}

/// A proxy that knows nothing of the host and answers what is for itself.
async fn waiting_for_the_host() -> SocketAddr {
    serve(|mut stream| async move {
        if head(&mut stream).await.starts_with("OPTIONS ") {
            stream
                .write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                .await
                .unwrap();
        }
        outlast(&mut stream).await;
    })
    .await
}

/// A DNS server that knows no name and counts how often it is asked.
async fn ignorant_dns() -> (SocketAddr, Arc<Mutex<usize>>) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&asked);
    tokio::spawn(async move {
        let mut bytes = [0; 1024];
        while let Ok((length, from)) = socket.recv_from(&mut bytes).await {
            *counted.lock().unwrap() += 1;
            let mut answer: Vec<u8> = bytes.iter().take(length).copied().collect();
            // A response, with recursion available: NXDOMAIN (RFC 1035 section 4.1.1).
            for (at, bits) in [(2, 0x80), (3, 0x83)] {
                if let Some(byte) = answer.get_mut(at) {
                    *byte |= bits;
                }
            }
            let _ = socket.send_to(&answer, from).await;
        }
    });
    (address, asked)
}

// --------------------------------------------------------------------------------- the prober

fn live(proxy: &str) -> Live {
    let named = Named { proxy: Proxy::parse(proxy).unwrap(), by: Source::CommandLine };
    let all = PLENTY;
    let (routes, troubles) =
        Routes::new(Some(&named), &[], &vnetprobe::proxy::Environment::default());
    assert!(troubles.is_empty());
    Live {
        servers: Servers { configured: Vec::new(), upstreams: Vec::new(), reference: None },
        hosts_file: BTreeMap::new(),
        network: Arc::new(NetworkFacts {
            private_ranges: vec!["172.16.0.0/12".parse().unwrap()],
            endpoint_subnets: Vec::new(),
            endpoint_addresses: BTreeMap::new(),
        }),
        tls: client(&[]),
        timeouts: Timeouts { dns: all, connect: all, tls: all, http: all },
        routes,
        follow_ups: FollowUps::new(Cloud::None, Repeat::Once).into(),
        turns: Turns::default(),
    }
}

fn target(text: &str) -> Target {
    parse_target(text).unwrap()
}

async fn outcome(proxy: SocketAddr, text: &str) -> ProxyOutcome {
    let seen = live(&format!("http://{proxy}")).probe(&target(text), false).await;
    assert_eq!(seen.climbs.is_empty(), seen.proxy.as_ref().unwrap().outcome != ProxyOutcome::Open);
    assert!(seen.dns.is_none());
    seen.proxy.unwrap().outcome
}

/// The last layer above the only connection.
fn above(seen: &Observation) -> &AboveTcp {
    match seen.climbs.as_slice() {
        [climb] => match &climb.outcome {
            ClimbOutcome::Connected { then, .. } => then,
            other => panic!("{other:?}"),
        },
        climbs => panic!("{climbs:?}"),
    }
}

// ------------------------------------------------------------------------------- what they do

#[tokio::test]
async fn a_tunnel_carries_the_handshake_and_the_request() {
    let authority = Authority::new("Contoso");
    let backend = listen_13(authority.issue(&server())).await;
    let (proxy, asked) = leading(backend, ESTABLISHED).await;
    let live =
        Live { tls: client(&[authority.pem()]), ..live(&format!("http://bob:hunter2@{proxy}")) };
    for kind in ["tls", "https"] {
        // Nobody here knows the name: the proxy does.
        let seen = live.probe(&target(&format!("{kind}://{HOST}:8443")), false).await;
        let part = seen.proxy.as_ref().unwrap();
        assert_eq!(part.outcome, ProxyOutcome::Open);
        assert_eq!(part.address, Some(proxy));
        assert_eq!(part.url, format!("http://{proxy}"));
        assert_eq!(part.why, "--proxy of the command line; there are no exceptions");
        let [climb] = seen.climbs.as_slice() else { panic!("{seen:?}") };
        assert_eq!((climb.ip, climb.port), (proxy.ip(), proxy.port()));
        let AboveTcp::Tls(tls) = above(&seen) else { panic!("{seen:?}") };
        let TlsOutcome::Established { then, .. } = &tls.outcome else { panic!("{tls:?}") };
        let status = then.as_ref().map(|http| match &http.outcome {
            HttpOutcome::Answer { status, .. } => *status,
            other => panic!("{other:?}"),
        });
        assert_eq!(status, (kind == "https").then_some(200));
        assert!(SECRETS.iter().all(|secret| !format!("{seen:?}").contains(secret)));
    }
    for head in asked.lock().unwrap().iter() {
        let first = format!("CONNECT {HOST}:8443 HTTP/1.1\r\nHost: {HOST}:8443\r\n");
        assert!(head.starts_with(&first), "{head}");
        assert!(head.contains("\r\nProxy-Authorization: Basic Ym9iOmh1bnRlcjI=\r\n"), "{head}");
    }
}

#[tokio::test]
async fn interim_answers_and_bytes_right_behind_the_head_are_no_obstacle() {
    let authority = Authority::new("Contoso");
    let backend = listen_13(authority.issue(&server())).await;
    let words = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\n";
    let (proxy, _) = leading(backend, words).await;
    let live = Live { tls: client(&[authority.pem()]), ..live(&format!("http://{proxy}")) };
    let seen = live.probe(&target(HOST), false).await;
    let AboveTcp::Tls(tls) = above(&seen) else { panic!("{seen:?}") };
    assert!(matches!(tls.outcome, TlsOutcome::Established { .. }), "{tls:?}");

    // What follows the head is the tunnel's, to the byte.
    let proxy = answering(format!("{ESTABLISHED}SSH-2.0-x\r\n")).await;
    let seen = self::live(&format!("http://{proxy}")).probe(&target(HOST), false).await;
    let AboveTcp::Tls(tls) = above(&seen) else { panic!("{seen:?}") };
    let expected = TlsFailure::NotTls(r"SSH-2.0-x\r\n".to_owned());
    assert_eq!(tls.outcome, TlsOutcome::Failed(expected));
}

#[tokio::test]
async fn addresses_are_asked_for_in_brackets() {
    let (proxy, asked) = leading(stalling("").await, "HTTP/1.1 403 No\r\n\r\n").await;
    for (text, first) in [
        ("[fd00::4]:443", "CONNECT [fd00::4]:443 HTTP/1.1\r\n"),
        ("10.0.0.4:8443", "CONNECT 10.0.0.4:8443 HTTP/1.1\r\n"),
        ("http://[fd00::4]/a?b", "GET http://[fd00::4]/a?b HTTP/1.1\r\nHost: [fd00::4]\r\n"),
        (
            "http://files.test:8080/",
            "GET http://files.test:8080/ HTTP/1.1\r\nHost: files.test:8080\r\n",
        ),
    ] {
        assert!(matches!(outcome(proxy, text).await, ProxyOutcome::Answered { status: 403, .. }));
        let head = asked.lock().unwrap().pop().unwrap();
        assert!(head.starts_with(first), "{head}");
    }
}

#[tokio::test]
async fn refusals_are_kept_with_what_tells_who_refused() {
    let page = "<html>\u{1b}[31mnot allowed</html>";
    let proxy = answering(format!(
        "HTTP/1.1 403 Forbidden\r\nServer: squid\r\nSet-Cookie: a=b\r\nX-Squid-Error: ERR_ACCESS_DENIED 0\r\nContent-Length: {}\r\n\r\n{page}",
        page.len()
    ))
    .await;
    for text in [HOST, "http://files.contoso.test"] {
        let ProxyOutcome::Answered { status, headers, body } = outcome(proxy, text).await else {
            panic!("{text}")
        };
        let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!((status, names), (403, vec!["server", "content-length", "x-squid-error"]));
        assert_eq!(body, "<html>\u{fffd}[31mnot allowed</html>");
    }
    for (words, expected) in [
        ("HTTP/1.1 407 x\r\nProxy-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\n", 407),
        ("HTTP/1.1 502 Bad Gateway\r\n\r\n", 502),
        ("HTTP/1.1 503 x\r\nContent-Length: 4\r\n\r\ntoo long a body", 503),
        ("HTTP/1.1 302 Found\r\nLocation: http://denied.test/\r\n\r\n", 302),
    ] {
        let proxy = answering(words).await;
        let ProxyOutcome::Answered { status, .. } = outcome(proxy, HOST).await else { panic!() };
        assert_eq!(status, expected);
    }
}

#[tokio::test]
async fn a_proxy_that_is_none_is_told_as_it_is() {
    let garbage = ProxyOutcome::NotHttp(r"SSH-2.0-OpenSSH_9.2\r\n".to_owned());
    for text in [HOST, "http://files.contoso.test"] {
        let proxy = answering("SSH-2.0-OpenSSH_9.2\r\n").await;
        assert_eq!(outcome(proxy, text).await, garbage);
        assert_eq!(outcome(answering("").await, text).await, ProxyOutcome::Closed);
    }
    let reset = outcome(resetting().await, HOST).await;
    assert!(
        matches!(reset, ProxyOutcome::Network(NetworkError::Reset) | ProxyOutcome::Closed),
        "{reset:?}"
    );
    let refused = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    let expected = ConnectFailure::Network(NetworkError::Refused);
    assert_eq!(outcome(refused, HOST).await, ProxyOutcome::NotConnected(expected));
}

#[tokio::test]
async fn an_endless_head_ends() {
    // A tunnel whose beginning is not known is none; a refusal is one however long it is.
    let open =
        repeating(ESTABLISHED.trim_end(), "\r\nX-Filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaa").await;
    assert!(matches!(outcome(open, HOST).await, ProxyOutcome::NotHttp(_)));
    let denied =
        repeating("HTTP/1.1 403 No\r\nServer: x", "\r\nX-Filler: aaaaaaaaaaaaaaaaaaa").await;
    let ProxyOutcome::Answered { status, headers, .. } = outcome(denied, HOST).await else {
        panic!()
    };
    assert_eq!((status, headers), (403, vec![("server".to_owned(), "x".to_owned())]));
    let one_line = repeating("HTTP/1.1 200 OK\r\nX: ", "a").await;
    assert!(matches!(outcome(one_line, HOST).await, ProxyOutcome::NotHttp(_)));
    let interim = repeating("", "HTTP/1.1 100 Continue\r\n\r\n").await;
    assert!(matches!(outcome(interim, HOST).await, ProxyOutcome::NotHttp(_)));
    let body = repeating("HTTP/1.1 403 No\r\n\r\n", "never enough ").await;
    let ProxyOutcome::Answered { body, .. } = outcome(body, HOST).await else { panic!() };
    assert!(body.chars().count() <= vnetprobe::limits::HTTP_BODY_CHARS);
}

#[tokio::test]
async fn silence_is_looked_into() {
    for text in [HOST, "http://files.contoso.test"] {
        for (proxy, lives) in [(stalling("").await, false), (waiting_for_the_host().await, true)] {
            let mut live = live(&format!("http://{proxy}"));
            live.timeouts.http = BRIEF;
            live.timeouts.connect = if lives { PLENTY } else { BRIEF };
            let part = live.probe(&target(text), false).await.proxy.unwrap();
            assert_eq!((part.outcome, part.lives), (ProxyOutcome::Timeout, Some(lives)));
        }
    }
    // Half a head is silence as well.
    let proxy = stalling("HTTP/1.1 200 OK\r\nVia: ").await;
    let mut live = live(&format!("http://{proxy}"));
    (live.timeouts.http, live.timeouts.connect) = (BRIEF, BRIEF);
    assert_eq!(
        live.probe(&target(HOST), false).await.proxy.unwrap().outcome,
        ProxyOutcome::Timeout
    );
}

#[tokio::test]
async fn the_service_answers_plain_requests_through_the_proxy() {
    for (answer, own) in [
        ("HTTP/1.1 200 OK\r\nVia: 1.1 p\r\nContent-Length: 2\r\n\r\nok", false),
        ("HTTP/1.1 403 Forbidden\r\nVia: 1.1 p\r\nContent-Length: 2\r\n\r\nno", false),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", false),
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", true),
        ("HTTP/1.1 407 x\r\nVia: 1.1 p\r\nContent-Length: 2\r\n\r\nno", true),
    ] {
        let proxy = answering(answer).await;
        let seen = live(&format!("http://{proxy}"))
            .probe(&target("http://files.contoso.test"), false)
            .await;
        assert_eq!(seen.proxy.as_ref().unwrap().outcome != ProxyOutcome::Open, own, "{answer}");
        if !own {
            assert!(matches!(above(&seen), AboveTcp::Http(_)));
        }
    }
}

// ------------------------------------------------------------------------------------- names

#[tokio::test]
async fn the_proxy_resolves_public_names_and_private_ones_are_looked_at_as_well() {
    let (dns, asked) = ignorant_dns().await;
    let proxy = answering("HTTP/1.1 403 No\r\n\r\n").await;
    let mut live = live(&format!("http://{proxy}"));
    live.servers.configured = vec![dns];
    assert!(live.probe(&target(HOST), false).await.dns.is_none());
    assert_eq!(*asked.lock().unwrap(), 0);
    let seen = live.probe(&target(HOST), true).await;
    assert_eq!(seen.dns.unwrap().servers.len(), 1);
    assert!(matches!(seen.proxy.unwrap().outcome, ProxyOutcome::Answered { status: 403, .. }));
}

#[tokio::test]
async fn the_proxys_own_name_is_looked_up_like_any() {
    let (dns, _) = ignorant_dns().await;
    let proxy = answering("HTTP/1.1 403 No\r\n\r\n").await;
    let mut live = live(&format!("http://proxy.contoso.test:{}", proxy.port()));
    let part = live.probe(&target(HOST), false).await.proxy.unwrap();
    let no_resolver = ConnectFailure::Local(LocalTrouble::NoResolver);
    assert_eq!(part.outcome, ProxyOutcome::NotConnected(no_resolver));

    live.servers.configured = vec![dns];
    let part = live.probe(&target(HOST), false).await.proxy.unwrap();
    assert_eq!((part.outcome, part.address), (ProxyOutcome::Unresolved, None));

    // The second address is tried where the first does not take the connection.
    let dead: IpAddr = "127.66.66.66".parse().unwrap();
    live.hosts_file.insert("proxy.contoso.test".to_owned(), vec![dead, proxy.ip()]);
    let part = live.probe(&target(HOST), false).await.proxy.unwrap();
    assert_eq!(part.address, Some(proxy));
    assert!(matches!(part.outcome, ProxyOutcome::Answered { status: 403, .. }));
}

#[tokio::test]
async fn exceptions_and_other_kinds_go_directly_and_say_why() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut live = live("http://192.0.2.1:3128");
    let named =
        Named { proxy: Proxy::parse("http://192.0.2.1:3128").unwrap(), by: Source::CommandLine };
    let exceptions = [Exception::parse("contoso.test").unwrap()];
    live.routes =
        Routes::new(Some(&named), &exceptions, &vnetprobe::proxy::Environment::default()).0;
    live.hosts_file.insert(HOST.to_owned(), vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]);
    live.timeouts.tls = BRIEF;
    for (text, why) in [
        (
            format!("tls://{HOST}:{port}"),
            "`contoso.test` in [proxy] no_proxy of the configuration matches",
        ),
        (format!("tcp://127.0.0.1:{port}"), "tcp does not go through an HTTP proxy"),
        (format!("tls://127.0.0.1:{port}"), "this machine itself needs no proxy"),
    ] {
        let seen = live.probe(&target(&text), false).await;
        assert!(seen.through().is_none());
        let proxy = seen.proxy.unwrap();
        assert_eq!((proxy.outcome, proxy.why.as_str()), (ProxyOutcome::Bypassed, why));
        assert!(matches!(
            seen.climbs.as_slice(),
            [climb] if climb.port == port && matches!(climb.outcome, ClimbOutcome::Connected { .. })
        ));
    }
}

// --------------------------------------------------------------------------------- credentials

/// A proxy that repeats the request in its answer, beside a program that runs meanwhile.
fn with_proxy(before: &'static str, after: &'static str, body: impl FnOnce(SocketAddr)) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    body(runtime.block_on(repeating_the_request(before, after)));
}

#[track_caller]
fn holds_no_secret(text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

const FORMATS: [&str; 5] = ["table", "json", "markdown", "junit", "prometheus"];
/// Proxies that repeat what they were asked: in a header, in a body, as garbage, and behind a tunnel.
const ECHOES: [(&str, &str); 4] = [
    ("HTTP/1.1 403 No\r\n\r\n", ""),
    ("HTTP/1.1 403 No\r\nVia: ", "\r\n\r\n"),
    ("garbage ", ""),
    ("HTTP/1.1 200 OK\r\n\r\nx", ""),
];

#[test]
fn credentials_are_in_no_format_of_an_answer() {
    alone(|| {
        for (before, after) in ECHOES {
            with_proxy(before, after, |proxy| {
                let url = format!("http://bob:hunter2@{proxy}");
                for format in FORMATS {
                    let targets = ["https://a.test", "http://a.test", "wss://a.test"];
                    let arguments = ["--proxy", &url, "--format", format, "--verbose"];
                    let arguments: Vec<&str> =
                        ["probe"].into_iter().chain(targets).chain(arguments).collect();
                    let ended = run(&arguments).expect(1);
                    holds_no_secret(&ended.stdout);
                    holds_no_secret(&ended.stderr);
                    assert!(format == "prometheus" || ended.stdout.contains(&proxy.to_string()));
                }
            });
        }
    });
}

#[test]
fn credentials_of_the_environment_and_of_a_file_are_shown_nowhere() {
    alone(|| {
        with_proxy("HTTP/1.1 407 x\r\n\r\n", "", |proxy| {
            let url = format!("http://bob:hunter2@{proxy}");
            let mut command = vnetprobe(&["probe", "a.test", "--format", "json"]);
            let ended = Process::start(command.env("https_proxy", &url)).ended().expect(1);
            holds_no_secret(&ended.stdout);
            let report = ended.json();
            let text =
                |pointer: &str| report.pointer(pointer).unwrap().as_str().unwrap().to_owned();
            assert_eq!(text("/vantage/proxy"), format!("http://{proxy}"));
            assert_eq!(text("/checks/0/cause"), "proxy_auth_required");
            assert_eq!(
                text("/checks/0/evidence/observation/proxy/why"),
                "https_proxy of the environment; there are no exceptions"
            );

            let config = format!(
                "[workspace]\ncloud = \"none\"\n[proxy]\nurl = \"{url}\"\nno_proxy = [\"b.test\"]\n[dns]\nservers = [\"127.0.0.1:9\"]\n[[probe]]\nname = \"a\"\ntarget = \"https://a.test\"\nexpect = \"private\"\n[[probe]]\nname = \"b\"\ntarget = \"https://b.test\"\n"
            );
            for format in FORMATS {
                let ended = run_with(&config, &["check", "--format", format, "--verbose"]);
                holds_no_secret(&ended.expect(1).stdout);
            }
            for arguments in [&["plan", "--format", "json"][..], &["validate"]] {
                holds_no_secret(&run_with(&config, arguments).expect(0).stdout);
            }
            let daemon = Daemon::start(&config);
            daemon.is_ready();
            let page = daemon.get("/").body;
            let bypassed = "`b.test` in [proxy] no_proxy of the configuration matches";
            assert!(page.contains(&proxy.to_string()));
            assert!(page.contains("a private endpoint should be reached directly"), "{page}");
            for path in ["/api/v1/report", "/api/v1/findings", "/metrics"] {
                holds_no_secret(&daemon.get(path).body);
            }
            holds_no_secret(&page);
            assert!(daemon.get("/api/v1/report").body.contains(bypassed));
            let ended = daemon.stopped();
            holds_no_secret(&ended.stdout);
            holds_no_secret(&ended.stderr);
        });
    });
}

#[test]
fn a_proxy_that_cannot_be_used_is_refused_without_its_password() {
    alone(|| {
        for url in ["https://bob:hunter2@proxy", "bob:hunter2@proxy", "http://bob:hunter2@proxy:0"]
        {
            let ended = run(&["probe", "a.test", "--proxy", url]).expect(2);
            assert!(ended.stderr.contains("--proxy: "), "{}", ended.stderr);
            holds_no_secret(&ended.stderr);
        }
        let mut command = vnetprobe(&["probe", "127.0.0.1:1", "--format", "table"]);
        let command = command.env("ALL_PROXY", "socks5://bob:hunter2@proxy");
        let ended = Process::start(command).ended().expect(1);
        assert!(
            ended.stdout.contains("ALL_PROXY of the environment is not used"),
            "{}",
            ended.stdout
        );
        holds_no_secret(&ended.stdout);
    });
}

#[test]
fn one_proxy_is_one_finding_and_its_commands_go_through_it() {
    alone(|| {
        let mut command = vnetprobe(&[
            "probe",
            "a.test",
            "https://b.test",
            "http://c.test",
            "wss://d.test",
            "--format",
            "json",
            "--proxy",
            "http://127.0.0.1:9",
        ]);
        let report = Process::start(&mut command).ended().expect(1).json();
        let findings = report["findings"].as_array().unwrap();
        let [finding] = findings.as_slice() else { panic!("{findings:#?}") };
        assert_eq!(finding["cause"], "proxy_unreachable");
        assert_eq!(finding["explains"].as_array().unwrap().len(), 4);
        let title = finding["title"].as_str().unwrap();
        assert!(title.contains("proxy http://127.0.0.1:9"), "{title}");
        let prove = finding["prove"].to_string();
        assert!(prove.contains("-x http://127.0.0.1:9 --proxytunnel"), "{prove}");
    });
}
