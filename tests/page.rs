//! The status page and the server, over hand-made snapshots.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test stops where its world is not as it says"
)]

mod fixture;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use fixture::faults::{first_round, five_faults, healthy, hostile, many};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use tokio::sync::watch;
use tower::ServiceExt as _;
use vnetprobe::journal::{Archive, Event, State, What};
use vnetprobe::limits;
use vnetprobe::model::Status;
use vnetprobe::render::page::{self, View, check, check_as, overview, overview_as};
use vnetprobe::server::auth::Access;
use vnetprobe::server::control::Controls;
use vnetprobe::server::listen::Listener;
use vnetprobe::server::serve::{Serving, serve};
use vnetprobe::server::{ServerState, router};
use vnetprobe::settings::web::Web;
use vnetprobe::snapshot::Snapshot;

/// Where each text begins, all of which must be there.
fn places(html: &str, texts: &[&str]) -> Vec<usize> {
    texts.iter().map(|text| html.find(text).unwrap_or_else(|| panic!("no {text}"))).collect()
}

fn id_of(snapshot: &Snapshot, requirement: &str) -> String {
    let report = snapshot.checks.iter().find(|r| r.check.requirement == requirement).unwrap();
    report.check.id.clone()
}

// ------------------------------------------------------------------------------------ the page

#[test]
fn the_verdict_is_one_sentence() {
    for (snapshot, sentence) in [
        (healthy(), "Everything that was checked is reachable"),
        (five_faults(), "5 faults block 5 of 9 scenarios"),
        (first_round(), "First round is running: 12 of 30 checks have a result"),
        (many(0), "Nothing is checked: the plan holds no check"),
    ] {
        let html = overview(&snapshot);
        let (_, heading) = html.split_once("<h1").unwrap();
        let (heading, _) = heading.split_once("</h1>").unwrap();
        assert!(heading.contains(sentence), "{sentence} not in {heading}");
        assert!(html.contains(&format!("<title>{sentence} · jump-va-01 · vnetprobe</title>")));
    }
}

#[test]
fn a_single_fault_speaks_in_the_singular() {
    let mut snapshot = five_faults();
    snapshot.findings.retain(|finding| finding.title.contains("filters"));
    assert!(overview(&snapshot).contains("1 fault blocks 5 of 9 scenarios"));
}

#[test]
fn the_order_is_vantage_verdict_scenarios_findings_checks() {
    let html = overview(&five_faults());
    let order = places(
        &html,
        &[
            "<header class=\"top\">",
            "jump-va-01</code>",
            "id=\"verdict\"",
            "id=\"scenarios\"",
            "id=\"findings\"",
            "id=\"checks\"",
            "id=\"uncovered\"",
            "id=\"causes\"",
            "<footer",
        ],
    );
    assert!(order.is_sorted(), "{order:?}");
}

#[test]
fn what_fails_comes_before_what_warns() {
    // The fixture's first finding only warns.
    let snapshot = five_faults();
    assert_eq!(snapshot.findings[0].cause.as_str(), "dns_server_down");
    let html = overview(&snapshot);
    let order = places(&html, &["-title\">10.20.0.4 and 10.20.0.5 do not", "-title\">DNS server"]);
    assert!(order.is_sorted(), "{order:?}");
    assert!(html.contains("href=\"#cause-private_forwarder_missing\""));
    assert!(html.contains("id=\"cause-private_forwarder_missing\""));
}

#[test]
fn every_check_is_listed_once_and_linked() {
    let snapshot = many(200);
    let html = overview(&snapshot);
    assert_eq!(snapshot.checks.len(), 200);
    assert_eq!(html.matches("<tbody id=\"check-").count(), 200);
    assert_eq!(html.matches("href=\"./checks/").count(), 200);
    assert_eq!(html.matches("<svg class=\"strip\"").count(), 200);
    assert!(html.contains("href=\"./checks/entra-login-0%40n0.login.microsoftonline.us%3A443\""));
    assert!(html.len() < 1_200_000, "{} bytes", html.len());
}

#[test]
fn evidence_is_on_the_page() {
    let html = overview(&five_faults());
    for text in [
        "reference, asked for comparison",
        "NOERROR",
        "ttl 60 s",
        "no answer",
        "UDP, sent 2 times",
        "connected from 10.20.4.11:50312",
        "the other side reset without having sent a byte",
        "Contoso TLS Inspection CA 2",
        "unknown issuer",
        "inbound traffic cannot be tested from inside the VNet",
        "dns 2.3 ms · connect 1.2 ms · tls 21 ms",
        "<dt>Blocks</dt>",
        "<dt>Degrades</dt>",
    ] {
        assert!(html.contains(text), "no {text}");
    }
}

#[test]
fn strangers_cannot_speak_in_html() {
    let snapshot = hostile();
    let id = snapshot.checks[0].check.id.clone();
    for html in [overview(&snapshot), check(&snapshot, &id).unwrap()] {
        assert_eq!(html.matches("<script").count(), 1, "our own");
        assert!(html.contains("&lt;script&gt;"));
        let html = html.replace(page::SCRIPT, "");
        assert!(!html.contains("<b>&"));
        let odd = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}');
        assert_eq!(html.find(odd), None);
        // Quotes cannot leave an attribute either.
        assert!(!html.contains("=\"\"'"));
    }
    // A long command is not cut.
    assert!(overview(&snapshot).contains(&"x".repeat(600)));
}

#[test]
fn the_same_snapshot_gives_the_same_bytes() {
    for snapshot in [healthy(), five_faults(), first_round(), hostile()] {
        assert_eq!(overview(&snapshot), overview(&snapshot.clone()));
    }
}

#[test]
fn pages_need_no_other_resource() {
    let snapshot = five_faults();
    let of_check = check(&snapshot, &id_of(&snapshot, "graph")).unwrap();
    for html in [overview(&snapshot), of_check] {
        let html = html.replace(page::SCRIPT, "");
        for word in ["<img", "<iframe", " src=", "@import", "url(", " style=", " onclick"] {
            assert!(!html.contains(word), "{word}");
        }
        assert_eq!(html.matches("<link ").count(), 1);
        assert!(html.contains("<link rel=\"icon\" href=\"data:image/svg+xml,"));
        assert!(html.contains("<html lang=\"en\">"));
        assert_eq!(html.matches("<h1").count(), 1);
        assert_eq!(html.matches("<main").count(), 1);
        assert_eq!(html.matches("<th ").count(), html.matches("<th scope=").count());
    }
}

#[test]
fn pages_refresh_unless_held() {
    let refresh = |seconds| {
        format!("<noscript><meta http-equiv=\"refresh\" content=\"{seconds}\"></noscript>")
    };
    assert!(overview(&first_round()).contains(&refresh(15)));
    assert!(overview(&healthy()).contains(&refresh(30)));
    let held = overview_as(&healthy(), View::of_query("hold&all"));
    assert!(!held.contains("http-equiv"));
    assert!(held.contains("data-hold"));
    assert!(overview_as(&many(300), View::of_query("all")).contains("id=\"group-1\" open>"));
    assert!(overview(&many(300)).contains("id=\"group-1\">"));
    assert_eq!(View::of_query("holding&x=all&all=1"), View::of_query("all"));
}

#[test]
fn the_page_of_one_check() {
    let snapshot = five_faults();
    let html = check(&snapshot, &id_of(&snapshot, "pypi")).unwrap();
    for text in [
        "pypi.<wbr>org:443",
        "with another server name the same address answers",
        "href=\"../#finding-tls_sni_blocked@this-machine\"",
        "id=\"cause-tls_sni_blocked\"",
        "openssl s_client -connect 151.101.0.223:443 -servername pypi.org",
        "47 min ago",
        "Install packages",
        "href=\"../api/v1/checks/pypi%40pypi.org%3A443\"",
    ] {
        assert!(html.contains(text), "no {text}");
    }
    assert!(!html.contains("{address}"), "a command of no finding in particular");
    assert_eq!(check(&snapshot, "nobody@nowhere:1"), None);
}

#[test]
fn each_fault_says_since_when_what_it_blocks_and_whom_to_ask() {
    let html = overview(&five_faults());
    let (_, index) = html.split_once("id=\"wrong\"").unwrap();
    let (index, _) = index.split_once("</section>").unwrap();
    assert_eq!(index.matches("<tr data-find").count(), 6);
    let row = index.split("<tr").find(|row| row.contains("A firewall filters")).unwrap();
    let order = places(
        row,
        &["A firewall filters 4 names", ">73 min<", "Install packages", "Firewall team"],
    );
    assert!(order.is_sorted(), "{row}");
    assert!(html.contains("Ask: <b>DNS team, Firewall team</b>"));
    assert_eq!(html.matches("<figure class=\"way\">").count(), 6, "a picture per finding");
}

#[test]
fn what_makes_the_page_doubtful_is_on_top() {
    let mut snapshot = healthy();
    assert!(!overview(&snapshot).contains("class=\"notices\""));
    snapshot.reload_refused = Some("line 12: unknown key".into());
    snapshot.archive = Archive::Degraded {
        path: "/var/lib/vnetprobe/history.sqlite".into(),
        reason: "no space left on device".into(),
        lost: 2,
    };
    Arc::make_mut(&mut snapshot.counters).skipped = 7;
    let report = Arc::make_mut(&mut snapshot.checks[3]);
    report.last_run_at = Some(fixture::now() - jiff::SignedDuration::from_mins(9));
    let view = View::default().read_at(fixture::now() + jiff::SignedDuration::from_mins(4));
    let html = overview_as(&snapshot, view);
    let order = places(
        &html,
        &[
            "This picture is 4 min old",
            "The daemon lags: 1 result overdue, 7 measurements left out",
            "The last reload was refused, so the configuration before it is still in use: line 12",
            "History is kept in memory only: /var/lib/vnetprobe/history.sqlite cannot be used: no space left on device",
            "id=\"verdict\"",
        ],
    );
    assert!(order.is_sorted(), "{order:?}");
    let id = id_of(&snapshot, "pypi");
    assert!(check_as(&snapshot, &id, view, &[]).unwrap().contains("This picture is 4 min old"));
    let fresh = View::default().read_at(fixture::now() + jiff::SignedDuration::from_secs(100));
    assert!(!overview_as(&snapshot, fresh).contains("This picture is"));
}

#[test]
fn what_changed_is_told_of_every_kind_of_event() {
    let html = overview(&five_faults());
    let (_, changes) = html.split_once("id=\"changes\"").unwrap();
    for text in [
        "<b>pass</b> → <b>fail</b> <code>tls_sni_blocked</code>",
        "<b>New finding: </b><a href=\"#finding-tls_sni_blocked@this-machine\">",
        "<b>Mended: </b><code>tcp_timeout</code>",
        "address <code>10.20.8.19</code> → <code>10.20.8.23</code>",
        "<code>CN=Contoso TLS Inspection CA 2</code>",
        "became slower: 24 ms → 188 ms",
        "new configuration in use: 2 checks added, 1 removed",
        "new configuration refused: line 12",
        "started with 30 checks",
    ] {
        assert!(changes.contains(text), "no {text} in {changes}");
    }
    // The newest first, and those of another day with their day.
    assert!(places(changes, &[">02:25:45<", ">02:12:45<", ">Nov  5, 21:32<"]).is_sorted());
}

#[test]
fn the_page_of_a_check_tells_its_own_past() {
    let snapshot = five_faults();
    let id = id_of(&snapshot, "pypi");
    let html = check(&snapshot, &id).unwrap();
    let (_, failures) = html.split_once("id=\"failures\"").unwrap();
    assert!(failures.contains("the other side reset without having sent a byte"));
    let (_, changes) = html.split_once("id=\"changes\"").unwrap();
    assert!(!changes.contains("became slower"), "events of other checks");
    // Events of a history file come before those of the journal, and none twice.
    let state = |status| State { status, cause: None };
    let older: Vec<Arc<Event>> = [(0, "from the file"), (1, "also in the journal")]
        .map(|(number, summary)| {
            let what = What::Check {
                check: id.clone(),
                from: state(Status::Pass),
                to: state(Status::Warn),
                summary: summary.to_owned(),
                observation: None,
            };
            Arc::new(Event { number, at: fixture::now(), what })
        })
        .to_vec();
    let html = check_as(&snapshot, &id, View::default(), &older).unwrap();
    let (_, html) = html.split_once("id=\"failures\"").unwrap();
    let found = places(html, &["tls_sni_blocked", "from the file", "evidence was not kept"]);
    assert!(found.is_sorted(), "{found:?}");
    assert!(!html.contains("also in the journal"));
}

#[test]
fn the_file_needs_nothing_and_leads_nowhere_else() {
    let html = page::file(&five_faults());
    assert!(html.contains("http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';"));
    for word in
        ["<script", "http-equiv=\"refresh\"", "href=\"./", "href=\"?", "<details id=\"seen-1\">"]
    {
        assert!(!html.contains(word), "{word}");
    }
    assert!(html.contains("href=\"#check-21\"") && html.contains("id=\"check-21\""));
}

// ---------------------------------------------------------------------------------- the server

/// Nothing to steer: these tests only read.
fn controls() -> Controls {
    Controls {
        reload: tokio::sync::mpsc::channel(1).0,
        log_level: Arc::new(|| "info".into()),
        set_log_level: Arc::new(|_| Ok(())),
    }
}

fn serving(snapshot: Snapshot) -> (watch::Sender<Arc<Snapshot>>, Router) {
    serving_fresh(snapshot, None)
}

fn serving_fresh(
    snapshot: Snapshot,
    fresh_within: Option<Duration>,
) -> (watch::Sender<Arc<Snapshot>>, Router) {
    let (sender, snapshots) = watch::channel(Arc::new(snapshot));
    let web = Web { names: vec!["probe.contoso.mil".to_owned()], ..Web::default() };
    let access = Arc::new(Access::new(&web).unwrap());
    let state = ServerState::new(snapshots, access, controls());
    (sender, router(ServerState { fresh_within, ..state }))
}

async fn ask(router: &Router, request: Request<Body>) -> (StatusCode, HeaderMap, String) {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).header("host", "127.0.0.1:19115").body(Body::empty()).unwrap()
}

/// The fixtures' snapshots are years old.
const FRESH: Option<Duration> = Some(Duration::from_hours(1));

#[tokio::test(start_paused = true)]
async fn after_a_pause_a_request_waits_for_what_is_true_now() {
    let (sender, router) = serving_fresh(healthy(), FRESH);
    let asked = tokio::spawn(async move { ask(&router, get("/")).await.2 });
    // Time stands still until everybody waits, so now the request does.
    tokio::time::sleep(limits::NEXT_SNAPSHOT / 2).await;
    assert!(!asked.is_finished(), "what was true before the pause was told");
    // Not every snapshot that comes is new: one may have been under way when the pause began.
    sender.send_replace(Arc::new(healthy()));
    sender.send_replace(Arc::new(Snapshot { taken_at: Timestamp::now(), ..five_faults() }));
    assert!(asked.await.unwrap().contains("5 faults block"));
}

#[tokio::test(start_paused = true)]
async fn a_request_does_not_wait_for_ever() {
    let (_sender, router) = serving_fresh(healthy(), FRESH);
    let (status, _, body) = ask(&router, get("/")).await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.contains("Everything that was checked is reachable"));
}

#[tokio::test]
async fn routes_answer_with_their_types() {
    let (_sender, router) = serving(five_faults());
    let html = "text/html; charset=utf-8";
    for (path, content_type, text) in [
        ("/", html, "5 faults block"),
        ("/?hold&all", html, "Resume updates"),
        ("/checks/pypi%40pypi.org%3A443", html, "pypi."),
        ("/checks/pypi@pypi.org:443?hold", html, "Resume updates"),
        (
            "/metrics",
            "text/plain; version=0.0.4; charset=utf-8",
            "vnetprobe_checks{status=\"fail\"} ",
        ),
        ("/api/v1/report", "application/json", "\"schema\": \"vnetprobe.report/v1\""),
        ("/api/v1/checks/pypi%40pypi.org%3A443", "application/json", "\"pypi@pypi.org:443\""),
        ("/api/v1/findings", "application/json", "\"cause\": \"dns_server_down\""),
        ("/-/healthy", "text/plain; charset=utf-8", "ok"),
        ("/-/ready", "text/plain; charset=utf-8", "ready"),
    ] {
        let (status, headers, body) = ask(&router, get(path)).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        assert_eq!(headers["content-type"], content_type, "{path}");
        assert!(body.contains(text), "{path}: {body}");
        guarded(&headers);
    }
}

fn guarded(headers: &HeaderMap) {
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(policy.contains("; script-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'"));
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(headers["referrer-policy"], "no-referrer");
    assert_eq!(headers["cache-control"], "no-store");
}

fn is_problem(headers: &HeaderMap, body: &str, status: u16) {
    assert_eq!(headers["content-type"], "application/problem+json");
    let problem: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(problem["status"], status);
    assert_eq!(problem["type"], "about:blank");
    assert!(problem["detail"].as_str().unwrap().ends_with('.'));
    guarded(headers);
}

#[tokio::test]
async fn what_is_not_there_is_a_problem() {
    let (_sender, router) = serving(healthy());
    for path in ["/nothing", "/checks/a@b:1", "/api/v1/checks/a@b:1", "/checks", "/api/v1"] {
        let (status, headers, body) = ask(&router, get(path)).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        is_problem(&headers, &body, 404);
    }
    let request = Request::post("/metrics").header("host", "localhost").body(Body::empty());
    let (status, headers, body) = ask(&router, request.unwrap()).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(headers["allow"], "GET,HEAD");
    is_problem(&headers, &body, 405);
}

#[tokio::test]
async fn readiness_follows_the_first_round() {
    let (sender, router) = serving(first_round());
    let (status, headers, body) = ask(&router, get("/-/ready")).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body, "The first round is running: 12 of 30 checks have a result.");
    guarded(&headers);
    let (status, _, _) = ask(&router, get("/-/healthy")).await;
    assert_eq!(status, StatusCode::OK);
    sender.send(Arc::new(healthy())).unwrap();
    let (status, _, _) = ask(&router, get("/-/ready")).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn foreign_names_are_refused() {
    let (_sender, router) = serving(healthy());
    for (host, expected) in [
        ("127.0.0.1:19115", StatusCode::OK),
        ("[::1]:19115", StatusCode::OK),
        ("localhost:19115", StatusCode::OK),
        ("JUMP-VA-01", StatusCode::OK),
        ("probe.contoso.mil", StatusCode::OK),
        ("evil.example", StatusCode::MISDIRECTED_REQUEST),
        ("jump-va-01.evil.example:19115", StatusCode::MISDIRECTED_REQUEST),
        ("a b", StatusCode::BAD_REQUEST),
        ("", StatusCode::BAD_REQUEST),
    ] {
        let request = Request::get("/").header("host", host).body(Body::empty()).unwrap();
        let (status, headers, body) = ask(&router, request).await;
        assert_eq!(status, expected, "{host}");
        if expected != StatusCode::OK {
            is_problem(&headers, &body, expected.as_u16());
        }
    }
    // An absolute target wins over Host; two hosts are none; none is none.
    let absolute = Request::get("http://evil.example/").header("host", "localhost");
    let twice = Request::get("/").header("host", "localhost").header("host", "evil.example");
    for (request, expected) in [(absolute, 421), (twice, 400), (Request::get("/"), 400)] {
        let (status, _, _) = ask(&router, request.body(Body::empty()).unwrap()).await;
        assert_eq!(status.as_u16(), expected);
    }
}

#[tokio::test]
async fn foreign_origins_and_large_bodies_are_refused() {
    let (_sender, router) = serving(healthy());
    for (name, value, expected) in [
        ("origin", "http://localhost:19115", 200),
        ("origin", "https://evil.example", 403),
        ("origin", "null", 403),
        ("content-length", "65536", 200),
        ("content-length", "65537", 413),
    ] {
        let request =
            Request::get("/api/v1/report").header("host", "localhost").header(name, value);
        let (status, _, _) = ask(&router, request.body(Body::empty()).unwrap()).await;
        assert_eq!(status.as_u16(), expected, "{name}: {value}");
    }
}

#[tokio::test]
async fn serving_ends_when_told_even_with_an_idle_client() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (_sender, router) = serving(healthy());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let listeners = vec![Listener::tcp(listener).unwrap()];
    let serving = Serving::new(router, None, Arc::new(|_: &str| {}));
    let server = tokio::spawn(serve(listeners, serving, async {
        let _ = stopped.await;
    }));
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET /-/healthy HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.0 200") && answer.ends_with("ok"), "{answer}");
    // This one has sent half a request and would hold the server for ever.
    let mut idle = tokio::net::TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET / HT").await.unwrap();
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
}

#[tokio::test]
async fn downloads_have_a_name_of_where_and_when() {
    let mut snapshot = five_faults();
    Arc::make_mut(&mut snapshot.machine).hostname = "jump\"; x=\r\n01".into();
    let (_sender, router) = serving(snapshot);
    for (path, content_type, text) in [
        ("/report.html", "text/html; charset=utf-8", "5 faults block"),
        ("/report.md", "text/markdown; charset=utf-8", "# 5 faults block"),
        ("/report.json", "application/json", "\"schema\": \"vnetprobe.report/v1\""),
    ] {
        let (status, headers, body) = ask(&router, get(path)).await;
        assert_eq!(
            (status, &headers["content-type"]),
            (StatusCode::OK, &content_type.parse().unwrap())
        );
        let extension = path.split_once('.').unwrap().1;
        let name = format!(
            "attachment; filename=\"vnetprobe-jump___x___01-20261106T031245Z.{extension}\""
        );
        assert_eq!(headers["content-disposition"], name);
        assert!(body.contains(text), "{path}");
        guarded(&headers);
    }
}

/// The next piece of a stream of events.
async fn piece(body: &mut Body) -> Option<String> {
    let frame = body.frame().await?.unwrap();
    Some(String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap())
}

#[tokio::test(start_paused = true)]
#[expect(clippy::disallowed_methods, reason = "the test reads its paused clock")]
async fn an_event_tells_of_a_new_snapshot_and_silence_of_life() {
    let (sender, router) = serving(first_round());
    let response = router.clone().oneshot(get("/api/v1/events")).await.unwrap();
    guarded(response.headers());
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    let first = piece(&mut body).await.unwrap();
    assert!(first.starts_with("event: snapshot\ndata: {\"taken_at\":\"2026-11-06T03:12:45Z\",\"complete\":false,\"last_event\":0,\"headline\":\"First round"), "{first}");
    // Nothing new: only a comment.
    assert_eq!(piece(&mut body).await.unwrap().trim(), ":");
    // Many at once are one.
    let begun = tokio::time::Instant::now();
    for _ in 0..50 {
        sender.send_replace(Arc::new(healthy()));
    }
    sender.send_replace(Arc::new(five_faults()));
    let next = piece(&mut body).await.unwrap();
    assert!(next.contains("\"complete\":true") && next.contains("5 faults block"), "{next}");
    sender.send_replace(Arc::new(healthy()));
    assert!(piece(&mut body).await.unwrap().contains("reachable"));
    assert!(begun.elapsed() >= limits::EVENTS_EVERY, "throttled");
    // When nobody publishes any more, it ends.
    drop(sender);
    assert_eq!(piece(&mut body).await, None);
}

#[tokio::test]
async fn streams_are_bounded_and_their_places_come_back() {
    let (_sender, router) = serving(healthy());
    let mut open = Vec::new();
    for _ in 0..limits::EVENT_STREAMS {
        let response = router.clone().oneshot(get("/api/v1/events")).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        open.push(response);
    }
    let (status, headers, body) = ask(&router, get("/api/v1/events")).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    is_problem(&headers, &body, 503);
    // The page itself still answers, and a closed one makes room.
    assert_eq!(ask(&router, get("/")).await.0, StatusCode::OK);
    open.pop();
    let response = router.clone().oneshot(get("/api/v1/events")).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn an_open_stream_ends_with_the_server() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (_sender, router) = serving(healthy());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let listeners = vec![Listener::tcp(listener).unwrap()];
    let serving = Serving::new(router, None, Arc::new(|_: &str| {}));
    let server = tokio::spawn(serve(listeners, serving, async {
        let _ = stopped.await;
    }));
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut heard = Vec::new();
    while !heard.windows(16).any(|part| part == b"event: snapshot\n") {
        assert_ne!(client.read_buf(&mut heard).await.unwrap(), 0);
    }
    stop.send(()).unwrap();
    // The last chunk of a body that is complete: the stream was ended, not cut.
    client.read_to_end(&mut heard).await.unwrap();
    assert!(heard.ends_with(b"\r\n0\r\n\r\n"), "{}", String::from_utf8_lossy(&heard));
    server.await.unwrap().unwrap();
}

#[test]
fn style_and_script_name_no_resource_and_end_where_they_end() {
    assert!(!page::STYLE.contains("url(") && !page::STYLE.contains("</"));
    for word in ["</", "<!--", "innerHTML", "eval(", "http:", "https:", "import "] {
        assert!(!page::SCRIPT.contains(word), "{word}");
    }
}
