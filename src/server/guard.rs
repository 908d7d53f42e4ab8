//! Who may ask, and what browsers may do with the answer.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, Version, header};
use axum::middleware::Next;
use axum::response::Response;
use tokio_rustls::rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;

use crate::limits;
use crate::model::printable;

use super::ServerState;
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
    let snapshot = state.snapshot();
    let own = |host: &str| is_own(host, &snapshot.machine.hostname, &state.names);
    match asked_host(request) {
        Asked::Host(host) if own(&host) => {}
        Asked::Nothing => {}
        Asked::Host(host) => {
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
    if !request
        .headers()
        .get_all(header::ORIGIN)
        .iter()
        .all(|value| value.to_str().ok().and_then(origin_host).is_some_and(|host| own(&host)))
    {
        let detail = "Pages of other sites may not ask this server.";
        return Some(problem(StatusCode::FORBIDDEN, detail));
    }
    let announced = request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse::<u64>();
    let fits = announced.is_ok_and(|bytes| bytes <= limits::REQUEST_BODY_BYTES as u64);
    (!fits).then(|| problem(StatusCode::PAYLOAD_TOO_LARGE, "The request's body is too large."))
}

/// The host a request asks for.
enum Asked {
    /// This one, lower case, without brackets or a trailing dot.
    Host(String),
    /// None, as HTTP/1.0 allows; no browser speaks that.
    Nothing,
    /// Several, or something that is no host.
    Unclear,
}

fn asked_host(request: &Request) -> Asked {
    // RFC 9112 section 3.2.2: an absolute target wins over Host.
    if let Some(authority) = request.uri().authority() {
        return bare_host(authority).map_or(Asked::Unclear, Asked::Host);
    }
    let headers: &HeaderMap = request.headers();
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if request.version() == Version::HTTP_10 => Asked::Nothing,
        (Some(host), None) => host
            .to_str()
            .ok()
            .and_then(|text| text.parse::<Authority>().ok())
            .and_then(|authority| bare_host(&authority))
            .map_or(Asked::Unclear, Asked::Host),
        _ => Asked::Unclear,
    }
}

fn origin_host(origin: &str) -> Option<String> {
    bare_host(origin.parse::<Uri>().ok()?.authority()?)
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
fn is_own(host: &str, hostname: &str, names: &[String]) -> bool {
    // The first label alone is a name nobody on the internet can own.
    let short = hostname.split('.').next().unwrap_or_default();
    host.parse::<IpAddr>().is_ok()
        || ["localhost", hostname, short]
            .into_iter()
            .chain(names.iter().map(String::as_str))
            .any(|name| !name.is_empty() && name.eq_ignore_ascii_case(host))
}

// ------------------------------------------------------------------------------------ headers

/// The Content-Security-Policy for pages whose one style sheet is this.
pub(super) fn policy(style: &str) -> HeaderValue {
    // The crypto provider's SHA-256; there is no other hash in the program.
    let source = TLS13_AES_128_GCM_SHA256.tls13().map_or_else(
        || "'unsafe-inline'".to_owned(),
        |suite| {
            let digest = suite.common.hash_provider.hash(style.as_bytes());
            format!("'sha256-{}'", base64(digest.as_ref()))
        },
    );
    let policy = format!(
        "default-src 'none'; style-src {source}; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy)
        .unwrap_or(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"))
}

/// Adds what every answer carries.
pub(super) async fn secure(State(policy): State<HeaderValue>, mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Base64 with padding (RFC 4648 section 4).
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let six = (group >> (18 - 6 * place)) & 63;
            let letter = usize::try_from(six).ok().and_then(|six| ALPHABET.get(six));
            match letter {
                Some(letter) if place <= chunk.len() => text.push(char::from(*letter)),
                _ => text.push('='),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_as_in_the_rfc() {
        for (plain, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }

    #[test]
    fn the_policy_names_the_style_by_its_hash() {
        let policy = policy("abc");
        let expected = "'sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0='";
        assert!(policy.to_str().unwrap().contains(expected), "{policy:?}");
    }

    #[test]
    fn own_names() {
        let names = ["probe.contoso.mil".to_owned()];
        let own = |authority: &str| {
            let authority = authority.parse::<Authority>().unwrap();
            bare_host(&authority)
                .is_some_and(|host| is_own(&host, "jump-01.corp.contoso.mil", &names))
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
            "probe.contoso.mil",
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
