//! Where the server listens, who may ask it, and with which certificate it answers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A place to listen at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Listen {
    /// An address and a port; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A bcrypt hash that was found to be one. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    hash: String,
    cost: u32,
}

impl PasswordHash {
    /// A hash of this form and cost; the caller has checked both.
    pub fn new(hash: impl Into<String>, cost: u32) -> Self {
        Self { hash: hash.into(), cost }
    }

    /// The hash as it was written.
    pub fn reveal(&self) -> &str {
        &self.hash
    }

    /// Binary logarithm of the rounds.
    pub fn cost(&self) -> u32 {
        self.cost
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The SHA-256 of a token. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenHash(pub [u8; 32]);

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The oldest TLS version that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MinVersion {
    /// TLS 1.2.
    #[default]
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// What is asked of clients' certificates; the words are those of the Prometheus exporter toolkit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientAuth {
    /// `NoClientCert`
    None,
    /// `VerifyClientCertIfGiven`, with the file of the roots.
    IfGiven(PathBuf),
    /// `RequireAndVerifyClientCert`, with the file of the roots.
    Required(PathBuf),
}

/// How the server speaks TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate and what is between it and the root, PEM.
    pub cert_file: PathBuf,
    /// Its private key, PEM.
    pub key_file: PathBuf,
    /// The oldest version.
    pub min_version: MinVersion,
    /// Client certificates.
    pub client_auth: ClientAuth,
}

/// Everything about the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Web {
    /// Where it listens unless systemd passes sockets.
    pub listen: Vec<Listen>,
    /// Names under which it may be asked, besides addresses, `localhost` and the machine's own;
    /// lower case.
    pub names: Vec<String>,
    /// TLS on every TCP listener.
    pub tls: Option<Tls>,
    /// Users of basic authentication.
    pub users: BTreeMap<String, PasswordHash>,
    /// Bearer tokens by the name that stands for each.
    pub tokens: BTreeMap<String, TokenHash>,
    /// Those of them with the role `probe`.
    pub probe_users: BTreeSet<String>,
    /// Domains below which hosts may be probed on request besides the plan's.
    pub probe_suffixes: Vec<String>,
}

impl Default for Web {
    fn default() -> Self {
        Self {
            listen: vec![Listen::Tcp(SocketAddr::from(([127, 0, 0, 1], 19115)))],
            names: Vec::new(),
            tls: None,
            users: BTreeMap::new(),
            tokens: BTreeMap::new(),
            probe_users: BTreeSet::new(),
            probe_suffixes: Vec::new(),
        }
    }
}

impl Web {
    /// Whether everybody must say who they are: with a password, a token or a certificate.
    pub fn authenticates(&self) -> bool {
        let certificates =
            matches!(self.tls, Some(Tls { client_auth: ClientAuth::Required(_), .. }));
        certificates || !self.users.is_empty() || !self.tokens.is_empty()
    }
}
