//! Any request to the daemon's own server: method and path in the first line, then headers. Only
//! who knows the token is told anything, only under names of this server, and never a page of
//! another site.
#![no_main]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, Response, Uri, header};
use libfuzzer_sys::fuzz_target;
use tokio::sync::{mpsc, watch};
use tower::ServiceExt as _;
use vnetprobe::history::History;
use vnetprobe::journal::Past;
use vnetprobe::server::auth::Access;
use vnetprobe::server::control::Controls;
use vnetprobe::server::{ServerState, router};
use vnetprobe::settings::web::{TokenHash, Web};
use vnetprobe_fuzz::{assert_plain, now, run, setting};

const TOKEN: &str = "sesame";
/// SHA-256 of it.
const TOKEN_HASH: [u8; 32] = [
    0xd0, 0xc0, 0x4f, 0x4b, 0x19, 0x51, 0xe4, 0xae, 0xaa, 0xec, 0x82, 0x23, 0xed, 0x20, 0x39, 0xe5,
    0x42, 0xf3, 0xaa, 0xe8, 0x05, 0xa6, 0xfa, 0x7f, 0x6d, 0x79, 0x4e, 0x5a, 0xff, 0xf5, 0xd2, 0x72,
];
const NAMES: [&str; 4] = ["localhost", "jump-01", "jump-01.contoso.mil", "probe.contoso.mil"];

fn server() -> Router {
    static SERVER: OnceLock<Router> = OnceLock::new();
    let made = SERVER.get_or_init(|| {
        let setting = setting(&["a.example"], "jump-01.contoso.mil");
        let snapshot = History::new(setting, Past::default(), now()).snapshot(now(), 0, 0);
        let web = Web {
            names: vec!["probe.contoso.mil".to_owned()],
            tokens: BTreeMap::from([("grafana".to_owned(), TokenHash(TOKEN_HASH))]),
            ..Web::default()
        };
        let access = Arc::new(Access::new(&web).expect("random numbers"));
        let controls = Controls {
            reload: mpsc::channel(1).0,
            log_level: Arc::new(|| "info".into()),
            set_log_level: Arc::new(|_| Ok(())),
        };
        // The newest snapshot stays when nobody sends any more.
        router(ServerState::new(watch::channel(Arc::new(snapshot)).1, access, controls))
    });
    made.clone()
}

/// A request of these lines, if they are one.
fn request(text: &str) -> Option<Request<Body>> {
    let mut lines = text.split('\n');
    let (method, path) = lines.next()?.split_once(' ')?;
    let mut request = Request::builder().method(method).uri(path);
    for line in lines {
        let (name, value) = line.split_once(':')?;
        request = request.header(name, value.trim());
    }
    request.body(Body::empty()).ok()
}

/// Whether this is a name of the server, with a port or without.
fn is_own(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(inside) => inside.split_once(']').map_or("", |(host, _)| host),
        None => authority.split_once(':').map_or(authority, |(host, _)| host),
    };
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    host.parse::<IpAddr>().is_ok() || NAMES.contains(&host.as_str())
}

fn was_meant_for_us(uri: &Uri, headers: &HeaderMap) -> bool {
    let hosts: Vec<_> = headers.get_all(header::HOST).iter().collect();
    match (uri.authority(), hosts.as_slice()) {
        (Some(authority), _) => is_own(authority.as_str()),
        (None, [host]) => host.to_str().is_ok_and(is_own),
        _ => false,
    }
}

/// Whether every origin is a page of this server.
fn is_our_page(headers: &HeaderMap) -> bool {
    headers.get_all(header::ORIGIN).iter().all(|origin| {
        origin.to_str().is_ok_and(|origin| {
            let place = origin.split_once("://").map_or(origin, |(_, place)| place);
            is_own(place.split(['/', '?', '#']).next().unwrap_or(""))
        })
    })
}

fn knows_the_token(headers: &HeaderMap) -> bool {
    let said: Vec<_> = headers.get_all(header::AUTHORIZATION).iter().collect();
    let [said] = said.as_slice() else { return false };
    let word = said.to_str().ok().and_then(|said| said.split_once(' '));
    word.is_some_and(|(scheme, token)| {
        scheme.eq_ignore_ascii_case("bearer") && token.trim() == TOKEN
    })
}

async fn complaint(response: Response<Body>) -> String {
    let body = to_bytes(response.into_body(), 64 * 1024).await.expect("a short body");
    String::from_utf8(body.to_vec()).expect("a text")
}

fuzz_target!(|text: &str| {
    let Some(request) = request(text) else { return };
    let (uri, headers) = (request.uri().clone(), request.headers().clone());
    run(async {
        let Ok(response) = server().oneshot(request).await;
        let status = response.status();
        let policy = response.headers().get(header::CONTENT_SECURITY_POLICY);
        assert!(policy.is_some_and(|policy| policy.as_bytes().starts_with(b"default-src 'none'")));
        assert_eq!(
            response.headers().get(header::X_FRAME_OPTIONS).map(|v| v.as_bytes()),
            Some(&b"DENY"[..])
        );
        if status.is_client_error() || status.is_server_error() {
            assert_plain("a complaint", &complaint(response).await);
        }
        let told = status.is_success() || status.is_redirection() || status == 404;
        if told {
            assert!(was_meant_for_us(&uri, &headers), "{uri} {headers:?}");
            assert!(is_our_page(&headers), "{headers:?}");
            assert!(knows_the_token(&headers) || uri.path() == "/-/healthy", "{uri} {headers:?}");
        }
    });
});
