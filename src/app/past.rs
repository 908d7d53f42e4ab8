//! History: the file a daemon keeps, and the command that reads it.
#![expect(clippy::disallowed_methods, reason = "the assembly reads wall time")]

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use super::console::Console;
use super::{Refusal, load};
use crate::archive::{self, Place, Reader, Writing};
use crate::cli::{Exit, HistoryArgs, PlanFormat};
use crate::engine::{Command, Prober};
use crate::host;
use crate::inquiry::{Inquiry, Typed};
use crate::journal::Past;
use crate::plan::Plan;
use crate::render::events;
use crate::server::history::{Shelf, Shelved};
use crate::settings::HistorySettings;
use crate::snapshot::Snapshot;
use crate::wire::{self, Kept};

/// The file's name in a state directory.
const FILE: &str = "history.sqlite";

/// `vnetprobe history`: what is in the file, while a daemon writes it or not.
pub(super) fn show(console: &Console, args: &HistoryArgs) -> Result<Exit, Refusal> {
    let typed = Typed {
        from: args.from.as_deref(),
        to: args.to.as_deref(),
        check: args.check.as_deref(),
        limit: args.limit.as_deref(),
    };
    let inquiry = Inquiry::parse(typed, Timestamp::now())
        .map_err(|why| Refusal::usage(format!("--{why}")))?;
    let path = match &args.file {
        Some(path) => path.clone(),
        None => load(&args.config)?.settings.history.path.or_else(|| host::state_file(FILE)).ok_or_else(|| {
            Refusal::usage("there is no history file: history.path is not set and no daemon of this machine's package keeps one; name it with --file")
        })?,
    };
    let answer = archive::read(&path, &inquiry).map_err(|why| {
        Refusal::ours(format!("failed to read the history file {}: {why}", path.display()))
    })?;
    Console::print(&match args.format {
        PlanFormat::Table => events::table(&answer.found, console.layout()),
        PlanFormat::Json => wire::history_json(&answer.found, Kept::File),
    });
    Ok(Exit::Fine)
}

/// The history of a daemon.
#[derive(Debug)]
pub(super) struct Keeping(Option<Writing>);

impl Keeping {
    /// Opens the configured file, or none, and gives what is known from before.
    pub(super) fn open(settings: HistorySettings, plan: &Plan) -> (Self, Past) {
        let HistorySettings { path, retention, max_bytes } = settings;
        let path = path.or_else(|| host::state_directory().map(|folder| folder.join(FILE)));
        let Some(path) = path else { return (Self(None), Past::default()) };
        let now = Timestamp::now();
        let wanted: BTreeSet<&str> = plan.checks.iter().map(|check| check.id.as_str()).collect();
        let run = format!("{now} {}", std::process::id());
        let place = Place { path, retention, max_bytes };
        let (writing, past) = archive::open(place, run, &wanted, now);
        (Self(Some(writing)), past)
    }

    /// Where the server reads past events.
    pub(super) fn shelf(&self) -> Option<Arc<dyn Shelf>> {
        let writing = self.0.as_ref()?;
        Some(Arc::new(File(writing.reader())))
    }

    /// Runs the engine to its end and keeps what it publishes meanwhile, to the last snapshot.
    pub(super) async fn beside<P: Prober>(
        self,
        running: impl Future<Output = Arc<Snapshot>> + Send + 'static,
        snapshots: watch::Receiver<Arc<Snapshot>>,
        orders: mpsc::Sender<Command<P>>,
    ) {
        // A task of its own: each result wakes it, and nobody else is looked at then.
        let mut running = tokio::spawn(running);
        let last = tokio::select! {
            last = &mut running => last,
            never = self.follow(snapshots, orders) => match never {},
        };
        let last = last.unwrap_or_else(|broken| std::panic::resume_unwind(broken.into_panic()));
        if let Some(writing) = self.0 {
            writing.finish(last).await;
        }
    }

    /// Keeps what the snapshots tell, for ever, and tells the engine how that goes.
    async fn follow<P: Prober>(
        &self,
        snapshots: watch::Receiver<Arc<Snapshot>>,
        orders: mpsc::Sender<Command<P>>,
    ) -> std::convert::Infallible {
        if let Some(writing) = &self.0 {
            let mut told = None;
            writing
                .follow(snapshots, |archive| {
                    let trouble = archive.trouble();
                    if trouble != told {
                        if let Some(trouble) = &trouble {
                            warn!("{trouble}");
                        } else {
                            info!("the history file is in use again");
                        }
                        told = trouble;
                    }
                    orders.try_send(Command::Archive(archive)).is_ok()
                })
                .await;
        }
        std::future::pending().await
    }
}

/// A history file as the server reads it.
#[derive(Debug)]
struct File(Reader);

impl Shelf for File {
    fn read(&self, inquiry: Inquiry) -> BoxFuture<'static, Result<Shelved, String>> {
        let reader = self.0.clone();
        Box::pin(async move {
            let archive::Answer { found, last, offset } = reader.read(&inquiry).await?;
            Ok(Shelved { found, last, offset })
        })
    }
}
