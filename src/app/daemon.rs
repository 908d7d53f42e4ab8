//! The daemon: one engine, one server, and what keeps them going.

use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tracing::{info, warn};

use super::log::{self, Levels, Place};
use super::reload::{Made, Reloader, Sources};
use super::{Refusal, interrupt, notify, past, runtime, web};
use crate::cli::{self, Exit, ServeArgs};
use crate::engine::Engine;
use crate::limits;
use crate::server::control::Controls;
use crate::wire::VERSION;

/// Runs until it is told to stop; calls `ready` when it can be asked.
pub(super) fn serve(args: &ServeArgs, place: &Place, ready: &dyn Fn()) -> Result<Exit, Refusal> {
    let mut sources = Sources::read(&args.config, &[]);
    let Made { config, desk, live, setting, options } = sources.make(&args.config)?;
    let levels = log::start(args.log_format, args.log_level, place);
    // Readers have a thread of their own: however many there are, probes start in time.
    let readers = readers()?;
    let (keeping, past) = past::Keeping::open(config.settings.history.clone(), &setting.plan);
    let runtime = runtime()?;
    let done = runtime.block_on(async {
        let (first_signal, second_signal) = (interrupt::first(), interrupt::second());
        let opening = web::open(config.settings.web.clone(), args.listen.clone());
        let server = joined(readers.spawn(opening)).await??;
        let (orders, obeyed) = mpsc::channel(limits::ENGINE_COMMANDS);
        let (ask, asked) = mpsc::channel(limits::RELOADS);
        let (desks, desk) = watch::channel(desk);
        // Listens for SIGHUP before anything is said: until then the signal ends the process.
        let reloads = Reloader::new(
            &args.config,
            sources,
            &config,
            &live,
            orders.clone(),
            Arc::clone(&server.access),
            desks,
        )
        .run(asked);
        server.announce(setting.plan.checks.len(), setting.interval.unwrap_or_default());
        ready();
        for trouble in &setting.machine.troubles {
            warn!("{trouble}");
        }
        let mut engine = Engine::new(live, setting, &options, past);
        engine.note_start(VERSION);
        let (publish, snapshots) = watch::channel(engine.snapshot());
        let (stop, stopping) = watch::channel(false);
        let controls = controls(ask, levels);
        let serving = server.serve(
            snapshots.clone(),
            controls,
            desk,
            keeping.shelf(),
            stopped(stopping.clone()),
        );
        let serving = joined(readers.spawn(serving));
        // Published to until the server has ended, too.
        let publishing = publish.clone();
        let running = async move { engine.run(&publishing, obeyed, stopped(stopping)).await };
        let running = keeping.beside(running, publish.subscribe(), orders);
        let work = async {
            let (ended, (), (), ()) = tokio::join!(serving, running, reloads, async {
                tokio::select! {
                    () = first_signal => {}
                    () = log::follow(snapshots.clone()) => {}
                    () = notify::report(snapshots) => {}
                }
                notify::stopping();
                info!("stopping");
                stop.send_replace(true);
            });
            ended?.map_err(|error| Refusal::ours(format!("failed to serve: {error}")))
        };
        tokio::select! {
            done = work => done.map(|()| Exit::Fine),
            () = second_signal => Ok(Exit::Fine),
        }
    });
    readers.shutdown_background();
    // A disk that hangs would be waited for otherwise.
    runtime.shutdown_background();
    done
}

fn readers() -> Result<Runtime, Refusal> {
    let builder = &mut Builder::new_multi_thread();
    builder
        .worker_threads(1)
        .max_blocking_threads(limits::BLOCKING_THREADS)
        .thread_name("readers")
        .enable_all()
        .build()
        .map_err(|error| Refusal::ours(format!("failed to start the server's thread: {error}")))
}

async fn joined<T>(task: JoinHandle<T>) -> Result<T, Refusal> {
    task.await.map_err(|error| Refusal::ours(format!("the server broke down: {error}")))
}

fn controls(reload: mpsc::Sender<crate::server::control::Reload>, levels: Levels) -> Controls {
    let setting = levels.clone();
    Controls {
        reload,
        log_level: Arc::new(move || levels.get()),
        set_log_level: Arc::new(move |text| {
            let level = cli::log_level(text)?;
            info!("log level is now {text}");
            setting.set(level)
        }),
    }
}

/// Completes when the flag is set, or when nobody can set it any more.
async fn stopped(mut flag: watch::Receiver<bool>) {
    let _ = flag.wait_for(|stop| *stop).await;
}
