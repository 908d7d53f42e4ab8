//! One function per command: the only place that knows more than one edge.
mod console;
mod daemon;
mod desk;
mod interrupt;
mod log;
mod notify;
mod past;
mod reload;
#[cfg(windows)]
mod service;
mod web;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use tokio::sync::{mpsc, watch};

use crate::catalog;
use crate::cause::Cause;
use crate::cli::{
    CheckArgs, Cli, Command, ConfigArgs, Exit, Format, OutputArgs, PlanArgs, PlanFormat, ProbeArgs,
};
use crate::config::{self, Config};
use crate::engine::{Engine, Options};
use crate::history::Setting;
use crate::host::{self, CaFile, ConfigFile};
use crate::journal::Past;
use crate::limits;
use crate::machine::Machine;
use crate::model::{Cloud, printable};
use crate::plan::{self, ExtraProbe, Plan};
use crate::probe::Live;
use crate::probe::dns::Servers;
use crate::probe::experiments::FollowUps;
use crate::probe::tls::TlsClient;
use crate::probe::trust::RootStores;
use crate::probe::turns::Turns;
use crate::proxy::{Named, Proxy, Routes, Secret, Source};
use crate::render::table::Detail;
use crate::render::{explain, junit, markdown, metrics, table};
use crate::schedule::Repeat;
use crate::snapshot::Snapshot;
use crate::target::parse_target;
use crate::verdict::proxied;
use crate::wire;
use console::Console;

/// Why a command could not do its work.
#[derive(Debug)]
struct Refusal {
    exit: Exit,
    message: String,
    /// The message begins with file, line and column, as editors read them.
    located: bool,
}

impl Refusal {
    fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: message.into(), located: false }
    }

    fn ours(message: impl Into<String>) -> Self {
        Self { exit: Exit::Ours, message: message.into(), located: false }
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let console = Console::of_process();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let failed = error.use_stderr();
            // Help and version are answers; anything else is a usage error. A closed pipe is neither.
            let _ = error.print();
            return if failed { Exit::Usage.into() } else { Exit::Fine.into() };
        }
    };
    let done = match cli.command {
        Command::Check(args) => check(&console, &args),
        Command::Probe(args) => probe(&console, &args),
        #[cfg(windows)]
        Command::Serve(args) if args.service => service::serve(args),
        Command::Serve(args) => daemon::serve(&args, &log::Place::Stderr, &|| {}),
        Command::History(args) => past::show(&console, &args),
        Command::Plan(args) => show_plan(&console, &args),
        Command::Validate(args) => validate(&console, &args),
        Command::Explain { cause } => explain_cause(&console, cause.as_deref()),
    };
    match done {
        Ok(exit) => exit.into(),
        Err(refusal) => {
            if refusal.located {
                Console::note(refusal.message.trim_end());
            } else {
                Console::error(&refusal.message);
            }
            refusal.exit.into()
        }
    }
}

// ------------------------------------------------------------------------------ configuration

fn load(args: &ConfigArgs) -> Result<Config, Refusal> {
    let file = host::config(args.config.as_deref(), config::DEFAULT).map_err(Refusal::usage)?;
    parsed(&file, args)
}

fn parsed(file: &ConfigFile, args: &ConfigArgs) -> Result<Config, Refusal> {
    config::parse_with(&file.text, &args.set).map_err(|errors| Refusal {
        located: true,
        ..Refusal::usage(errors.render(&file.name, &file.text))
    })
}

fn planned(config: &Config) -> Result<Plan, Refusal> {
    // A test proves that every embedded catalog is valid, so this is a broken build.
    let catalog = catalog::embedded(config.parameters.cloud)
        .map_err(|errors| Refusal::ours(errors.join("\n")))?;
    Ok(plan::plan(&catalog, &config.probes, &config.parameters, &config.network, |id| {
        config.excludes(id)
    }))
}

fn validate(_console: &Console, args: &ConfigArgs) -> Result<Exit, Refusal> {
    let config = load(args)?;
    planned(&config)?;
    root_stores(host::ca_files(&config.settings.ca_files))?;
    web::check(&config.settings.web)?;
    Console::print("ok\n");
    Ok(Exit::Fine)
}

fn show_plan(console: &Console, args: &PlanArgs) -> Result<Exit, Refusal> {
    let plan = planned(&load(&args.config)?)?;
    Console::print(&match args.format {
        PlanFormat::Table => crate::render::plan::table(&plan, console.layout()),
        PlanFormat::Json => wire::plan_json(&plan),
    });
    Ok(Exit::Fine)
}

fn explain_cause(_console: &Console, code: Option<&str>) -> Result<Exit, Refusal> {
    let text = match code {
        None => explain::all(),
        Some(code) => explain::one(code.parse::<Cause>().map_err(|error| {
            let near = crate::suggest::nearest(code, error.known.iter().copied());
            let hint = near.map_or_else(
                || "`vnetprobe explain` lists all causes".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            Refusal::usage(format!("`{code}` is not a cause; {hint}"))
        })?),
    };
    Console::print(&text);
    Ok(Exit::Fine)
}

// ------------------------------------------------------------------------------------ measuring

fn check(console: &Console, args: &CheckArgs) -> Result<Exit, Refusal> {
    let config = load(&args.config)?;
    let plan = planned(&config)?;
    for scenario in &args.scenario {
        if !plan.scenarios.iter().any(|known| known.id == *scenario) {
            let known: Vec<&str> = plan.scenarios.iter().map(|s| s.id.as_str()).collect();
            return Err(Refusal::usage(format!(
                "`{scenario}` is not a scenario here; known: {}",
                known.join(", ")
            )));
        }
    }
    let hosts: Vec<config::Pattern> =
        args.host.iter().map(|glob| config::Pattern::of_host(glob)).collect();
    let all = args.scenario.is_empty() && hosts.is_empty() && args.kind.is_empty();
    let plan = plan.narrowed(
        |check| {
            (args.scenario.is_empty() || check.scenarios.iter().any(|s| args.scenario.contains(s)))
                && (hosts.is_empty()
                    || hosts.iter().any(|glob| glob.matches(&check.target.host.to_string())))
                && (args.kind.is_empty() || args.kind.contains(&check.target.kind))
        },
        |requirement| {
            all || (hosts.is_empty()
                && args.kind.is_empty()
                && requirement.scenarios.iter().any(|s| args.scenario.contains(s)))
        },
    );
    if plan.checks.is_empty() && !all {
        return Err(Refusal::usage("no check matches; `vnetprobe plan` lists all of them"));
    }
    run_once(console, plan, &config, &args.output)
}

fn probe(console: &Console, args: &ProbeArgs) -> Result<Exit, Refusal> {
    let mut config =
        config::parse("").map_err(|errors| Refusal::ours(errors.render("built-in default", "")))?;
    config.parameters.cloud = Cloud::None;
    config.settings.dns_servers.clone_from(&args.dns_server);
    config.settings.ca_files.clone_from(&args.ca_file);
    config.settings.proxy = args.proxy.as_ref().map(named_proxy).transpose()?;
    for text in &args.targets {
        let target = parse_target(text).map_err(|error| refused_target(text, &error))?;
        let id = target.authority();
        let probe = ExtraProbe {
            id,
            target,
            expect: args.expect,
            subnets: args.subnet.clone(),
            scenarios: Vec::new(),
        };
        if !config.probes.contains(&probe) {
            config.probes.push(probe);
        }
    }
    let plan = planned(&config)?;
    run_once(console, plan, &config, &args.output)
}

/// The proxy of the command line. A message never repeats it: it may hold a password.
fn named_proxy(text: &Secret) -> Result<Named, Refusal> {
    let proxy =
        Proxy::parse(text.reveal()).map_err(|error| Refusal::usage(format!("--proxy: {error}")))?;
    Ok(Named { proxy, by: Source::CommandLine })
}

/// Names the target that is refused, unless it may hold a password.
fn refused_target(text: &str, error: &str) -> Refusal {
    if text.contains('@') {
        return Refusal::usage(error);
    }
    Refusal::usage(format!("target `{}`: {error}", printable(text)))
}

/// The trust stores with these files; every unreadable one is named.
fn root_stores(files: Vec<CaFile>) -> Result<(RootStores, Vec<String>), Refusal> {
    let (mut pems, mut problems) = (Vec::new(), Vec::new());
    for (path, read) in files {
        match read {
            Ok(pem) => pems.push((path, pem)),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        RootStores::load(&pems).map_err(Refusal::usage)
    } else {
        Err(Refusal::usage(problems.join("\n")))
    }
}

/// Everything a run needs from the machine and the configuration.
fn prepare(
    plan: Plan,
    config: &Config,
    machine: Machine,
    ca_files: Vec<CaFile>,
    repeat: Repeat,
) -> Result<(Live, Setting, Options), Refusal> {
    let Config { settings, network, parameters, .. } = config;
    let (stores, notes) = root_stores(ca_files)?;
    let mut machine = machine;
    machine.ca_files.clone_from(&settings.ca_files);
    machine.troubles.extend(notes);
    let (routes, notes) =
        Routes::new(settings.proxy.as_ref(), &settings.no_proxy, &host::proxy_environment());
    machine.proxy = routes.shown();
    machine.troubles.extend(notes);
    machine.troubles.extend(proxied::private_endpoints(&plan, &routes, network));
    let timeouts = settings.timeouts;
    let budget = if routes.has_proxy() { timeouts.proxied_budget() } else { timeouts.budget() };
    let servers = Servers::new(&settings.dns_servers, settings.dns_reference, &machine);
    machine.dns_servers.clone_from(&servers.configured);
    let network = Arc::new(network.clone());
    let live = Live {
        servers,
        hosts_file: machine.hosts_file.clone(),
        network: Arc::clone(&network),
        tls: TlsClient::new(stores)
            .map(Arc::new)
            .map_err(|error| Refusal::ours(format!("failed to set TLS up: {error}")))?,
        timeouts,
        routes,
        follow_ups: Arc::new(FollowUps::new(parameters.cloud, repeat)),
        turns: Turns::default(),
    };
    let interval = match repeat {
        Repeat::Once => None,
        Repeat::Every(interval) => Some(interval),
    };
    let seed = seed(&machine.hostname);
    let setting =
        Setting { plan: Arc::new(plan), network, machine: Arc::new(machine), interval, budget };
    Ok((live, setting, Options { repeat, concurrency: settings.concurrency, seed }))
}

/// A machine keeps its rhythm over restarts, and a fleet's machines have different ones (FNV-1a).
fn seed(hostname: &str) -> u64 {
    hostname.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// For the engine and its probes: one thread, as handing a result from one to another costs more
/// than folding it.
fn runtime() -> Result<tokio::runtime::Runtime, Refusal> {
    tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(limits::BLOCKING_THREADS)
        .enable_all()
        .build()
        .map_err(|error| Refusal::ours(format!("failed to start the runtime: {error}")))
}

fn run_once(
    console: &Console,
    plan: Plan,
    config: &Config,
    output: &OutputArgs,
) -> Result<Exit, Refusal> {
    let ca_files = host::ca_files(&config.settings.ca_files);
    let (live, setting, options) = prepare(plan, config, host::machine(), ca_files, Repeat::Once)?;
    let snapshot = runtime()?.block_on(async {
        let mut engine = Engine::new(live, setting, &options, Past::default());
        let (publish, watching) = watch::channel(engine.snapshot());
        let progress = console.progress(watching);
        // Nobody gives orders to a run that ends by itself.
        let (_, orders) = mpsc::channel(1);
        let last = engine.run(&publish, orders, interrupt::first()).await;
        drop(publish);
        progress.finish().await;
        last
    });
    Console::print(&rendered(&snapshot, output, console));
    if snapshot.is_complete() || snapshot.checks.is_empty() {
        return Ok(Exit::of(&snapshot, output.strict));
    }
    Err(Refusal::ours("interrupted before every check had a result"))
}

fn rendered(snapshot: &Snapshot, output: &OutputArgs, console: &Console) -> String {
    let detail = if output.verbose { Detail::Verbose } else { Detail::Brief };
    match output.format {
        Format::Table => table::report(snapshot, console.layout(), detail),
        Format::Json => wire::report_json(snapshot),
        Format::Markdown => markdown::report(snapshot),
        Format::Junit => junit::report(snapshot),
        Format::Prometheus => metrics::text(snapshot),
    }
}
