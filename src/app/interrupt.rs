//! SIGINT and SIGTERM: the first asks to stop, the second does not wait.
//!
//! Listening begins with the call, not with the first poll: a signal that comes right after the
//! program said that it runs must not end it in the middle.

/// Completes at the first signal from now on.
pub(super) fn first() -> impl Future<Output = ()> {
    nth(1)
}

/// Completes at the second signal from now on.
pub(super) fn second() -> impl Future<Output = ()> {
    nth(2)
}

#[cfg(unix)]
fn nth(count: u32) -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let listeners = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    async move {
        let (Ok(mut interrupt), Ok(mut terminate)) = listeners else {
            // Without handlers the signals keep their default: the process ends at once.
            return std::future::pending().await;
        };
        for _ in 0..count {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
    }
}

#[cfg(not(unix))]
async fn nth(count: u32) {
    for _ in 0..count {
        if tokio::signal::ctrl_c().await.is_err() {
            return std::future::pending().await;
        }
    }
}

/// SIGHUPs from now on; none where there is no such signal.
#[derive(Debug)]
pub(super) struct Hangups(#[cfg(unix)] Option<tokio::signal::unix::Signal>);

/// Listens for SIGHUP.
pub(super) fn hangups() -> Hangups {
    Hangups(
        #[cfg(unix)]
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok(),
    )
}

impl Hangups {
    /// Completes at the next one.
    pub(super) async fn recv(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.0
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}
