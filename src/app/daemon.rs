//! The daemon: one engine, one listener, and what keeps them going.

use tokio::sync::{mpsc, watch};

use super::console::Console;
use super::{Refusal, interrupt, load, planned, prepare, runtime, web};
use crate::cli::{Exit, ServeArgs};
use crate::engine::Engine;
use crate::host;
use crate::journal::Past;
use crate::limits;
use crate::schedule::Repeat;
use crate::wire::VERSION;

/// Runs until it is told to stop.
pub(super) fn serve(console: &Console, args: &ServeArgs) -> Result<Exit, Refusal> {
    let config = load(&args.config)?;
    let plan = planned(&config)?;
    let web = config.settings.web.clone();
    let repeat = Repeat::Every(config.settings.interval);
    let (live, setting, options) = prepare(plan, config, host::machine(), repeat)?;
    runtime()?.block_on(async {
        let (first_signal, second_signal) = (interrupt::first(), interrupt::second());
        let server = web::open(web, &args.listen).await?;
        server.announce(setting.plan.checks.len(), setting.interval.unwrap_or_default());
        for trouble in &setting.machine.troubles {
            Console::note(&format!("warning: {trouble}"));
        }
        let mut engine = Engine::new(live, setting, &options, Past::default());
        engine.note_start(VERSION);
        let (_orders, obeyed) = mpsc::channel(limits::ENGINE_COMMANDS);
        let (publish, snapshots) = watch::channel(engine.snapshot());
        let (stop, stopping) = watch::channel(false);
        let serving = server.serve(snapshots.clone(), stopped(stopping.clone()));
        let work = async {
            let (ended, last, ()) =
                tokio::join!(serving, engine.run(&publish, obeyed, stopped(stopping)), async {
                    tokio::select! {
                        () = first_signal => {}
                        () = console.follow(snapshots) => {}
                    }
                    Console::note("stopping");
                    stop.send_replace(true);
                });
            drop(last);
            ended.map_err(|error| Refusal::ours(format!("failed to serve: {error}")))
        };
        tokio::select! {
            done = work => done.map(|()| Exit::Fine),
            () = second_signal => Ok(Exit::Fine),
        }
    })
}

/// Completes when the flag is set, or when nobody can set it any more.
async fn stopped(mut flag: watch::Receiver<bool>) {
    let _ = flag.wait_for(|stop| *stop).await;
}
