//! What the service manager is told (sd_notify): ready, how it stands, alive, stopping.
//!
//! The watchdog is fed by new snapshots alone: the engine publishes at least every second, so a
//! loop that hangs starves it although the process still runs.
#![expect(clippy::disallowed_methods, reason = "the environment says whether anybody listens")]

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tracing::warn;

use crate::limits;
use crate::render::headline::Headline;
use crate::snapshot::Snapshot;

/// Tells that the daemon answers, and from then on how it stands, until the snapshots end.
/// Without a service manager it only waits.
pub(super) async fn report(snapshots: watch::Receiver<Arc<Snapshot>>) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return std::future::pending().await;
    }
    let pause = pause(watchdog());
    let mut complained = false;
    follow(snapshots, pause, status, async |message| {
        // It blocks while the manager does not read, and must not hold the probes up.
        let sent = tokio::task::spawn_blocking(move || send(&message)).await;
        if let Ok(Err(error)) = sent
            && !complained
        {
            // No reason to stop probing, and worth one line only.
            warn!("failed to tell the service manager: {error}");
            complained = true;
        }
    })
    .await;
}

/// Tells that the daemon is about to end.
pub(super) fn stopping() {
    let _ = send("STOPPING=1\nSTATUS=Stopping.");
}

/// Tells that a new configuration is being read.
pub(super) async fn reloading() {
    let _ = tokio::task::spawn_blocking(|| send(&format!("RELOADING=1{}", since()))).await;
}

/// Tells that the new configuration is in force, or the old one still is.
pub(super) async fn reloaded() {
    let _ = tokio::task::spawn_blocking(|| send("READY=1")).await;
}

/// How long to wait after each message: four within the time the watchdog allows.
fn pause(watchdog: Option<Duration>) -> Duration {
    watchdog.map_or(limits::NOTIFY_EVERY, |allowed| limits::NOTIFY_EVERY.min(allowed / 4))
}

async fn follow<T>(
    mut snapshots: watch::Receiver<Arc<T>>,
    pause: Duration,
    status: impl Fn(&T) -> String,
    mut send: impl AsyncFnMut(String),
) {
    let mut told = status(&snapshots.borrow_and_update());
    send(format!("READY=1\n{told}")).await;
    while snapshots.changed().await.is_ok() {
        let status = status(&snapshots.borrow_and_update());
        if status == told {
            send("WATCHDOG=1".to_owned()).await;
        } else {
            send(format!("WATCHDOG=1\n{status}")).await;
            told = status;
        }
        sleep(pause).await;
    }
}

/// The line that `systemctl status` shows.
fn status(snapshot: &Snapshot) -> String {
    format!("STATUS={}", Headline::of(snapshot).text)
}

#[cfg(unix)]
fn send(message: &str) -> io::Result<()> {
    sd_notify::notify(&[sd_notify::NotifyState::Custom(message)])
}

/// After this long without a message the service manager restarts the daemon.
#[cfg(unix)]
fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

/// The line that tells when a reload began.
#[cfg(unix)]
fn since() -> String {
    sd_notify::NotifyState::monotonic_usec_now().map(|now| format!("\n{now}")).unwrap_or_default()
}

#[cfg(not(unix))]
fn send(_: &str) -> io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn watchdog() -> Option<Duration> {
    None
}

#[cfg(not(unix))]
fn since() -> String {
    String::new()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn four_messages_fit_into_the_watchdog_s_time() {
        assert_eq!(pause(None), limits::NOTIFY_EVERY);
        assert_eq!(pause(Some(Duration::from_secs(2))), Duration::from_millis(500));
        assert_eq!(pause(Some(Duration::from_hours(1))), limits::NOTIFY_EVERY);
    }

    #[tokio::test(start_paused = true)]
    async fn only_new_snapshots_feed_the_watchdog() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let (publish, snapshots) = watch::channel(Arc::new("fine"));
        let telling = Arc::clone(&told);
        let status = |text: &&str| format!("STATUS={text}");
        let following =
            tokio::spawn(follow(snapshots, Duration::from_secs(1), status, async move |message| {
                telling.lock().unwrap().push(message);
            }));
        for (snapshot, message) in [
            (None, "READY=1\nSTATUS=fine"),
            (Some("fine"), "WATCHDOG=1"),
            (Some("bad"), "WATCHDOG=1\nSTATUS=bad"),
        ] {
            if let Some(snapshot) = snapshot {
                publish.send_replace(Arc::new(snapshot));
            }
            // However long it lasts: one snapshot, one message.
            sleep(Duration::from_hours(1)).await;
            assert_eq!(*told.lock().unwrap(), [message]);
            told.lock().unwrap().clear();
        }
        drop(publish);
        following.await.unwrap();
    }
}
