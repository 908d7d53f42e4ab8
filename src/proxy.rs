//! Explicit HTTP proxies: which one there is, and which targets go through it.
//!
//! Credentials go into the request to the proxy and nowhere else: no type here shows them.

mod credentials;
mod exceptions;
pub mod windows;

use std::fmt;

use crate::check::Target;
use crate::model::{Host, Kind, authority};

pub use credentials::{Credentials, Secret};
pub use exceptions::Exception;

/// Port of a proxy whose URL says none: that of the scheme.
const PORT: u16 = 80;
/// How a proxy's URL is written.
const FORM: &str = "write `http://proxy.contoso.mil:3128`";

/// An HTTP proxy that is spoken to in clear text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Its host.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// What it is told about who asks.
    pub credentials: Option<Credentials>,
}

/// Why a text is not a proxy's URL. It may hold a password, so nothing of it is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProxyError {
    /// What is wrong.
    pub message: &'static str,
    /// What to write instead.
    pub hint: &'static str,
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.message, self.hint)
    }
}

impl Proxy {
    /// Reads `http://user:password@host:port`.
    pub fn parse(text: &str) -> Result<Self, ProxyError> {
        let wrong = |message, hint| Err(ProxyError { message, hint });
        let text = text.trim();
        let scheme = |name: &str| text.get(..name.len()).filter(|t| t.eq_ignore_ascii_case(name));
        if scheme("https://").is_some() {
            return wrong(
                "proxies that speak TLS themselves are not supported",
                "nearly every proxy is an http:// one, also for https targets",
            );
        }
        let Some(rest) = scheme("http://").and_then(|scheme| text.get(scheme.len()..)) else {
            return wrong("a proxy's URL begins with http://", FORM);
        };
        if rest.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return wrong(
                "a proxy's URL cannot contain blanks",
                "in a user name or password write a blank as %20",
            );
        }
        let (user, place) = match rest.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, rest),
        };
        if user.is_some_and(|user| user.contains(['@', '/', '?', '#'])) {
            return wrong(
                "the proxy's user or password has a character that ends it early",
                "write @ as %40, / as %2F, ? as %3F and # as %23",
            );
        }
        let place = place.strip_suffix('/').unwrap_or(place);
        if place.contains(['/', '?', '#']) {
            return wrong("a proxy's URL has no path", FORM);
        }
        let (host, port) = split_port(place);
        let Some(host) = proxy_host(host) else {
            return wrong("the proxy's host is not valid", FORM);
        };
        let Some(port) = port.map_or(Some(PORT), port_number) else {
            return wrong("the proxy's port is not between 1 and 65535", FORM);
        };
        let credentials = user.filter(|user| !user.is_empty()).map(Credentials::of_url);
        Ok(Self { host, port, credentials })
    }

    /// `host:port`.
    pub fn authority(&self) -> String {
        authority(&self.host, self.port)
    }
}

/// The proxy as it is shown everywhere: without credentials.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.authority())
    }
}

/// A host; no name ends in a number, so what looks like an IPv4 address and is none is refused.
fn proxy_host(text: &str) -> Option<Host> {
    let host = Host::parse(text).ok()?;
    match &host {
        Host::Ip(_) => Some(host),
        Host::Name(name) => {
            let last = name.rsplit('.').next().unwrap_or_default();
            let number = last.bytes().all(|byte| byte.is_ascii_digit());
            (!number && !text.contains(':')).then_some(host)
        }
    }
}

/// Splits a port off; the colons of an IPv6 address in brackets are none.
fn split_port(place: &str) -> (&str, Option<&str>) {
    match place.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (place, None),
    }
}

fn port_number(digits: &str) -> Option<u16> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|port| plain && *port > 0)
}

/// Who says that there is a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// `[proxy] url`.
    Configuration,
    /// `--proxy`.
    CommandLine,
    /// A variable of the environment.
    Environment(&'static str),
    /// Settings that the operating system keeps, by their name.
    System(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration => f.write_str("[proxy] url of the configuration"),
            Self::CommandLine => f.write_str("--proxy of the command line"),
            Self::Environment(name) => write!(f, "{name} of the environment"),
            Self::System(name) => f.write_str(name),
        }
    }
}

/// One variable of the environment that may hold a password.
#[derive(Debug, Clone)]
pub struct Variable {
    /// Its name as it is set.
    pub name: &'static str,
    /// What it says.
    pub value: Secret,
}

/// What settings of the operating system say about proxies.
#[derive(Debug, Clone, Default)]
pub struct System {
    /// Which settings.
    pub name: &'static str,
    /// The proxy for TLS.
    pub https: Option<Secret>,
    /// The proxy for HTTP in clear text.
    pub http: Option<Secret>,
    /// What is reached without them.
    pub exceptions: Vec<Exception>,
    /// What in the settings cannot be followed, in one sentence each.
    pub notes: Vec<String>,
}

/// What the environment says about proxies.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// The proxy for TLS: `HTTPS_PROXY`, else `ALL_PROXY`.
    pub https: Option<Variable>,
    /// The proxy for HTTP in clear text: `HTTP_PROXY`, else `ALL_PROXY`.
    pub http: Option<Variable>,
    /// The exceptions: `NO_PROXY`.
    pub exceptions: Option<(&'static str, String)>,
    /// What counts where no variable names a proxy, as for Python's programs (`az` among them).
    pub system: Option<System>,
}

/// A proxy and who named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The proxy.
    pub proxy: Proxy,
    /// Who named it.
    pub by: Source,
}

/// Which targets go through which proxy.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    /// For kinds that speak TLS.
    tls: Option<Named>,
    /// For HTTP in clear text.
    clear: Option<Named>,
    exceptions: Vec<Exception>,
    /// Where the exceptions stand.
    excepted_by: String,
}

/// How a target is reached, and why so in one short sentence without its period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision<'a> {
    /// Without a proxy.
    Direct(String),
    /// Through this one.
    Through(&'a Proxy, String),
}

impl Routes {
    /// What was named in the configuration or on the command line goes before the environment,
    /// proxy and exceptions each on their own, and that before the system's settings; a proxy of the command line is for these targets, so
    /// the environment's exceptions do not count. The texts tell what cannot be used.
    pub fn new(
        named: Option<&Named>,
        exceptions: &[Exception],
        environment: &Environment,
    ) -> (Self, Vec<String>) {
        let mut troubles: Vec<String> = Vec::new();
        let by_variables = environment.https.is_some() || environment.http.is_some();
        let system = environment.system.as_ref().filter(|_| named.is_none() && !by_variables);
        let (tls, clear) = if let Some(named) = named {
            (Some(named.clone()), Some(named.clone()))
        } else if let Some(System { name, https, http, notes, .. }) = system {
            troubles.extend_from_slice(notes);
            let mut of = |url: &Option<Secret>| {
                url.as_ref().and_then(|url| usable(url, Source::System(name), &mut troubles))
            };
            (of(https), of(http))
        } else {
            let mut of = |variable: &Option<Variable>| {
                let Variable { name, value } = variable.as_ref()?;
                usable(value, Source::Environment(name), &mut troubles)
            };
            (of(&environment.https), of(&environment.http))
        };
        let on_command_line = named.is_some_and(|named| named.by == Source::CommandLine);
        let (exceptions, excepted_by) = match (&environment.exceptions, system) {
            _ if !exceptions.is_empty() => {
                (exceptions.to_vec(), "[proxy] no_proxy of the configuration".to_owned())
            }
            (Some((name, list)), _) if !on_command_line => {
                (Exception::list(list), format!("{name} of the environment"))
            }
            (None, Some(system)) => (system.exceptions.clone(), system.name.to_owned()),
            _ => (Vec::new(), String::new()),
        };
        (Self { tls, clear, exceptions, excepted_by }, troubles)
    }

    /// The proxy to show for the whole machine: that for TLS, which nearly everything speaks.
    pub fn shown(&self) -> Option<String> {
        self.tls.as_ref().or(self.clear.as_ref()).map(|named| named.proxy.to_string())
    }

    /// Whether any target can go through a proxy.
    pub fn has_proxy(&self) -> bool {
        self.tls.is_some() || self.clear.is_some()
    }

    /// Decides for one target. Names are compared as they are written and never looked up, as curl
    /// and Go do it.
    pub fn decide(&self, target: &Target) -> Decision<'_> {
        let named = match target.kind {
            Kind::Tls | Kind::Https | Kind::Websocket => self.tls.as_ref(),
            Kind::Http => self.clear.as_ref(),
            Kind::Dns | Kind::Tcp | Kind::Smb | Kind::Udp => {
                let kind = target.kind;
                return Decision::Direct(format!("{kind} does not go through an HTTP proxy"));
            }
        };
        let Some(Named { proxy, by }) = named else {
            return Decision::Direct("no proxy is configured".to_owned());
        };
        if is_this_machine(&target.host) {
            return Decision::Direct("this machine itself needs no proxy".to_owned());
        }
        match self.exceptions.iter().find(|exception| exception.matches(target)) {
            Some(exception) => {
                Decision::Direct(format!("`{exception}` in {} matches", self.excepted_by))
            }
            None if self.exceptions.is_empty() => {
                Decision::Through(proxy, format!("{by}; there are no exceptions"))
            }
            None => Decision::Through(
                proxy,
                format!("{by}; no exception in {} matches", self.excepted_by),
            ),
        }
    }
}

/// The proxy that somebody named, unless nobody could speak to it.
fn usable(url: &Secret, by: Source, troubles: &mut Vec<String>) -> Option<Named> {
    match Proxy::parse(&url.with_scheme()) {
        Ok(proxy) => Some(Named { proxy, by }),
        Err(error) => {
            let trouble = format!("{by} is not used, so checks connect directly: {error}");
            if !troubles.contains(&trouble) {
                troubles.push(trouble);
            }
            None
        }
    }
}

fn is_this_machine(host: &Host) -> bool {
    match host {
        Host::Ip(ip) => ip.to_canonical().is_loopback(),
        Host::Name(name) => name == "localhost" || name.ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests;
