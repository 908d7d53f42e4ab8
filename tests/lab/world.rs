//! A world as its file writes it: what is broken, what the program must say, how others see it.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddrV4;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::middle::{ExplicitProxy, Filter, Inspection, Toward};
use crate::oddities::Oddity;

/// One file of `tests/lab/worlds`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct World {
    /// The file's name without its ending.
    #[serde(skip)]
    pub(crate) name: String,
    /// One line for people.
    pub(crate) title: String,
    /// The program's configuration, a file in `tests/lab`.
    #[serde(default = "usual_config")]
    pub(crate) config: String,
    /// Texts in it that are something else in this world.
    #[serde(default)]
    pub(crate) replace: BTreeMap<String, String>,
    /// More of it, put at its end.
    #[serde(default)]
    pub(crate) add: String,
    /// The answers are the first that `vnetprobe serve` gives after it stood still for so many
    /// seconds, and its exit code when it is told to end once all is well again.
    pub(crate) paused_seconds: Option<u64>,
    /// Variables that every program on the client has.
    #[serde(default)]
    pub(crate) environment: BTreeMap<String, String>,
    /// What is broken; nothing in a healthy world.
    #[serde(default, rename = "fault")]
    pub(crate) faults: Vec<Fault>,
    /// What the program must say.
    pub(crate) expect: Expect,
    /// Ordinary commands that show the same.
    #[serde(default, rename = "proof")]
    pub(crate) proofs: Vec<Proof>,
    /// What the findings' own commands show together, where `prove.toml` does not say it right.
    pub(crate) prove_shows: Option<Vec<String>>,
}

fn usual_config() -> String {
    "workspace.toml".to_owned()
}

/// One thing that is not as in a healthy world.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Fault {
    /// A private DNS zone is not linked to the network of these resolvers (all, if none is named).
    ZoneNotLinked {
        zone: String,
        #[serde(default)]
        at: Vec<String>,
    },
    /// The linked zone lacks the record behind this host.
    RecordMissing { host: String },
    /// Packets to a host, a port or both are not let through.
    Packets { action: Action, at: Place, host: Option<String>, port: u16 },
    /// The server shows a bad certificate for this name.
    Certificate { host: String, form: Form },
    /// The host answers HTTP requests over TLS with this.
    Answer {
        host: String,
        status: u16,
        #[serde(default)]
        headers: BTreeMap<String, String>,
        #[serde(default)]
        body: String,
    },
    /// The firewall takes what leaves for the internet itself and closes on unwanted names.
    NameFilter(Filter),
    /// The firewall opens TLS on its way to the internet and signs certificates of its own.
    Inspection(Inspection),
    /// An HTTP proxy, which programs have to be told of.
    Proxy(ExplicitProxy),
    /// Something else than the usual server answers at this host's port.
    Answers {
        host: String,
        port: u16,
        #[serde(rename = "as")]
        oddity: Oddity,
    },
    /// The way to this host's port, and back, loses packets above a size, without a word.
    LargePackets {
        host: String,
        port: u16,
        above: u16,
        /// It loses them this way alone.
        only: Option<Toward>,
    },
    /// The services are so far away: a packet from the firewall to them takes this long.
    Delay { milliseconds: u16 },
    /// Other records stand in the place of a host's own, in the words of a zone file.
    Records {
        host: String,
        /// At which resolvers; at all, if none is named.
        #[serde(default)]
        at: Vec<String>,
        /// Of the name itself, or of the name where its aliases end.
        #[serde(default)]
        of: RecordsOf,
        /// Type and data of each; none means that the name does not exist.
        data: Vec<String>,
        /// Whole lines for the same zone.
        #[serde(default)]
        more: Vec<String>,
    },
    /// One more server, real software in its own words. `{HOST}` in a text is that host's address,
    /// `{public:HOST}` its public one, `{dir}` the lab's folder.
    Server {
        software: Software,
        /// It is ready when it listens there; at the first it answers DNS.
        listens: Vec<SocketAddrV4>,
        /// What goes into its main block (`server:` of unbound, `options` of bind).
        #[serde(default)]
        options: String,
        /// What follows.
        #[serde(default)]
        config: String,
        /// Files beside its configuration.
        #[serde(default)]
        files: BTreeMap<String, String>,
    },
    /// TCP connections to a host's port end at another port of the servers.
    Redirect { host: String, port: u16, to: u16 },
    /// Rules in the words of nft, for what leaves the client, passes the firewall or reaches the
    /// servers.
    Rules { at: Place, rules: Vec<String> },
    /// The client's DNS servers, by address.
    ResolvConf { servers: Vec<String> },
    /// Lines of the client's hosts file.
    HostsFile { lines: Vec<String> },
    /// Commands on the client, as root; it is built anew for the next world.
    Client { run: Vec<String> },
}

/// Whose records a fault replaces.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RecordsOf {
    /// The name that programs ask for.
    Name,
    /// The name where its aliases end.
    #[default]
    End,
}

/// Real software that worlds may add.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Software {
    Unbound,
    Bind,
    Dnsmasq,
    Haproxy,
}

/// What happens to a packet.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    /// It vanishes.
    Drop,
    /// A TCP reset comes back.
    Reset,
    /// ICMP comes back: administratively prohibited.
    Prohibit,
}

/// Where it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Place {
    /// Before it is sent.
    Client,
    /// On the way.
    Firewall,
    /// At its end, as if nothing listened there.
    Server,
}

/// What is wrong with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Form {
    /// It ended ten days ago.
    Expired,
    /// It begins in ten days.
    NotYetValid,
    /// It is made for another name.
    OtherName,
    /// It signed itself.
    SelfSigned,
    /// Its chain leads to a root that nobody here knows.
    UnknownRoot,
    /// The server forgot to send the intermediate.
    NoIntermediate,
    /// The intermediate that the server sends has expired.
    ExpiredIntermediate,
    /// It ends in three days.
    Expiring,
}

/// What `vnetprobe check` must answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    /// Its exit code.
    pub(crate) exit: i32,
    /// The finding's cause is one of these; none means that nothing is found.
    #[serde(default)]
    causes: Vec<String>,
    /// See [`Told::explains`].
    #[serde(default)]
    explains: Vec<String>,
    /// See [`Told::except`].
    #[serde(default)]
    except: Vec<String>,
    /// See [`Told::status`].
    #[serde(default = "fail")]
    status: String,
    /// See [`Told::warnings`].
    #[serde(default)]
    warnings: Vec<String>,
    /// See [`Told::says`].
    #[serde(default)]
    says: Vec<String>,
    /// More findings, or all of them.
    #[serde(default, rename = "finding")]
    findings: Vec<Told>,
    /// Checks that have a cause of which no finding is made.
    #[serde(default)]
    pub(crate) untold: Vec<Told>,
    /// Scenarios that are blocked; `*` is every one.
    #[serde(default)]
    pub(crate) blocked: Vec<String>,
    /// Scenarios that are degraded.
    #[serde(default)]
    pub(crate) degraded: Vec<String>,
    /// Scenarios that are unknown. All others are ready.
    #[serde(default)]
    pub(crate) unknown: Vec<String>,
    /// The same findings must be in the table and on the page.
    #[serde(default)]
    pub(crate) everywhere: bool,
}

fn fail() -> String {
    "fail".to_owned()
}

/// One finding that must be told.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Told {
    /// Its cause is one of these.
    pub(crate) causes: Vec<String>,
    /// `host:port`, or `host` for checks of the name alone, with `*` for any text, or a check's id; after a space
    /// what the check expects (`private`, `public`, `any`) or its kind. All these checks are
    /// explained, and all others are quiet.
    pub(crate) explains: Vec<String>,
    /// The same, for those that are not.
    #[serde(default)]
    pub(crate) except: Vec<String>,
    /// The status of these checks: `fail`, `warn`, `unknown`, or `fail or warn`.
    #[serde(default = "fail")]
    pub(crate) status: String,
    /// Causes of warnings that each of these checks has besides.
    #[serde(default)]
    pub(crate) warnings: Vec<String>,
    /// Words in the sentence about each of these checks.
    #[serde(default)]
    pub(crate) says: Vec<String>,
}

impl Expect {
    /// All findings that must be told, and no others.
    pub(crate) fn findings(&self) -> Vec<Told> {
        let only = Told {
            causes: self.causes.clone(),
            explains: self.explains.clone(),
            except: self.except.clone(),
            status: self.status.clone(),
            warnings: self.warnings.clone(),
            says: self.says.clone(),
        };
        let only = (!self.causes.is_empty()).then_some(only);
        only.into_iter().chain(self.findings.iter().cloned()).collect()
    }
}

/// A command and what it shows in this world.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Proof {
    /// For `bash` in the client's namespace; `$LAB_CA` is the lab's root certificate.
    pub(crate) run: String,
    /// Texts that must be in its output.
    #[serde(default)]
    pub(crate) shows: Vec<String>,
    /// Texts that must not.
    #[serde(default)]
    pub(crate) lacks: Vec<String>,
    /// Its exit code, when that matters.
    pub(crate) exit: Option<i32>,
}

impl Fault {
    /// Whether a zone is missing at a resolver because of this.
    pub(crate) fn unlinks(&self, from: &str, wanted: &str) -> bool {
        matches!(self, Self::ZoneNotLinked { zone, at }
            if zone == wanted && (at.is_empty() || at.iter().any(|name| name == from)))
    }

    /// The hosts it names.
    pub(crate) fn hosts(&self) -> Vec<&str> {
        match self {
            Self::ZoneNotLinked { .. }
            | Self::Delay { .. }
            | Self::Server { .. }
            | Self::Rules { .. }
            | Self::ResolvConf { .. }
            | Self::HostsFile { .. }
            | Self::Client { .. } => Vec::new(),
            Self::NameFilter(filter) => filter.hosts(),
            Self::Inspection(inspection) => inspection.hosts(),
            Self::Proxy(proxy) => proxy.hosts(),
            Self::Packets { host, .. } => host.iter().map(String::as_str).collect(),
            Self::RecordMissing { host }
            | Self::Certificate { host, .. }
            | Self::Answer { host, .. }
            | Self::Answers { host, .. }
            | Self::LargePackets { host, .. }
            | Self::Records { host, .. }
            | Self::Redirect { host, .. } => vec![host],
        }
    }
}

/// Every world, by name.
pub(crate) fn all(folder: &Path) -> Result<Vec<World>> {
    let mut worlds = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            worlds.push(read(&path).with_context(|| format!("reading {}", path.display()))?);
        }
    }
    worlds.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(worlds)
}

/// One world.
pub(crate) fn read(path: &Path) -> Result<World> {
    let mut world: World = toml::from_str(&fs::read_to_string(path)?)?;
    world.name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let expect = &world.expect;
    ensure!(
        expect.causes.is_empty() == expect.explains.is_empty()
            && expect.findings.iter().chain(&expect.untold).all(|told| !told.causes.is_empty()),
        "`causes` and `explains` belong together"
    );
    ensure!(!world.proofs.is_empty(), "a `[[proof]]` by ordinary tools is missing");
    Ok(world)
}
