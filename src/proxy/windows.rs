//! Windows' own proxy settings, read from the values that the registry holds.

use super::{Exception, Secret, System};
use crate::limits;

/// The settings of a user, which browsers and .NET follow.
pub const INTERNET: &str = "the proxy of Windows' Internet Settings";
/// The settings of the machine, which services follow (`netsh winhttp show proxy`).
pub const WINHTTP: &str = "the proxy of Windows' WinHTTP settings";

/// The flag of the WinHTTP settings that a proxy is to be used.
const WINHTTP_PROXY: u32 = 2;

/// Values of `CurrentVersion\Internet Settings`.
#[derive(Debug, Clone, Copy)]
pub struct Values<'a> {
    /// `ProxyEnable`.
    pub enabled: bool,
    /// `ProxyServer`: `proxy:8080`, or `http=proxy:8080;https=proxy:8081`.
    pub server: &'a str,
    /// `ProxyOverride`: `*.contoso.mil;10.*;<local>`.
    pub exceptions: &'a str,
    /// Whether `AutoConfigURL` names a script.
    pub script: bool,
}

/// What the Internet Settings say, unless they say nothing about proxies.
pub fn internet(values: Values<'_>) -> Option<System> {
    let mut system = System { name: INTERNET, ..System::default() };
    if values.script {
        system.notes.push(
            "Windows' Internet Settings name a proxy script (AutoConfigURL), which vnetprobe does not run: if the script sends these hosts through a proxy, name that with [proxy] url or --proxy".to_owned(),
        );
    }
    if values.enabled {
        system.take(values.server, values.exceptions);
    }
    (system.says_something()).then_some(system)
}

/// What `WinHttpSettings` of `Internet Settings\Connections` says: a size, a counter and flags, then
/// the proxy and the exceptions with their lengths, all numbers little-endian.
pub fn winhttp(bytes: &[u8]) -> Option<System> {
    let (_, bytes) = number(bytes)?;
    let (_, bytes) = number(bytes)?;
    let (flags, bytes) = number(bytes)?;
    if flags & WINHTTP_PROXY == 0 {
        return None;
    }
    let (server, bytes) = text(bytes)?;
    let (exceptions, _) = text(bytes)?;
    let mut system = System { name: WINHTTP, ..System::default() };
    system.take(&server, &exceptions);
    system.says_something().then_some(system)
}

fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    bytes.split_first_chunk().map(|(number, rest)| (u32::from_le_bytes(*number), rest))
}

fn text(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (length, bytes) = number(bytes)?;
    let (text, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    Some((String::from_utf8_lossy(text).into_owned(), rest))
}

impl System {
    fn take(&mut self, server: &str, exceptions: &str) {
        let mut other = false;
        for entry in entries(server) {
            match entry.split_once('=') {
                None => {
                    self.https.get_or_insert_with(|| Secret::new(entry));
                    self.http.get_or_insert_with(|| Secret::new(entry));
                }
                Some((scheme, url)) if scheme.eq_ignore_ascii_case("https") => {
                    self.https = Some(Secret::new(url));
                }
                Some((scheme, url)) if scheme.eq_ignore_ascii_case("http") => {
                    self.http = Some(Secret::new(url));
                }
                Some(_) => other = true,
            }
        }
        if other && self.https.is_none() && self.http.is_none() {
            self.notes.push(format!(
                "{} is for neither http nor https, so checks connect directly",
                self.name
            ));
        }
        self.exceptions = entries(exceptions)
            .filter_map(Exception::of_windows)
            .take(limits::LIST_ENTRIES)
            .collect();
    }

    fn says_something(&self) -> bool {
        self.https.is_some() || self.http.is_some() || !self.notes.is_empty()
    }
}

/// Entries of a list, which Windows takes with semicolons or blanks between them.
fn entries(list: &str) -> impl Iterator<Item = &str> {
    list.split(|c: char| c == ';' || c.is_whitespace()).filter(|entry| !entry.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::{Decision, Environment, Routes, Variable};
    use crate::target::parse_target;

    fn settings<'a>(server: &'a str, exceptions: &'a str) -> Values<'a> {
        Values { enabled: true, server, exceptions, script: false }
    }

    fn routes(system: Option<System>) -> (Routes, Vec<String>) {
        Routes::new(None, &[], &Environment { system, ..Environment::default() })
    }

    /// The proxy of a target, or the exception that makes it direct, or `-`.
    fn way(routes: &Routes, target: &str) -> String {
        match routes.decide(&parse_target(target).unwrap()) {
            Decision::Through(proxy, _) => proxy.to_string(),
            Decision::Direct(why) => match why.strip_suffix(&format!(" in {INTERNET} matches")) {
                Some(exception) => exception.to_owned(),
                None => "-".to_owned(),
            },
        }
    }

    #[test]
    fn one_server_or_one_for_each_scheme() {
        for (server, tls, clear) in [
            ("proxy:8080", "http://proxy:8080", "http://proxy:8080"),
            ("http://proxy:8080/", "http://proxy:8080", "http://proxy:8080"),
            ("proxy", "http://proxy:80", "http://proxy:80"),
            ("http=a:1;https=b:2;ftp=c:3", "http://b:2", "http://a:1"),
            ("HTTPS=b:2 http=a:1", "http://b:2", "http://a:1"),
            ("http=http://a:1;https=http://b:2", "http://b:2", "http://a:1"),
            ("https=b:2;d:4", "http://b:2", "http://d:4"),
            ("d:4;https=b:2", "http://b:2", "http://d:4"),
            ("https=b:2", "http://b:2", "-"),
            ("http=a:1", "-", "http://a:1"),
        ] {
            let (routes, troubles) = routes(internet(settings(server, "")));
            assert_eq!(way(&routes, "ml.azure.us"), tls, "{server}");
            assert_eq!(way(&routes, "http://ml.azure.us"), clear, "{server}");
            assert!(troubles.is_empty(), "{server}: {troubles:?}");
        }
    }

    #[test]
    fn exceptions_are_matched_as_windows_does() {
        for (list, target, exception) in [
            ("<local>", "mlstore", Some("<local>")),
            ("<LOCAL>", "mlstore", Some("<LOCAL>")),
            ("<local>", "ml.azure.us", None),
            ("<local>", "10.0.0.4", None),
            ("<-loopback>", "ml.azure.us", None),
            ("*.azure.us", "ml.azure.us", Some("*.azure.us")),
            ("*.AZURE.us", "ml.azure.us", Some("*.AZURE.us")),
            ("*.azure.us", "azure.us", None),
            ("*azure.us", "notazure.us", Some("*azure.us")),
            // Only the name itself, unlike in NO_PROXY.
            ("azure.us", "ml.azure.us", None),
            ("ml.azure.us", "ml.azure.us", Some("ml.azure.us")),
            ("ml.*.us", "ml.azure.us", Some("ml.*.us")),
            ("m*.a*u*.us", "ml.azure.us", Some("m*.a*u*.us")),
            ("m*.u*a*.us", "ml.azure.us", None),
            ("ml.azure.us*ml.azure.us", "ml.azure.us", None),
            ("*", "ml.azure.us", Some("*")),
            ("10.*", "10.0.0.4", Some("10.*")),
            ("10.*", "110.0.0.4", None),
            ("10.0.0.4", "10.0.0.4", Some("10.0.0.4")),
            ("ml.azure.us:443", "ml.azure.us", Some("ml.azure.us:443")),
            ("ml.azure.us:443", "ml.azure.us:8443", None),
            ("https://ml.azure.us", "ml.azure.us", Some("https://ml.azure.us")),
            ("[fd00::4]:443", "[fd00::4]:443", Some("[fd00::4]:443")),
            ("fd00::4", "[fd00::4]:8443", Some("fd00::4")),
            ("a.example;<local>; *.azure.us", "ml.azure.us", Some("*.azure.us")),
            ("", "ml.azure.us", None),
            ("http://;:;:443;<x>;*:0", "ml.azure.us", None),
        ] {
            let (routes, _) = routes(internet(settings("proxy:8080", list)));
            let expected =
                exception.map_or("http://proxy:8080".to_owned(), |entry| format!("`{entry}`"));
            assert_eq!(way(&routes, target), expected, "{list} | {target}");
        }
    }

    #[test]
    fn what_cannot_be_followed_is_told() {
        let off = Values { enabled: false, ..settings("proxy:8080", "<local>") };
        assert!(internet(off).is_none());
        assert!(internet(settings("", "<local>")).is_none());

        let (only_script, notes) = routes(internet(Values { script: true, ..off }));
        assert!(!only_script.has_proxy());
        assert!(notes.len() == 1 && notes[0].contains("AutoConfigURL"), "{notes:?}");

        let (socks, notes) = routes(internet(settings("socks=proxy:1080", "")));
        assert!(!socks.has_proxy());
        assert!(notes.len() == 1 && notes[0].contains("neither http nor https"), "{notes:?}");

        let (wrong, notes) = routes(internet(settings("bob:hunter2@proxy:0", "")));
        assert!(!wrong.has_proxy());
        assert!(notes.len() == 1 && notes[0].starts_with(INTERNET), "{notes:?}");
        assert!(!notes[0].contains("hunter2"), "{notes:?}");
    }

    #[test]
    fn a_variable_goes_before_windows() {
        let environment = Environment {
            https: Some(Variable { name: "HTTPS_PROXY", value: Secret::new("variable:1") }),
            system: internet(Values { script: true, ..settings("proxy:8080", "<local>") }),
            ..Environment::default()
        };
        let (routes, troubles) = Routes::new(None, &[], &environment);
        assert_eq!(way(&routes, "mlstore"), "http://variable:1");
        assert_eq!(way(&routes, "http://mlstore"), "-");
        assert!(troubles.is_empty(), "{troubles:?}");
    }

    #[test]
    fn services_settings_are_read_or_refused_at_any_length() {
        let mut bytes: Vec<u8> = Vec::new();
        for number in [0x28_u32, 0, 3, 10] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(b"proxy:8080");
        bytes.extend(7_u32.to_le_bytes());
        bytes.extend(b"<local>");
        let (all, _) = routes(winhttp(&bytes));
        assert_eq!(way(&all, "ml.azure.us"), "http://proxy:8080");
        match all.decide(&parse_target("mlstore").unwrap()) {
            Decision::Direct(why) => assert_eq!(why, format!("`<local>` in {WINHTTP} matches")),
            decision @ Decision::Through(..) => panic!("{decision:?}"),
        }
        for end in 0..bytes.len() {
            assert!(winhttp(&bytes[..end]).is_none(), "{end}");
        }
        bytes[8] = 1;
        assert!(winhttp(&bytes).is_none());
    }
}
