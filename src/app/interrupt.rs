//! SIGINT and SIGTERM: the first asks to stop, the second does not wait.

/// Completes at the first signal.
pub(super) async fn first() {
    nth(1).await;
}

/// Completes at the second signal.
pub(super) async fn second() {
    nth(2).await;
}

#[cfg(unix)]
async fn nth(count: u32) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
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

#[cfg(not(unix))]
async fn nth(count: u32) {
    for _ in 0..count {
        if tokio::signal::ctrl_c().await.is_err() {
            return std::future::pending().await;
        }
    }
}
