//! What the daemon says of itself: a line per change of state, not per probe.
//!
//! For people on a terminal or in a file, as JSON, or with fields into systemd's journal. The core
//! logs nothing: changes come from the snapshot's journal.

#[cfg(target_os = "linux")]
use std::fs::File;
use std::io::{self, IsTerminal};
#[cfg(target_os = "linux")]
use std::os::fd::AsFd as _;
#[cfg(target_os = "linux")]
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;

use tokio::sync::watch;
use tracing::{Level, error, info, warn};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use crate::cli::LogFormat;
use crate::journal::{Event, What};
#[cfg(windows)]
use crate::limits;
use crate::model::Status;
use crate::render::headline::Headline;
use crate::snapshot::Snapshot;

/// Changes the level while the daemon runs.
#[derive(Debug, Clone)]
pub(super) struct Levels(reload::Handle<Targets, Registry>);

impl Levels {
    /// From now on.
    pub(super) fn set(&self, level: Level) -> Result<(), String> {
        self.0.reload(targets(level)).map_err(|error| error.to_string())
    }

    /// Its name.
    pub(super) fn get(&self) -> String {
        let level = self.0.with_current(|targets| {
            targets.iter().find(|(name, _)| *name == OWN).map(|(_, level)| level)
        });
        level.ok().flatten().map_or_else(String::new, |level| level.to_string())
    }
}

/// The program's own lines.
const OWN: &str = env!("CARGO_PKG_NAME");

/// Libraries only speak of trouble, unless everything is wanted.
fn targets(level: Level) -> Targets {
    let others = if level == Level::TRACE { Level::TRACE } else { Level::ERROR };
    Targets::new().with_default(others).with_target(OWN, level)
}

/// Where lines go that do not go to the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Standard error.
    Stderr,
    /// Files of a day each in a folder.
    #[cfg(windows)]
    Folder(std::path::PathBuf),
}

/// Starts logging; the first call of a process counts.
pub(super) fn start(format: LogFormat, level: Level, place: &Place) -> Levels {
    let (filter, handle) = reload::Layer::new(targets(level));
    let layer = match format {
        LogFormat::Auto if journal_is_there() => journal(),
        LogFormat::Journald => journal(),
        LogFormat::Json => Some(json(place)),
        LogFormat::Auto | LogFormat::Human => None,
    };
    let layer = layer.unwrap_or_else(|| human(place)).with_filter(filter);
    // A second subscriber is refused, and the first one goes on.
    let _ = tracing_subscriber::registry().with(layer).try_init();
    Levels(handle)
}

type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

fn human(place: &Place) -> BoxedLayer {
    let terminal = *place == Place::Stderr && io::stderr().is_terminal();
    let color = terminal && super::console::colors_are_welcome();
    fmt::layer().with_writer(writer(place)).with_ansi(color).with_target(false).boxed()
}

fn json(place: &Place) -> BoxedLayer {
    fmt::layer().json().flatten_event(true).with_target(false).with_writer(writer(place)).boxed()
}

fn writer(place: &Place) -> BoxMakeWriter {
    match place {
        Place::Stderr => BoxMakeWriter::new(io::stderr),
        #[cfg(windows)]
        Place::Folder(folder) => {
            let files = tracing_appender::rolling::Builder::new()
                .rotation(tracing_appender::rolling::Rotation::DAILY)
                .filename_prefix(OWN)
                .filename_suffix("log")
                .max_log_files(limits::LOG_FILES)
                .build(folder);
            // A folder that cannot be written to must not stop the probing.
            files.map_or_else(|_| BoxMakeWriter::new(io::stderr), BoxMakeWriter::new)
        }
    }
}

#[cfg(target_os = "linux")]
fn journal() -> Option<BoxedLayer> {
    let layer = tracing_journald::layer().ok()?;
    Some(layer.with_field_prefix(Some("VNETPROBE".to_owned())).boxed())
}

#[cfg(not(target_os = "linux"))]
fn journal() -> Option<BoxedLayer> {
    None
}

/// Whether standard error is what systemd says it connected to the journal (systemd.exec(5)). The
/// variable alone is no sign: whatever a service starts inherits it.
#[cfg(target_os = "linux")]
#[expect(clippy::disallowed_methods, reason = "systemd tells through the environment")]
fn journal_is_there() -> bool {
    let Some(told) = std::env::var_os("JOURNAL_STREAM") else { return false };
    let stream = io::stderr().as_fd().try_clone_to_owned().map(File::from);
    let stream = stream.and_then(|stream| stream.metadata());
    stream.is_ok_and(|it| told == *format!("{}:{}", it.dev(), it.ino()))
}

#[cfg(not(target_os = "linux"))]
fn journal_is_there() -> bool {
    false
}

// --------------------------------------------------------------------------------------- changes

/// Writes a line for each event and for each new answer as a whole; ends when the snapshots do.
pub(super) async fn follow(mut snapshots: watch::Receiver<Arc<Snapshot>>) {
    let mut seen = snapshots.borrow().journal.since(0).next().map_or(0, |event| event.number - 1);
    let mut told = String::new();
    loop {
        let snapshot = Arc::clone(&snapshots.borrow_and_update());
        for event in snapshot.journal.since(seen) {
            let missed = event.number.saturating_sub(seen + 1);
            if missed > 0 {
                warn!(missed, "{missed} events came too fast to be logged");
            }
            tell(event);
            seen = event.number;
        }
        let line = Headline::of(&snapshot).text;
        if snapshot.is_complete() && line != told {
            info!("{line}");
            told = line;
        }
        if snapshots.changed().await.is_err() {
            return;
        }
    }
}

fn tell(event: &Event) {
    match &event.what {
        What::Started { version, checks } => info!(version, checks, "vnetprobe {version} started"),
        What::Check { check, from, to, summary, .. } => {
            let (was, status) = (from.status.as_str(), to.status.as_str());
            let cause = to.cause.map_or("", |cause| cause.as_str());
            if to.status == Status::Fail {
                warn!(check, was, status, cause, "{summary}");
            } else {
                info!(check, was, status, cause, "{summary}");
            }
        }
        What::Addresses { check, from, to } => info!(check, ?from, ?to, "addresses changed"),
        What::Issuer { check, from, to } => info!(check, from, to, "certificate issuer is new"),
        What::Latency { check, from, to } => {
            let (from, to) = (from.seconds(), to.seconds());
            info!(check, from, to, "usual time changed by a step");
        }
        What::Opened { finding, cause, title, .. } => {
            warn!(finding, cause = cause.as_str(), "found: {title}");
        }
        What::Closed { finding, cause } => {
            info!(finding, cause = cause.as_str(), "no longer found");
        }
        What::Reloaded { reason, added, removed } => {
            info!(reason, added, removed, "configuration reloaded");
        }
        What::ClockSet { from } => {
            warn!("the clock of this machine was set from {from:.0} to {:.0}", event.at);
        }
        What::ReloadFailed { reason } => {
            error!("configuration not reloaded, the old one stays in use: {reason}");
        }
    }
}
