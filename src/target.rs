//! Ad hoc targets as people write them: `host`, `host:port`, `[v6]:port` or a URL.
//!
//! A bare host means TLS on port 443, because that is what nearly everything here speaks; a bare
//! `host:port` picks its kind by the port ([`Kind::of_port`]). The path is `/` where none is
//! written, also for kinds that send no request, so that the same host and port is one target
//! wherever it was named.

use std::net::IpAddr;

use crate::check::Target;
use crate::limits;
use crate::model::{Host, Kind, printable};
use crate::suggest;

/// Every scheme, the kind it means and its port.
const SCHEMES: &[(&str, Kind, Option<u16>)] = &[
    ("dns", Kind::Dns, None),
    ("tcp", Kind::Tcp, None),
    ("tls", Kind::Tls, Some(443)),
    ("http", Kind::Http, Some(80)),
    ("https", Kind::Https, Some(443)),
    ("wss", Kind::Websocket, Some(443)),
    ("smb", Kind::Smb, Some(445)),
    ("udp", Kind::Udp, None),
];

/// Reads a target; the error is one sentence for the person who wrote it.
pub fn parse_target(text: &str) -> Result<Target, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("the target is empty".to_owned());
    }
    if text.len() > limits::TARGET_BYTES {
        return Err(format!("the target is longer than {} bytes", limits::TARGET_BYTES));
    }
    if let Some(odd) = text.chars().find(|c| c.is_control() || c.is_whitespace()) {
        return Err(format!("a target cannot contain {odd:?}"));
    }
    match text.split_once("://") {
        Some((scheme, rest)) => of_url(scheme, rest),
        None => bare(text),
    }
}

/// A host with or without a port.
fn bare(text: &str) -> Result<Target, String> {
    refuse_user(text)?;
    if text.contains(['/', '?', '#']) {
        return Err(format!("a path needs a scheme: write `https://{}`", printable(text)));
    }
    let (host, port) = host_and_port(text)?;
    let (kind, port) = port.map_or((Kind::Tls, 443), |port| (Kind::of_port(port), port));
    Ok(Target { host, port: Some(port), kind, path: "/".to_owned() })
}

/// What follows `scheme://`.
fn of_url(scheme: &str, rest: &str) -> Result<Target, String> {
    let scheme = scheme.to_ascii_lowercase();
    let Some((_, kind, default)) = SCHEMES.iter().find(|(name, ..)| *name == scheme) else {
        // What stands before `://` may be a user and a password as well.
        return refuse_user(&scheme).and(refuse_user(rest)).and(Err(unknown_scheme(&scheme)));
    };
    let (kind, default) = (*kind, *default);
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    refuse_user(authority)?;
    // A password with a slash in it ends the authority early and must not be repeated either.
    let (host, port) =
        host_and_port(authority).or_else(|error| refuse_user(tail).and(Err(error)))?;
    let port = match (kind, port.or(default)) {
        (Kind::Dns, Some(port)) => {
            return Err(format!("a dns target has no port: leave `:{port}` out"));
        }
        (Kind::Dns, None) => None,
        (_, Some(port)) => Some(port),
        (_, None) => {
            return Err(format!("a {scheme} target needs a port: `{scheme}://{host}:PORT`"));
        }
    };
    let path = match kind {
        Kind::Http | Kind::Https | Kind::Websocket => request_path(tail)?,
        _ if tail.is_empty() || tail == "/" => "/".to_owned(),
        _ => return Err(format!("a {scheme} target has no path: only http, https and wss do")),
    };
    Ok(Target { host, port, kind, path })
}

fn unknown_scheme(scheme: &str) -> String {
    if scheme == "ws" {
        return "clear-text WebSockets (ws://) are not supported: everything here uses wss://"
            .to_owned();
    }
    let names: Vec<&str> = SCHEMES.iter().map(|(name, ..)| *name).collect();
    format!("`{}://` is not a known scheme; {}", printable(scheme), suggest::hint(scheme, &names))
}

/// The part before `@` may be a password: it is refused and never repeated.
fn refuse_user(authority: &str) -> Result<(), String> {
    if authority.contains('@') {
        return Err(
            "a target has no user or password: no credentials are sent to a probed host".to_owned()
        );
    }
    Ok(())
}

fn host_and_port(text: &str) -> Result<(Host, Option<u16>), String> {
    if let Some(after) = text.strip_prefix('[') {
        let Some((inside, tail)) = after.split_once(']') else {
            return Err("a `[` is not closed: write an IPv6 address as `[fd00::4]:443`".to_owned());
        };
        let address: IpAddr = inside
            .parse()
            .map_err(|_| format!("`{}` in brackets is not an IPv6 address", printable(inside)))?;
        let port = match tail.strip_prefix(':') {
            Some(digits) => Some(port(digits)?),
            None if tail.is_empty() => None,
            None => return Err(format!("`{}` after `]` is not a port", printable(tail))),
        };
        return Ok((Host::Ip(address), port));
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok((Host::Ip(address), None));
    }
    match text.split_once(':') {
        Some((_, tail)) if tail.contains(':') => Err(format!(
            "`{}` has several colons: write an IPv6 address with a port as `[fd00::4]:443`",
            printable(text)
        )),
        Some((name, digits)) => Ok((host(name)?, Some(port(digits)?))),
        None => Ok((host(text)?, None)),
    }
}

/// A host, refusing what was plainly meant as an IPv4 address and is none.
pub(crate) fn host(text: &str) -> Result<Host, String> {
    let host = Host::parse(text).map_err(|error| error.to_string())?;
    let last = host.name().and_then(|name| name.rsplit('.').next()).unwrap_or_default();
    if !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!(
            "`{}` is neither an IPv4 address nor a name: no name ends in a number",
            printable(text)
        ));
    }
    Ok(host)
}

/// A port, from 1 to 65535.
pub(crate) fn port(digits: &str) -> Result<u16, String> {
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    match digits.parse::<u16>() {
        Ok(port) if plain && port > 0 => Ok(port),
        _ if plain => Err(format!("port {} is not between 1 and 65535", printable(digits))),
        _ => Err(format!("`{}` is not a port: a number from 1 to 65535", printable(digits))),
    }
}

/// Path and query in the form that is sent; the fragment never is.
fn request_path(tail: &str) -> Result<String, String> {
    let url = url::Url::parse(&format!("https://host.invalid{tail}"))
        .map_err(|error| format!("the path is not valid: {error}"))?;
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    Ok(format!("{}{query}", url.path()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::authority;
    use proptest::prelude::*;

    #[test]
    fn targets_as_people_write_them() {
        for (text, kind, authority, path) in [
            ("ml.azure.us", Kind::Tls, "ml.azure.us:443", "/"),
            ("ML.azure.us.", Kind::Tls, "ml.azure.us:443", "/"),
            ("ml.azure.us:80", Kind::Http, "ml.azure.us:80", "/"),
            ("files.contoso.mil:445", Kind::Smb, "files.contoso.mil:445", "/"),
            ("10.0.0.4:8787", Kind::Tls, "10.0.0.4:8787", "/"),
            ("10.0.0.4:5831", Kind::Tcp, "10.0.0.4:5831", "/"),
            ("[fd00::4]:443", Kind::Tls, "[fd00::4]:443", "/"),
            ("fd00::4", Kind::Tls, "[fd00::4]:443", "/"),
            ("my_host", Kind::Tls, "my_host:443", "/"),
            ("bücher.example", Kind::Tls, "xn--bcher-kva.example:443", "/"),
            ("dns://ml.azure.us", Kind::Dns, "ml.azure.us", "/"),
            ("tcp://ml.azure.us:22", Kind::Tcp, "ml.azure.us:22", "/"),
            ("udp://ml.azure.us:5831", Kind::Udp, "ml.azure.us:5831", "/"),
            ("TLS://ml.azure.us", Kind::Tls, "ml.azure.us:443", "/"),
            ("smb://files.contoso.mil/", Kind::Smb, "files.contoso.mil:445", "/"),
            ("http://ml.azure.us?a=b", Kind::Http, "ml.azure.us:80", "/?a=b"),
            ("https://ml.azure.us/a/../b?q", Kind::Https, "ml.azure.us:443", "/b?q"),
            ("https://ml.azure.us/a/ü?q=1#part", Kind::Https, "ml.azure.us:443", "/a/%C3%BC?q=1"),
            ("wss://ci.example/tty", Kind::Websocket, "ci.example:443", "/tty"),
            ("https://[fd00::4]:8443/", Kind::Https, "[fd00::4]:8443", "/"),
        ] {
            let target = parse_target(text).unwrap();
            assert_eq!(target.kind, kind, "{text}");
            assert_eq!(target.path, path, "{text}");
            assert_eq!(target.authority(), authority, "{text}");
        }
    }

    #[test]
    fn targets_that_cannot_be_say_why() {
        for (text, part) in [
            ("", "empty"),
            ("ml.azure.us:0", "port 0 is not between 1 and 65535"),
            ("ml.azure.us:65536", "port 65536"),
            ("ml.azure.us:https", "`https` is not a port"),
            ("ml.azure.us:+443", "`+443` is not a port"),
            ("ml.azure.us:", "`` is not a port"),
            ("ml.azure.us/simple", "write `https://ml.azure.us/simple`"),
            ("htps://ml.azure.us", "did you mean `https`?"),
            ("ftp://ml.azure.us", "not a known scheme"),
            ("ws://ml.azure.us", "wss://"),
            ("tcp://ml.azure.us", "needs a port"),
            ("udp://ml.azure.us", "needs a port"),
            ("dns://ml.azure.us:53", "no port"),
            ("tls://ml.azure.us/a", "no path"),
            ("https://", "empty"),
            ("https://:443", "empty"),
            ("a b", "cannot contain ' '"),
            ("https://a/\r\nX: y", "cannot contain '\\r'"),
            ("*.ml.azure.us", "cannot contain '*'"),
            ("[fd00::4", "not closed"),
            ("[ml.azure.us]:443", "not an IPv6 address"),
            ("[fd00::4]443", "not a port"),
            ("fd00::x:443", "several colons"),
            ("10.0.0.256", "no name ends in a number"),
            ("a..b", "empty label"),
        ] {
            let error = parse_target(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
        assert!(parse_target(&"a.".repeat(10_000)).unwrap_err().contains("longer"));
    }

    #[test]
    fn passwords_are_refused_and_never_repeated() {
        for text in [
            "https://bob:hunter2@ml.azure.us/",
            "https://bob:hunter2/3@ml.azure.us/",
            "bob:hunter2@ml.azure.us",
            "bob:hunter2@https://ml.azure.us",
            "bob:hunter2://3@ml.azure.us",
        ] {
            let error = parse_target(text).unwrap_err();
            assert!(error.contains("no credentials"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    fn any_host() -> impl Strategy<Value = Host> {
        prop_oneof![
            "[a-z][a-z0-9_]{0,20}(\\.[a-z][a-z0-9]{0,20}){0,3}".prop_map(Host::Name),
            any::<[u8; 4]>().prop_map(|bytes| Host::Ip(bytes.into())),
            any::<[u8; 16]>().prop_map(|bytes| Host::Ip(bytes.into())),
        ]
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,80}|[a-z:/@\\[\\]?#.%0-9]{0,40}") {
            let _ = parse_target(&text);
        }

        #[test]
        fn an_authority_reads_back_as_itself(host in any_host(), port in 1_u16..) {
            let target = parse_target(&authority(&host, port)).unwrap();
            let expected =
                Target { host, port: Some(port), kind: Kind::of_port(port), path: "/".into() };
            prop_assert_eq!(&target, &expected);
            let url = format!("tcp://{}", target.authority());
            prop_assert_eq!(parse_target(&url).unwrap().authority(), target.authority());
        }
    }
}
