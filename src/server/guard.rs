//! Who may ask, and what browsers may do with the answer.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, Version, header};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest;

use crate::limits;
use crate::model::printable;

use super::ServerState;
use super::peer::Peer;
use super::problem::problem;

/// Refuses what was not meant for this server.
pub(super) async fn guard(
    State(state): State<Arc<ServerState>>,
    request: Request,
    next: Next,
) -> Response {
    match refusal(&state, &request) {
        Some(response) => response,
        None => next.run(request).await,
    }
}

fn refusal(state: &ServerState, request: &Request) -> Option<Response> {
    let snapshot = state.newest();
    // No browser opens a Unix socket; what stands before it has names of its own.
    let unix = request.extensions().get::<Peer>().is_some_and(|peer| peer.unix);
    let own = |host: &str| is_own(host, &snapshot.machine.hostname) || state.access.has_name(host);
    let asked = asked_host(request);
    // A page of this server asks the host it came from; one that a proxy shows, a configured name.
    let same = |origin: &Uri| match &asked {
        Asked::Host(host, port) => {
            origin.authority().and_then(bare_host).as_ref() == Some(host)
                && (port.is_none() || *port == port_of(origin))
        }
        _ => false,
    };
    let known = |origin: &Uri| {
        let host = origin.authority().and_then(bare_host);
        host.is_some_and(|host| state.access.has_name(&host))
    };
    let foreign = !request.headers().get_all(header::ORIGIN).iter().all(|value| {
        let origin = value.to_str().ok().and_then(|origin| origin.parse().ok());
        origin.is_some_and(|origin| same(&origin) || known(&origin))
    });
    match asked {
        Asked::Host(host, _) if unix || own(&host) => {}
        Asked::Nothing => {}
        Asked::Host(host, _) => {
            let detail = format!(
                "This server does not answer under the name `{}`; ask for it by IP address, as localhost, or under a name it was configured with.",
                printable(&host)
            );
            return Some(problem(StatusCode::MISDIRECTED_REQUEST, &detail));
        }
        Asked::Unclear => {
            return Some(problem(StatusCode::BAD_REQUEST, "The request needs one valid Host."));
        }
    }
    if foreign || is_embedded_elsewhere(request) {
        let detail = "Pages of other sites may not ask this server.";
        return Some(problem(StatusCode::FORBIDDEN, detail));
    }
    let announced = request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse::<u64>();
    let fits = announced.is_ok_and(|bytes| bytes <= limits::REQUEST_BODY_BYTES as u64);
    (!fits).then(|| problem(StatusCode::PAYLOAD_TOO_LARGE, "The request's body is too large."))
}

/// Browsers say when a page of another site makes them ask. Following a link from there is fine,
/// unless it is one that measures.
fn is_embedded_elsewhere(request: &Request) -> bool {
    let says = |name: &str, word: &str| {
        request.headers().get(name).is_some_and(|value| value.as_bytes() == word.as_bytes())
    };
    let elsewhere = says("sec-fetch-site", "cross-site") || says("sec-fetch-site", "same-site");
    let follows = says("sec-fetch-mode", "navigate") && says("sec-fetch-dest", "document");
    elsewhere && !(follows && request.method().is_safe() && request.uri().path() != "/probe")
}

/// The host a request asks for.
enum Asked {
    /// This one, lower case, without brackets or a trailing dot, and the port if there is one.
    Host(String, Option<u16>),
    /// None, as HTTP/1.0 allows; no browser speaks that.
    Nothing,
    /// Several, or something that is no host.
    Unclear,
}

fn asked_host(request: &Request) -> Asked {
    // RFC 9112 section 3.2.2: an absolute target wins over Host.
    if let Some(authority) = request.uri().authority() {
        return asked(authority);
    }
    let headers: &HeaderMap = request.headers();
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if request.version() == Version::HTTP_10 => Asked::Nothing,
        (Some(host), None) => host
            .to_str()
            .ok()
            .and_then(|text| text.parse::<Authority>().ok())
            .map_or(Asked::Unclear, |authority| asked(&authority)),
        _ => Asked::Unclear,
    }
}

fn asked(authority: &Authority) -> Asked {
    bare_host(authority).map_or(Asked::Unclear, |host| Asked::Host(host, authority.port_u16()))
}

/// The port of an origin, which leaves out its scheme's own.
fn port_of(origin: &Uri) -> Option<u16> {
    let own = match origin.scheme_str() {
        Some("http") => Some(80),
        Some("https") => Some(443),
        _ => None,
    };
    origin.port_u16().or(own)
}

fn bare_host(authority: &Authority) -> Option<String> {
    if authority.as_str().contains('@') {
        return None;
    }
    let host = authority.host();
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    (!host.is_empty()).then_some(host)
}

/// An address cannot be rebound; a name can, so only known ones are good.
fn is_own(host: &str, hostname: &str) -> bool {
    // The first label alone is a name nobody on the internet can own.
    let short = hostname.split('.').next().unwrap_or_default();
    host.parse::<IpAddr>().is_ok()
        || ["localhost", hostname, short]
            .into_iter()
            .any(|name| !name.is_empty() && name.eq_ignore_ascii_case(host))
}

// ------------------------------------------------------------------------------------ headers

/// The Content-Security-Policy for pages whose one style sheet and one script are these. The
/// script may ask this server and nobody else.
pub(super) fn policy(style: &str, script: &str) -> HeaderValue {
    let (style, script) = (source(style), source(script));
    let policy = format!(
        "default-src 'none'; style-src {style}; script-src {script}; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy)
        .unwrap_or(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"))
}

/// A text inside the page by its hash.
fn source(text: &str) -> String {
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    format!("'sha256-{}'", STANDARD.encode(hash))
}

/// Adds what every answer carries.
pub(super) async fn secure(
    State(policy): State<HeaderValue>,
    request: Request,
    next: Next,
) -> Response {
    let encrypted = request.extensions().get::<Peer>().is_some_and(|peer| peer.secure);
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-embedder-policy"), "require-corp"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if encrypted {
        // A year, for this name alone: what else lives under the domain is not ours to decide.
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_names_style_and_script_by_their_hashes() {
        let policy = policy("abc", "");
        let policy = policy.to_str().unwrap();
        let style = "style-src 'sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=';";
        let script = "script-src 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=';";
        assert!(policy.contains(style) && policy.contains(script), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
    }

    #[test]
    fn own_names() {
        let own = |authority: &str| {
            let authority = authority.parse::<Authority>().unwrap();
            bare_host(&authority).is_some_and(|host| is_own(&host, "jump-01.corp.contoso.mil"))
        };
        for good in [
            "127.0.0.1:19115",
            "[::1]:19115",
            "[::1]",
            "10.20.4.11",
            "localhost:19115",
            "LOCALHOST.",
            "jump-01",
            "Jump-01.corp.contoso.mil:80",
        ] {
            assert!(own(good), "{good}");
        }
        for bad in [
            "evil.example",
            "jump-01.evil.example",
            "localhost.evil.example",
            "evil@localhost",
            "10.20.4.11.nip.io",
        ] {
            assert!(!own(bad), "{bad}");
        }
    }
}
