//! The command line: what can be typed and what the exit codes mean.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::model::{Expect, Kind, Status};
use crate::proxy::Secret;
use crate::settings::web::Listen;
use crate::snapshot::Snapshot;

/// Says which hosts a secured Azure Machine Learning workspace cannot reach from here, why, and
/// whom to ask for what.
#[derive(Debug, Parser)]
#[command(
    name = "vnetprobe",
    version,
    arg_required_else_help = true,
    after_help = "Exit codes of check and probe: 0 no failure, 1 something fails, 2 usage or configuration,\n3 our own fault, 4 nothing failed but something is unknown.\n\nExamples:\n  vnetprobe check\n  vnetprobe check --set region=usgovvirginia --set storage_account=mlstore\n  vnetprobe probe mlstore.blob.core.usgovcloudapi.net --expect private\n  vnetprobe serve"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run every check once and print the answer.
    #[command(
        after_help = "Examples:\n  vnetprobe check\n  vnetprobe check --scenario studio --verbose\n  vnetprobe check --host '*.blob.*' --format json\n  vnetprobe check --strict --format junit > vnetprobe.xml"
    )]
    Check(CheckArgs),
    /// Probe ad hoc targets, without the catalog.
    #[command(
        after_help = "Examples:\n  vnetprobe probe login.microsoftonline.us\n  vnetprobe probe mlstore.file.core.usgovcloudapi.net:445 --expect private --subnet 172.16.0.0/24\n  vnetprobe probe dns://mlvault.vault.usgovcloudapi.net --dns-server 10.0.0.4\n  vnetprobe probe ml.azure.us --proxy http://proxy.contoso.mil:3128\n  vnetprobe probe https://mcr.microsoft.com/v2/ --format json"
    )]
    Probe(ProbeArgs),
    /// Run as a daemon: probe for ever, serve the page, the API and metrics.
    #[command(
        after_help = "Examples:\n  vnetprobe serve\n  vnetprobe serve --config /etc/vnetprobe/probes.toml --listen 127.0.0.1:19115"
    )]
    Serve(ServeArgs),
    /// Tell what changed and when, from the file in which a daemon keeps its history.
    #[command(
        after_help = "Examples:\n  vnetprobe history --from 2h\n  vnetprobe history --from '2026-11-23 08:00' --to '2026-11-23 09:30'\n  vnetprobe history --check '*.blob.*' --from 7d --format json\n  vnetprobe history --file /var/lib/vnetprobe/history.sqlite"
    )]
    History(HistoryArgs),
    /// Show what would be checked and what is not covered, without sending a packet.
    #[command(
        after_help = "Examples:\n  vnetprobe plan\n  vnetprobe plan --set region=usgovvirginia --format json"
    )]
    Plan(PlanArgs),
    /// Check a configuration file: print all its errors, or ok.
    #[command(
        after_help = "Examples:\n  vnetprobe validate\n  vnetprobe validate --config probes.toml"
    )]
    Validate(ConfigArgs),
    /// Explain a cause in plain words; without one, list all causes.
    #[command(
        after_help = "Examples:\n  vnetprobe explain\n  vnetprobe explain private_zone_not_linked"
    )]
    Explain {
        /// The cause's code.
        cause: Option<String>,
    },
}

/// Where the configuration comes from.
#[derive(Debug, Clone, Args)]
pub struct ConfigArgs {
    #[cfg_attr(
        windows,
        doc = "Configuration file [default: .\\probes.toml, then %ProgramData%\\vnetprobe\\probes.toml, then the built-in one]"
    )]
    #[cfg_attr(
        not(windows),
        doc = "Configuration file [default: ./probes.toml, then /etc/vnetprobe/probes.toml, then the built-in one]"
    )]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One parameter, for example region=usgovvirginia or schedule.interval=30s
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err("write it as key=value, for example region=usgovvirginia".to_owned()),
    }
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Only checks of this scenario (repeatable)
    #[arg(long, value_name = "SCENARIO")]
    pub scenario: Vec<String>,
    /// Only hosts that match, with * and ? (repeatable)
    #[arg(long, value_name = "GLOB")]
    pub host: Vec<String>,
    /// Only checks of this kind (repeatable)
    #[arg(long, value_name = "KIND", value_parser = parse_word::<Kind>)]
    pub kind: Vec<Kind>,
    /// How to print.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// How the answer is printed.
#[derive(Debug, Args)]
pub struct OutputArgs {
    /// Form of the answer
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Print the evidence of every check
    #[arg(long)]
    pub verbose: bool,
    /// Count a warning as a failure in the exit code
    #[arg(long)]
    pub strict: bool,
}

/// Arguments of `probe`.
#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// host, host:port, or a URL with scheme dns tcp tls http https wss smb udp
    #[arg(required = true, value_name = "TARGET")]
    pub targets: Vec<String>,
    /// What the name must resolve to
    #[arg(long, value_name = "EXPECT", default_value = "any", value_parser = parse_word::<Expect>)]
    pub expect: Expect,
    /// Subnet its private address must lie in (repeatable)
    #[arg(long, value_name = "CIDR", value_parser = subnet)]
    pub subnet: Vec<ipnet::IpNet>,
    /// DNS server to ask instead of this machine's (repeatable)
    #[arg(long, value_name = "IP[:PORT]", value_parser = server_address)]
    pub dns_server: Vec<SocketAddr>,
    /// HTTP proxy to go through, such as http://proxy:3128 [default: HTTPS_PROXY, NO_PROXY]
    #[arg(long, value_name = "URL", value_parser = secret)]
    pub proxy: Option<Secret>,
    /// File with extra roots to trust (repeatable)
    #[arg(long, value_name = "PEM")]
    pub ca_file: Vec<PathBuf>,
    /// How to print.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Takes anything: a message about a wrong value would repeat the password in it.
#[expect(clippy::unnecessary_wraps, reason = "clap wants a result")]
fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text))
}

fn server_address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .or_else(|_| text.parse::<std::net::IpAddr>().map(|ip| SocketAddr::new(ip, 53)))
        .map_err(|_| "write an IP address, or IP:PORT, with brackets around IPv6".to_owned())
}

fn subnet(text: &str) -> Result<ipnet::IpNet, String> {
    text.parse().map_err(|_| "write a network, such as 10.0.0.0/24 or fd00::/64".to_owned())
}

fn listen_address(text: &str) -> Result<Listen, String> {
    crate::config::listen(text).map_err(|_| {
        "write an IP address and a port, such as 127.0.0.1:19115 or [::1]:19115, or a path, such as unix:/run/vnetprobe/http.sock".to_owned()
    })
}

fn parse_word<T: std::str::FromStr<Err = crate::model::UnknownWord>>(
    text: &str,
) -> Result<T, String> {
    text.parse().map_err(|error: crate::model::UnknownWord| error.to_string())
}

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Address and port of the page, or unix:PATH (repeatable) [default: web.listen, 127.0.0.1:19115]
    #[arg(long, value_name = "ADDR:PORT", value_parser = listen_address)]
    pub listen: Vec<Listen>,
    /// Least serious lines that are logged; it can be changed while the daemon runs
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = log_level)]
    pub log_level: tracing::Level,
    /// Form of log lines [auto: fields for systemd's journal when it listens, else lines for people]
    #[arg(long, value_enum, default_value_t = LogFormat::Auto)]
    pub log_format: LogFormat,
    /// Run under the service control manager, with log lines in %ProgramData%\vnetprobe\log
    #[cfg(windows)]
    #[arg(long)]
    pub service: bool,
}

/// Levels as they are typed.
pub const LOG_LEVELS: &str = "error, warn, info, debug or trace";

/// Reads the name of a log level.
pub fn log_level(text: &str) -> Result<tracing::Level, String> {
    // Numbers are levels to the library; nobody could remember them.
    let name = text.chars().all(|c| c.is_ascii_alphabetic());
    text.parse().ok().filter(|_| name).ok_or_else(|| format!("write {LOG_LEVELS}"))
}

/// Forms of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// The one that fits where they go.
    Auto,
    /// For people.
    Human,
    /// One object a line.
    Json,
    /// Fields in systemd's journal.
    Journald,
}

/// Arguments of `history`.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Nothing before this moment: RFC 3339, a date or time of UTC, or how long ago (30m, 2h, 7d)
    #[arg(long, value_name = "T")]
    pub from: Option<String>,
    /// Nothing after this moment
    #[arg(long, value_name = "T")]
    pub to: Option<String>,
    /// Only checks whose id matches, with * and ?
    #[arg(long, value_name = "GLOB")]
    pub check: Option<String>,
    /// The newest so many events [default: 100]
    #[arg(long, value_name = "N")]
    pub limit: Option<String>,
    /// Form of the answer
    #[arg(long, value_enum, default_value_t = PlanFormat::Table)]
    pub format: PlanFormat,
    /// The history file [default: history.path, then that of the state directory]
    #[arg(long, value_name = "PATH")]
    pub file: Option<PathBuf>,
}

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Form of the plan
    #[arg(long, value_enum, default_value_t = PlanFormat::Table)]
    pub format: PlanFormat,
}

/// Forms of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a terminal.
    Table,
    /// The report as JSON.
    Json,
    /// For a ticket.
    Markdown,
    /// For a pipeline.
    Junit,
    /// The metrics of /metrics.
    Prometheus,
}

/// Forms of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PlanFormat {
    /// For a terminal.
    Table,
    /// For a program.
    Json,
}

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// No failure.
    Fine,
    /// Something fails.
    Failing,
    /// Wrong usage or configuration.
    Usage,
    /// Our own fault.
    Ours,
    /// Nothing failed, but something is unknown.
    Unknown,
}

impl Exit {
    /// What a finished run says. Silence over UDP is no news either way.
    pub fn of(snapshot: &Snapshot, strict: bool) -> Self {
        let silent = |cause| cause == Some(crate::cause::Cause::UdpNoEvidence);
        let has =
            |status| snapshot.checks.iter().any(|r| r.status() == status && !silent(r.cause()));
        match () {
            () if has(Status::Fail) || (strict && has(Status::Warn)) => Self::Failing,
            () if has(Status::Unknown) => Self::Unknown,
            () => Self::Fine,
        }
    }
}

impl Exit {
    /// Its number.
    pub fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Failing => 1,
            Self::Usage => 2,
            Self::Ours => 3,
            Self::Unknown => 4,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
