//! SIGINT and SIGTERM, on Windows Ctrl-C, Ctrl-Break, a closed console and the service control
//! manager: the first asks to stop, the second does not wait.
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

#[cfg(windows)]
fn nth(count: u32) -> impl Future<Output = ()> {
    use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close};
    let listeners = (ctrl_c(), ctrl_break(), ctrl_close());
    let mut asked = ASKED.subscribe();
    async move {
        let (Ok(mut interrupt), Ok(mut terminate), Ok(mut close)) = listeners else {
            return std::future::pending().await;
        };
        for _ in 0..count {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = close.recv() => {}
                _ = asked.changed() => {}
            }
        }
    }
}

/// How often the service control manager said stop. It says so to the process, as with signals.
#[cfg(windows)]
static ASKED: std::sync::LazyLock<tokio::sync::watch::Sender<u32>> =
    std::sync::LazyLock::new(|| tokio::sync::watch::channel(0).0);

/// Does what a signal does.
#[cfg(windows)]
pub(super) fn ask() {
    ASKED.send_modify(|times| *times += 1);
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
