//! Who may ask the server, what they may do, and how often: through the router, without a socket.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where its world is not as it says"
)]

mod fixture;

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::{Extension, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fixture::faults::healthy;
use futures_util::stream;
use http_body_util::BodyExt as _;
use tokio::sync::watch;
use tower::ServiceExt as _;
use vnetprobe::config;
use vnetprobe::limits;
use vnetprobe::server::auth::{Access, Caller, Role};
use vnetprobe::server::control::Controls;
use vnetprobe::server::peer::Peer;
use vnetprobe::server::{ServerState, router};
use vnetprobe::settings::web::Web;
use vnetprobe::snapshot::Snapshot;

/// SHA-256 of `s3cret-token`.
const TOKEN_HASH: &str = "a81e611a041b13f078bf8ebe5dab4d4fd63fcc5594661c918bec093a2f416a7e";

/// A server with this `[web]` table.
struct Server {
    access: Arc<Access>,
    router: Router,
    peer: Peer,
}

/// The state of a server that nothing steers.
fn state(snapshots: watch::Receiver<Arc<Snapshot>>, access: Arc<Access>) -> ServerState {
    let controls = Controls {
        reload: tokio::sync::mpsc::channel(1).0,
        log_level: Arc::new(|| "info".into()),
        set_log_level: Arc::new(|_| Ok(())),
    };
    ServerState::new(snapshots, access, controls)
}

fn web(table: &str) -> Web {
    config::parse(&format!("[web]\n{table}")).unwrap().settings.web
}

fn server(table: &str) -> Server {
    let (_sender, snapshots) = watch::channel(Arc::new(healthy()));
    let access = Arc::new(Access::new(&web(table)).unwrap());
    let router = router(state(snapshots, Arc::clone(&access)));
    Server { access, router, peer: from("127.0.0.1") }
}

/// Two users and a token; one user may probe.
fn guarded() -> Server {
    server(&accounts("correct horse"))
}

fn accounts(password: &str) -> String {
    let hash = bcrypt::hash(password, 4).unwrap();
    format!(
        "basic_auth_users = {{ alice = \"{hash}\", bob = \"{hash}\" }}\n         bearer_tokens = {{ prometheus = \"{TOKEN_HASH}\" }}\nprobe_users = [\"alice\"]\n"
    )
}

fn from(address: &str) -> Peer {
    let address: IpAddr = address.parse().unwrap();
    Peer { address: Some(address), local: address.is_loopback(), ..Peer::default() }
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

impl Server {
    fn seen_from(self, peer: Peer) -> Self {
        Self { peer, ..self }
    }

    async fn ask(&self, path: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap, String) {
        self.send(Request::get(path), headers).await
    }

    async fn send(
        &self,
        request: axum::http::request::Builder,
        headers: &[(&str, &str)],
    ) -> (u16, HeaderMap, String) {
        let named = headers.iter().any(|(name, _)| *name == "host");
        let mut request = if named { request } else { request.header("host", "localhost") };
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.extension(self.peer.clone()).body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (parts.status.as_u16(), parts.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn status(&self, authorization: &str) -> u16 {
        self.ask("/metrics", &[("authorization", authorization)]).await.0
    }
}

fn is_problem(headers: &HeaderMap, body: &str, status: u16) {
    assert_eq!(headers["content-type"], "application/problem+json");
    let problem: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(problem["status"], status);
    assert!(headers.contains_key("content-security-policy"));
}

#[tokio::test]
async fn nobody_is_answered_without_saying_who_asks() {
    let server = guarded();
    for path in ["/", "/metrics", "/api/v1/report", "/-/ready", "/nothing", "/-/healthy/x"] {
        let (status, headers, body) = server.ask(path, &[]).await;
        assert_eq!(status, 401, "{path}");
        is_problem(&headers, &body, 401);
        let challenges: Vec<_> = headers.get_all("www-authenticate").iter().collect();
        let expected =
            ["Basic realm=\"vnetprobe\", charset=\"UTF-8\"", "Bearer realm=\"vnetprobe\""];
        assert_eq!(challenges, expected, "{path}");
    }
    // What a load balancer asks says nothing.
    assert_eq!(server.ask("/-/healthy", &[]).await.0, 200);
    let post = Request::post("/-/healthy");
    assert_eq!(server.send(post, &[]).await.0, 401);
}

#[tokio::test]
async fn users_and_tokens_are_told_from_others() {
    let server = guarded();
    for (authorization, expected) in [
        (basic("alice", "correct horse"), 200),
        // The second time it is known by its keyed hash, and still a wrong one is not.
        (basic("alice", "correct horse"), 200),
        (basic("alice", "wrong horse"), 401),
        (basic("bob", "correct horse"), 200),
        (basic("carol", "correct horse"), 401),
        (basic("carol", ""), 401),
        (basic("", ""), 401),
        ("Bearer s3cret-token".to_owned(), 200),
        ("bearer  s3cret-token ".to_owned(), 200),
        ("Bearer s3cret-tokem".to_owned(), 401),
        (format!("Bearer {TOKEN_HASH}"), 401),
        ("Bearer ".to_owned(), 401),
        ("Bearer".to_owned(), 401),
        ("Basic !!!".to_owned(), 401),
        (format!("Basic {}", STANDARD.encode("no colon")), 401),
        (basic("alice", &"x".repeat(limits::CREDENTIAL_BYTES + 1)), 401),
        ("Digest x".to_owned(), 401),
    ] {
        assert_eq!(server.status(&authorization).await, expected, "{authorization}");
    }
    let twice =
        [("authorization", "Bearer s3cret-token"), ("authorization", "Bearer s3cret-token")];
    assert_eq!(server.ask("/", &twice).await.0, 401);
}

#[tokio::test]
async fn many_first_requests_at_once_are_all_answered() {
    let server = guarded();
    let right = basic("alice", "correct horse");
    let asking = (0..500).map(|_| server.status(&right));
    let statuses = futures_util::future::join_all(asking).await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
}

#[tokio::test]
async fn guessing_ends_soon_and_harms_nobody_who_is_known() {
    let server = guarded();
    let right = basic("alice", "correct horse");
    assert_eq!(server.status(&right).await, 200);
    let mut refused = None;
    for guess in 0..=limits::PASSWORD_BURST * 10 {
        let wrong = basic("alice", &format!("guess {guess}"));
        let (status, headers, body) = server.ask("/", &[("authorization", &wrong)]).await;
        if status == 429 {
            refused = Some((headers, body));
            break;
        }
        assert_eq!(status, 401);
    }
    let (headers, body) = refused.expect("guessing is refused sooner or later");
    is_problem(&headers, &body, 429);
    assert_eq!(headers["retry-after"], "1");
    assert_eq!(server.status(&right).await, 200, "who was known is not locked out");
    let elsewhere = server.seen_from(from("10.0.0.7"));
    assert_eq!(elsewhere.status(&basic("bob", "correct horse")).await, 200);
}

#[tokio::test]
async fn other_machines_have_a_rate() {
    let server = server("").seen_from(from("10.0.0.7"));
    let mut refused = None;
    for _ in 0..limits::REQUEST_BURST * 100 {
        let (status, headers, body) = server.ask("/-/healthy", &[]).await;
        if status != 200 {
            refused = Some((status, headers, body));
            break;
        }
    }
    let (status, headers, body) = refused.expect("a flood is refused sooner or later");
    assert_eq!(status, 429);
    is_problem(&headers, &body, 429);
    assert_eq!(headers["retry-after"], "1");
    let other = Server { peer: from("10.0.0.8"), ..server };
    assert_eq!(other.ask("/-/healthy", &[]).await.0, 200);
}

#[tokio::test]
async fn new_users_hold_from_the_next_request_on() {
    let server = guarded();
    let old = basic("alice", "correct horse");
    assert_eq!(server.status(&old).await, 200);
    server.access.replace(&web(&accounts("battery staple"))).unwrap();
    assert_eq!(server.status(&old).await, 401, "what was accepted once is forgotten");
    assert_eq!(server.status(&basic("alice", "battery staple")).await, 200);
}

// ----------------------------------------------------------------------------------------- roles

/// What the handlers are told of a caller.
async fn caller(server: &Server, authorization: &[(&str, &str)]) -> Caller {
    let (told, mut hears) = tokio::sync::mpsc::channel(1);
    let tell = move |Extension(caller): Extension<Caller>| async move {
        told.send(caller).await.unwrap();
    };
    // The same layers as every route has, around a handler of this test.
    let (_sender, snapshots) = watch::channel(Arc::new(healthy()));
    let state = state(snapshots, Arc::clone(&server.access));
    let routes = Router::new().route("/caller", axum::routing::get(tell));
    let server = Server {
        access: Arc::clone(&server.access),
        router: vnetprobe::server::guarded(routes, Arc::new(state)),
        peer: server.peer.clone(),
    };
    assert_eq!(server.ask("/caller", authorization).await.0, 200);
    hears.recv().await.unwrap()
}

fn may(caller: &Caller) -> [bool; 3] {
    [caller.require_known(), caller.require_control(), caller.require_probe()]
        .map(|allowed| allowed.is_ok())
}

#[tokio::test]
async fn handlers_are_told_who_asks() {
    let server = guarded();
    let alice = basic("alice", "correct horse");
    let alice = caller(&server, &[("authorization", &alice)]).await;
    assert_eq!((alice.name.as_deref(), alice.role), (Some("alice"), Role::Probe));
    assert_eq!(may(&alice), [true, true, true]);
    let token = caller(&server, &[("authorization", "Bearer s3cret-token")]).await;
    assert_eq!((token.name.as_deref(), token.role), (Some("prometheus"), Role::Read));
    assert_eq!(may(&token), [true, false, false], "also from this machine");
    let refused = token.require_probe().unwrap_err();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    // Who has shown a certificate need not say more, and may.
    let certificate = Peer { certificate: Some("scraper".into()), ..from("10.0.0.7") };
    let server = server.seen_from(certificate);
    let scraper = caller(&server, &[]).await;
    assert_eq!((scraper.name.as_deref(), may(&scraper)), (Some("scraper"), [true, false, false]));
    let alice = basic("alice", "correct horse");
    let alice = caller(&server, &[("authorization", &alice)]).await;
    assert_eq!(alice.role, Role::Probe);
}

#[tokio::test]
async fn without_users_only_this_machine_steers() {
    let unix = Peer { unix: true, local: true, ..Peer::default() };
    for (peer, expected) in [
        (from("127.0.0.1"), [true, true, false]),
        (unix, [true, true, false]),
        (from("10.0.0.7"), [false, false, false]),
        // It came from this machine, through a listener that others reach too.
        (Peer { local: false, ..from("127.0.0.1") }, [false, false, false]),
        (Peer::default(), [false, false, false]),
    ] {
        let server = server("").seen_from(peer.clone());
        let caller = caller(&server, &[]).await;
        assert_eq!((caller.name.as_deref(), caller.role), (None, Role::Read));
        assert_eq!(may(&caller), expected, "{peer:?}");
    }
}

#[tokio::test]
async fn readers_do_not_steer() {
    let server = guarded();
    let alice = basic("alice", "correct horse");
    for path in ["/-/reload", "/-/log-level"] {
        let steer = || match path {
            "/-/reload" => Request::post(path),
            _ => Request::put(path),
        };
        assert_eq!(server.send(steer(), &[]).await.0, 401, "{path}");
        let reader = [("authorization", "Bearer s3cret-token")];
        let (status, headers, body) = server.send(steer(), &reader).await;
        assert_eq!(status, 403, "{path}");
        is_problem(&headers, &body, 403);
        let (status, ..) = server.send(steer(), &[("authorization", &alice)]).await;
        // Nobody reloads in this test, but it was not for the role that it was refused.
        assert!(![401, 403, 404, 405].contains(&status), "{path}: {status}");
    }
}

// ----------------------------------------------------------------------------- hosts and headers

#[tokio::test]
async fn browsers_elsewhere_get_nothing() {
    let server = server("names = [\"Probe.Contoso.mil\"]");
    for (headers, expected) in [
        (&[("host", "probe.contoso.mil")][..], 200),
        (&[("host", "probe.contoso.mil"), ("origin", "https://probe.contoso.mil")], 200),
        (&[("host", "contoso.mil")], 421),
        (&[("origin", "null")], 403),
        (&[("origin", "http://evil.example")], 403),
        // An address cannot be rebound to ours, but a page from there is a foreign page.
        (&[("origin", "http://203.0.113.6")], 403),
        (&[("host", "127.0.0.1:19115"), ("origin", "http://127.0.0.1:8080")], 403),
        (&[("host", "127.0.0.1:19115"), ("origin", "http://127.0.0.1:19115")], 200),
        (&[("host", "127.0.0.1:19115"), ("origin", "https://probe.contoso.mil")], 200),
        (&[("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")], 200),
        (&[("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")], 200),
        (&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")], 403),
        (&[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "cors")], 403),
        (
            &[
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "iframe"),
            ],
            403,
        ),
        (
            &[
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "document"),
            ],
            200,
        ),
    ] {
        assert_eq!(server.ask("/", headers).await.0, expected, "{headers:?}");
    }
    let link = [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ];
    assert_eq!(server.ask("/probe?target=x", &link).await.0, 403, "a link does not measure");
    assert_eq!(server.send(Request::post("/"), &link).await.0, 403, "a form does not either");
}

#[tokio::test(start_paused = true)]
async fn bodies_come_whole_and_in_time_or_not_at_all() {
    let server = server("");
    let large = stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b'x'; 1024]));
    let endless: stream::Pending<Result<Vec<u8>, std::io::Error>> = stream::pending();
    for (body, expected) in
        [(Body::from_stream(large), 413), (Body::from_stream(endless), 408), (Body::empty(), 200)]
    {
        let request = Request::get("/metrics").header("host", "localhost").body(body).unwrap();
        let response = server.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status().as_u16(), expected);
    }
}

#[tokio::test]
async fn over_a_unix_socket_the_proxy_names_the_server() {
    let unix = Peer { unix: true, local: true, ..Peer::default() };
    let server = server("").seen_from(unix);
    for (headers, expected) in [
        (&[("host", "status.contoso.mil")][..], 200),
        (&[("host", "status.contoso.mil"), ("origin", "https://status.contoso.mil")], 200),
        (&[("host", "status.contoso.mil"), ("origin", "https://evil.example")], 403),
    ] {
        assert_eq!(server.ask("/", headers).await.0, expected, "{headers:?}");
    }
}

#[tokio::test]
async fn every_answer_has_its_headers() {
    let plain = server("");
    let (_, headers, _) = plain.ask("/", &[]).await;
    for (name, value) in [
        ("x-frame-options", "DENY"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-embedder-policy", "require-corp"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(headers[name], value);
    }
    assert!(!headers.contains_key("strict-transport-security"));
    let encrypted = plain.seen_from(Peer { secure: true, ..from("127.0.0.1") });
    let (_, headers, _) = encrypted.ask("/nothing", &[]).await;
    assert_eq!(headers["strict-transport-security"], "max-age=31536000");
}
