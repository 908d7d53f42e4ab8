//! A new configuration while the daemon runs: at once or not at all.
//!
//! Asked for by SIGHUP, by `POST /-/reload`, or because what the daemon was made from has changed:
//! the configuration, the CA files it names, the machine's DNS servers, hosts file or addresses.
//! However many ask at the same time, one reading answers them all.

use std::path::PathBuf;
use std::sync::Arc;

use ring::digest::{self, SHA256, SHA256_OUTPUT_LEN};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

use super::desk::Front;
use super::interrupt::{self, Hangups};
use super::{Refusal, notify, parsed, planned, prepare};
use crate::cli::ConfigArgs;
use crate::config;
use crate::config::Config;
use crate::engine::{Command, Options};
use crate::history::Setting;
use crate::host::{self, CaFile, ConfigFile};
use crate::limits;
use crate::machine::Machine;
use crate::model::Cloud;
use crate::probe::Live;
use crate::probe::experiments::FollowUps;
use crate::schedule::Repeat;
use crate::server::auth::Access;
use crate::server::control::Reload;
use crate::server::desk::Desk;
use crate::settings::web::Web;
use crate::settings::{HistorySettings, Settings};

/// What a daemon is made from, as it was last read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sources {
    config: Result<Text, String>,
    ca_files: Vec<CaFile>,
    machine: Machine,
}

/// A configuration: its text until a plan is made of it, and for ever what tells it from another.
#[derive(Debug, Clone)]
struct Text {
    file: ConfigFile,
    digest: [u8; SHA256_OUTPUT_LEN],
}

impl Text {
    fn new(file: ConfigFile) -> Self {
        let mut digest = [0; SHA256_OUTPUT_LEN];
        digest.copy_from_slice(digest::digest(&SHA256, file.text.as_bytes()).as_ref());
        Self { file, digest }
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.file.name == other.file.name && self.digest == other.digest
    }
}

impl Eq for Text {}

impl Sources {
    /// Reads them, and the CA files that are known to be named; blocks.
    pub(super) fn read(args: &ConfigArgs, ca_files: &[PathBuf]) -> Self {
        Self {
            config: host::config(args.config.as_deref(), config::DEFAULT).map(Text::new),
            ca_files: host::ca_files(ca_files),
            machine: host::machine(),
        }
    }

    /// The same for whoever only compares: ten thousand probes are megabytes of text.
    fn without_text(mut self) -> Self {
        if let Ok(text) = &mut self.config {
            text.file.text = String::new();
        }
        self
    }

    /// Makes a plan of what was read, once, and all it needs. Of the sources only CA files that the
    /// configuration names for the first time are still to be read, so that what is in use and what
    /// is watched for changes are the same; blocks.
    pub(super) fn make(&mut self, args: &ConfigArgs) -> Result<Made, Refusal> {
        let text = self.config.as_mut().map_err(|why| Refusal::usage(why.clone()))?;
        let name = text.file.name.clone();
        let file = std::mem::replace(&mut text.file, ConfigFile { name, text: String::new() });
        let mut config = parsed(&file, args)?;
        let plan = planned(&config)?;
        if self.ca_paths() != config.settings.ca_files {
            self.ca_files = host::ca_files(&config.settings.ca_files);
        }
        let repeat = Repeat::Every(config.settings.interval);
        let (machine, ca_files) = (self.machine.clone(), self.ca_files.clone());
        let (live, setting, options) = prepare(plan, &config, machine, ca_files, repeat)?;
        // What they say is in the plan.
        let probes = std::mem::take(&mut config.probes).len();
        let desk = Front::open(&config, probes, &live, &setting, &options)?;
        Ok(Made { config, desk, live, setting, options })
    }

    fn ca_paths(&self) -> Vec<PathBuf> {
        self.ca_files.iter().map(|(path, _)| path.clone()).collect()
    }

    /// Whether files could not be opened for want of descriptors: then nothing was learned.
    fn is_cut_short(&self) -> bool {
        let unread = self.ca_files.iter().filter_map(|(_, read)| read.as_ref().err());
        let mut troubles =
            self.machine.troubles.iter().chain(self.config.as_ref().err()).chain(unread);
        troubles.any(|trouble| host::ran_out_of_files(trouble))
    }

    /// What differs, in words.
    fn changed(&self, newer: &Self) -> &'static str {
        if self.config != newer.config {
            "the configuration file changed"
        } else if self.ca_files != newer.ca_files {
            "a CA file changed"
        } else {
            "this machine's network changed"
        }
    }
}

/// Makes new plans for a running engine.
#[derive(Debug)]
pub(super) struct Reloader {
    args: ConfigArgs,
    orders: mpsc::Sender<Command<Live>>,
    /// What was tried on whom lately outlives a reload, or reloads would lift the limits.
    follow_ups: Arc<FollowUps>,
    cloud: Cloud,
    sources: Sources,
    access: Arc<Access>,
    desks: watch::Sender<Arc<dyn Desk>>,
    /// In use since the start, until the end.
    web: Web,
    history: HistorySettings,
    hangups: Hangups,
}

impl Reloader {
    /// For an engine that was just made from this.
    pub(super) fn new(
        args: &ConfigArgs,
        sources: Sources,
        config: &Config,
        live: &Live,
        orders: mpsc::Sender<Command<Live>>,
        access: Arc<Access>,
        desks: watch::Sender<Arc<dyn Desk>>,
    ) -> Self {
        Self {
            follow_ups: Arc::clone(&live.follow_ups),
            cloud: config.parameters.cloud,
            sources,
            args: args.clone(),
            access,
            desks,
            web: config.settings.web.clone(),
            history: config.settings.history.clone(),
            hangups: interrupt::hangups(),
            orders,
        }
    }

    /// Waits for reasons to reload until the engine is gone.
    pub(super) async fn run(mut self, mut asked: mpsc::Receiver<Reload>) {
        let mut ticks = interval(limits::SOURCES_WATCH);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut newest: Option<Sources> = None;
        loop {
            let mut waiting: Vec<oneshot::Sender<Result<String, String>>> = Vec::new();
            let reason = tokio::select! {
                () = self.hangups.recv() => "SIGHUP",
                Some(Reload { reply }) = asked.recv() => {
                    waiting.push(reply);
                    "POST /-/reload"
                }
                _ = ticks.tick() => {
                    let (args, ca_files) = (self.args.clone(), self.sources.ca_paths());
                    let Ok(read) = blocking(move || Sources::read(&args, &ca_files).without_text()).await else { continue };
                    if read.is_cut_short() {
                        continue;
                    }
                    // A file that is being written is no news until it rests.
                    let rests = newest.as_ref() == Some(&read);
                    let changed = read != self.sources;
                    let reason = self.sources.changed(&read);
                    newest = Some(read).filter(|_| changed);
                    if !(changed && rests) {
                        continue;
                    }
                    reason
                }
                () = self.orders.closed() => return,
            };
            while let Ok(Reload { reply }) = asked.try_recv() {
                waiting.push(reply);
            }
            notify::reloading().await;
            let answer = self.reload(reason).await;
            notify::reloaded().await;
            for reply in waiting {
                // Whoever asked may have gone.
                let _ = reply.send(answer.clone());
            }
            // A storm of signals is answered by one reload in a while.
            tokio::time::sleep(limits::RELOAD_PAUSE).await;
        }
    }

    async fn reload(&mut self, reason: &'static str) -> Result<String, String> {
        let (args, ca_files) = (self.args.clone(), self.sources.ca_paths());
        let (sources, made) = blocking(move || made_anew(&args, &ca_files)).await?;
        // A mistake is told once, not at every look.
        self.sources = sources;
        let made = made.and_then(|made| {
            self.access.replace(&made.config.settings.web)?;
            Ok(made)
        });
        match made {
            Ok(Made { config, desk, mut live, setting, options }) => {
                self.desks.send_replace(desk);
                self.warn_of_restarts(&config.settings);
                if config.parameters.cloud == self.cloud {
                    live.follow_ups = Arc::clone(&self.follow_ups);
                }
                self.follow_ups = Arc::clone(&live.follow_ups);
                self.cloud = config.parameters.cloud;
                for trouble in &setting.machine.troubles {
                    warn!("{trouble}");
                }
                let checks = setting.plan.checks.len();
                let order = Command::Replace {
                    new: Box::new((live, setting, options)),
                    reason: reason.to_owned(),
                };
                let gone = |_| "the daemon is stopping".to_owned();
                self.orders.send(order).await.map_err(gone)?;
                Ok(format!("reloaded: {checks} checks"))
            }
            Err(error) => {
                let _ = self.orders.send(Command::RefuseReload(error.clone())).await;
                Err(error)
            }
        }
    }

    /// Sockets and files that are open stay so until the process is another.
    fn warn_of_restarts(&self, Settings { web, history, .. }: &Settings) {
        if (&web.listen, &web.tls) != (&self.web.listen, &self.web.tls) {
            warn!(
                "web.listen and the settings of TLS need a restart; until then they stay as they are"
            );
        }
        if *history != self.history {
            warn!("the settings of [history] need a restart; until then they stay as they are");
        }
    }
}

/// A plan and all it needs.
pub(super) struct Made {
    pub(super) config: Config,
    pub(super) desk: Arc<dyn Desk>,
    pub(super) live: Live,
    pub(super) setting: Setting,
    pub(super) options: Options,
}

/// Reads everything anew; blocks.
fn made_anew(args: &ConfigArgs, ca_files: &[PathBuf]) -> (Sources, Result<Made, String>) {
    let mut sources = Sources::read(args, ca_files);
    let made = sources.make(args).map_err(|refusal| refusal.message).and_then(|made| {
        // Without files there would be no DNS servers and no trust store: worse than what is in use.
        match made.setting.machine.troubles.iter().find(|t| host::ran_out_of_files(t)) {
            Some(trouble) => Err(format!("{trouble}; raise the limit on open files")),
            None => Ok(made),
        }
    });
    (sources, made)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| format!("failed to read: {error}"))
}
