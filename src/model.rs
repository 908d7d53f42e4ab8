//! The small words every other module uses: clouds, kinds, layers, statuses, hosts.
//!
//! Spelling here is contract: the serialized form of each enum is the word used in `probes.toml`,
//! JSON, metrics and on the page.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits;

/// Declares an enum whose variants have one fixed spelling, and its list, name and parser.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The one spelling used in files and outputs.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.pad(self.as_str()) }
        }

        impl std::str::FromStr for $name {
            type Err = crate::model::UnknownWord;
            fn from_str(text: &str) -> Result<Self, crate::model::UnknownWord> {
                match text { $($word => Ok(Self::$variant),)+ _ => Err(crate::model::UnknownWord { text: text.to_owned(), known: &[$($word),+] }) }
            }
        }
    };
}
pub(crate) use words;

/// A word that is not in the closed list it should come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownWord {
    /// What was written.
    pub text: String,
    /// What could have been written.
    pub known: &'static [&'static str],
}

impl fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not one of {}", self.text, self.known.join(", "))
    }
}

words! {
    /// Which catalog applies.
    Cloud {
        /// Azure Government.
        UsGovernment = "usgovernment",
        /// Azure public.
        Public = "public",
        /// Azure operated by 21Vianet.
        China = "china",
        /// No catalog: only the `[[probe]]` entries.
        None = "none",
    }
}

words! {
    /// Where this machine stands in the VNet.
    Vantage {
        /// The virtual machine people log on to.
        JumpBox = "jump_box",
        /// An Azure ML compute instance.
        ComputeInstance = "compute_instance",
        /// A machine in the subnet of the compute clusters.
        ClusterSubnet = "cluster_subnet",
        /// Not said, or it does not matter.
        Any = "any",
    }
}

words! {
    /// What a check does.
    Kind {
        /// Resolves the name, no more.
        Dns = "dns",
        /// Opens a TCP connection.
        Tcp = "tcp",
        /// Completes a TLS handshake with the real server name.
        Tls = "tls",
        /// Sends one HTTP request in clear text.
        Http = "http",
        /// Sends one HTTP request over TLS.
        Https = "https",
        /// Upgrades to a WebSocket over TLS.
        Websocket = "websocket",
        /// Negotiates SMB2.
        Smb = "smb",
        /// Sends one datagram.
        Udp = "udp",
    }
}

impl Kind {
    /// The kind that a bare `host:port` means.
    pub const fn of_port(port: u16) -> Self {
        match port {
            80 => Self::Http,
            445 => Self::Smb,
            443 | 8443 | 8787 | 18881 => Self::Tls,
            _ => Self::Tcp,
        }
    }
}

words! {
    /// What carries a requirement's traffic.
    Transport {
        /// TCP.
        Tcp = "tcp",
        /// UDP.
        Udp = "udp",
        /// Either.
        Any = "any",
    }
}

words! {
    /// What the name must resolve to.
    Expect {
        /// A private endpoint's address.
        Private = "private",
        /// A public address.
        Public = "public",
        /// No matter.
        Any = "any",
    }
}

words! {
    /// Services whose answers without credentials are known.
    Service {
        /// Azure Storage: blob, file, queue, table, dfs.
        Storage = "storage",
        /// Azure Key Vault.
        KeyVault = "key_vault",
        /// A container registry.
        ContainerRegistry = "container_registry",
        /// The API of a workspace.
        Workspace = "workspace",
    }
}

words! {
    /// A layer of a check, in the order they are climbed.
    Layer {
        /// Name resolution and what the name resolves to.
        Dns = "dns",
        /// The connection.
        Tcp = "tcp",
        /// The proxy in between.
        Proxy = "proxy",
        /// The TLS handshake and the certificate.
        Tls = "tls",
        /// HTTP, WebSocket, SMB or UDP above it.
        Application = "application",
        /// vnetprobe and the machine it runs on.
        Local = "local",
    }
}

words! {
    /// Whose fault it is.
    Blame {
        /// The service itself.
        Target = "target",
        /// What lies between: firewalls, routes, proxies.
        Path = "path",
        /// A DNS server, zone or hosts file.
        Dns = "dns",
        /// This machine or vnetprobe.
        Us = "us",
    }
}

words! {
    /// The outcome of a check, best first.
    Status {
        /// All that is needed works.
        Pass = "pass",
        /// It works, and something about it should be looked at.
        Warn = "warn",
        /// We could not measure: our own fault, never the network's.
        Unknown = "unknown",
        /// It does not work.
        Fail = "fail",
    }
}

words! {
    /// Which edition of Microsoft's documents has a row.
    Edition {
        /// The lists of 2022.
        Y2022 = "2022",
        /// The newest documents.
        Current = "current",
    }
}

words! {
    /// Whether traffic leaves the VNet or enters it.
    Direction {
        /// From here.
        Outbound = "outbound",
        /// To here; cannot be tested from inside.
        Inbound = "inbound",
    }
}

words! {
    /// How well a concrete host stands for its requirement's pattern.
    Proof {
        /// It is the host that is needed.
        Exact = "exact",
        /// It stands for a wildcard; the wildcard's other hosts are not tested.
        Representative = "representative",
    }
}

/// A duration that appears in outputs as a number of seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Elapsed(pub Duration);

impl Elapsed {
    /// Seconds as a floating-point number.
    pub fn seconds(self) -> f64 {
        self.0.as_secs_f64()
    }
}

impl Serialize for Elapsed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Whole microseconds: nobody reads more, and the text stays short.
        serializer.serialize_f64((self.0.as_secs_f64() * 1e6).round() / 1e6)
    }
}

impl<'de> Deserialize<'de> for Elapsed {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(seconds).map(Self).map_err(serde::de::Error::custom)
    }
}

/// A host name in the form that is sent, or an IP address.
///
/// Lower case, A-labels (UTS 46), without the trailing dot. Underscores are allowed, as DNS allows
/// them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A name to resolve.
    Name(String),
    /// An address: nothing to resolve.
    Ip(IpAddr),
}

/// Why a text is not a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostError {
    /// Nothing there.
    Empty,
    /// Longer than [`limits::HOST_OCTETS`].
    TooLong(usize),
    /// A label longer than [`limits::LABEL_OCTETS`].
    LabelTooLong(String),
    /// Two dots in a row or a leading dot.
    EmptyLabel,
    /// A character no name can have.
    Character(char),
    /// A label begins or ends with a hyphen.
    Hyphen(String),
    /// Not valid as an internationalized name.
    Idna,
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the host is empty"),
            Self::TooLong(octets) => {
                write!(f, "the name has {octets} characters; DNS allows {}", limits::HOST_OCTETS)
            }
            Self::LabelTooLong(label) => write!(
                f,
                "the label `{label}` has {} characters; DNS allows {}",
                label.len(),
                limits::LABEL_OCTETS
            ),
            Self::EmptyLabel => f.write_str("the name has an empty label (two dots in a row)"),
            Self::Character(character) => {
                write!(f, "a host name cannot contain {character:?}")
            }
            Self::Hyphen(label) => write!(f, "the label `{label}` begins or ends with a hyphen"),
            Self::Idna => f.write_str("the name is not a valid internationalized name"),
        }
    }
}

impl Host {
    /// Reads a host as people write it: any case, a trailing dot, Unicode, brackets around IPv6.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        let text = text.trim();
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if let Ok(ip) = bare.parse::<IpAddr>() {
            return Ok(Self::Ip(ip));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.is_empty() {
            return Err(HostError::Empty);
        }
        // Checked before conversion so that the message shows what was written.
        let odd =
            |c: &char| c.is_ascii() && !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if let Some(character) = name.chars().find(odd) {
            return Err(HostError::Character(character));
        }
        if name.is_ascii() {
            return Self::of_ascii(&name.to_ascii_lowercase());
        }
        let ascii = idna::domain_to_ascii(name).map_err(|_| HostError::Idna)?;
        // Unicode has other dots, digits, spaces and slashes, and the mapping makes them plain ones.
        let ascii = ascii.strip_suffix('.').unwrap_or(&ascii);
        if ascii.is_empty() {
            return Err(HostError::Empty);
        }
        if let Ok(ip) = ascii.parse::<IpAddr>() {
            return Ok(Self::Ip(ip));
        }
        if ascii.contains(|c: char| odd(&c)) {
            return Err(HostError::Idna);
        }
        Self::of_ascii(ascii)
    }

    /// A lower-case name of characters that names may have.
    fn of_ascii(ascii: &str) -> Result<Self, HostError> {
        if ascii.split('.').any(str::is_empty) {
            return Err(HostError::EmptyLabel);
        }
        if let Some(label) = ascii.split('.').find(|label| label.len() > limits::LABEL_OCTETS) {
            return Err(HostError::LabelTooLong(label.to_owned()));
        }
        if let Some(label) = ascii.split('.').find(|l| l.starts_with('-') || l.ends_with('-')) {
            return Err(HostError::Hyphen(label.to_owned()));
        }
        if ascii.len() > limits::HOST_OCTETS {
            return Err(HostError::TooLong(ascii.len()));
        }
        Ok(Self::Name(ascii.to_owned()))
    }

    /// The name, when there is one to resolve.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name),
            Self::Ip(_) => None,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.pad(name),
            Self::Ip(ip) => f.pad(&ip.to_string()),
        }
    }
}

impl Serialize for Host {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Host {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// A host and a port as people write them: `host:443`, `[::1]:443`.
pub fn authority(host: &Host, port: u16) -> String {
    match host {
        Host::Ip(IpAddr::V6(ip)) => format!("[{ip}]:{port}"),
        _ => format!("{host}:{port}"),
    }
}

/// Text from a stranger made safe for a terminal, a log line and a label: control characters
/// replaced, length bounded by [`limits::TEXT_CHARS`].
pub fn printable(text: &str) -> String {
    let mut out: String = text.chars().take(limits::TEXT_CHARS).map(shown).collect();
    if text.chars().nth(limits::TEXT_CHARS).is_some() {
        out.push('…');
    }
    out
}

/// The same for text of any length. Probes bound and clean what they keep; outputs use this so that
/// nothing that slips through there reaches a terminal.
pub fn visible(text: &str) -> String {
    // Nearly always there is nothing to hide.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    text.chars().map(shown).collect()
}

fn shown(c: char) -> char {
    if is_hidden(c) { '\u{fffd}' } else { c }
}

/// Whether a character acts on a reader or a terminal instead of being seen.
pub(crate) fn is_hidden(c: char) -> bool {
    c.is_control() || is_invisible(c)
}

/// Characters that change how neighbouring text is shown (bidirectional and zero-width controls).
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_as_people_write_them() {
        for (text, expected) in [
            ("Login.MicrosoftOnline.us", "login.microsoftonline.us"),
            ("login.microsoftonline.us.", "login.microsoftonline.us"),
            ("_dmarc.contoso.mil", "_dmarc.contoso.mil"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("10.0.0.4", "10.0.0.4"),
            ("[fd00::1]", "fd00::1"),
        ] {
            assert_eq!(Host::parse(text).unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn hosts_that_cannot_be() {
        for (text, expected) in [
            ("", HostError::Empty),
            (".", HostError::Empty),
            ("a..b", HostError::EmptyLabel),
            ("a b", HostError::Character(' ')),
            ("*.ml.azure.us", HostError::Character('*')),
            ("-a.example", HostError::Hyphen("-a".into())),
        ] {
            assert_eq!(Host::parse(text).unwrap_err(), expected, "{text}");
        }
        let long = format!("{}.example", "a".repeat(64));
        assert!(matches!(Host::parse(&long), Err(HostError::LabelTooLong(_))));
        let long = vec!["a".repeat(60); 5].join(".");
        assert_eq!(Host::parse(&long).unwrap_err(), HostError::TooLong(304));
    }

    #[test]
    fn what_unicode_turns_into_is_looked_at_again() {
        // Found by fuzzing: UTS 46 maps these to a space, `<`, `/`, dots and digits.
        for (text, expected) in [
            ("n\u{a8}", HostError::Idna),
            ("a\u{ff1c}b", HostError::Idna),
            ("a\u{2100}b", HostError::Idna),
            ("a\u{3002}\u{3002}b", HostError::EmptyLabel),
            ("\u{3002}a", HostError::EmptyLabel),
            ("\u{ad}", HostError::Empty),
        ] {
            assert_eq!(Host::parse(text), Err(expected), "{text:?}");
        }
        let address = Host::parse("\u{ff11}0.0.0.4");
        assert_eq!(address, Ok(Host::Ip([10, 0, 0, 4].into())));
        assert_eq!(Host::parse("b\u{fc}cher.example\u{3002}"), Host::parse("b\u{fc}cher.example"));
    }

    #[test]
    fn strangers_text_is_made_printable() {
        assert_eq!(printable("a\u{1b}[31m\nb\u{202e}"), "a\u{fffd}[31m\u{fffd}b\u{fffd}");
        assert_eq!(printable(&"x".repeat(1000)).chars().count(), limits::TEXT_CHARS + 1);
    }
}
