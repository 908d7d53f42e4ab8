//! How long this machine let a probe wait for its turn.
//!
//! A starved processor makes every handshake slow. A timer beside the work, which should fire again
//! and again, tells how much of the time was lost that way.

#![expect(clippy::disallowed_methods, reason = "measures this machine's own delay")]

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::limits;

/// Does the work; tells besides how much later than asked the timer fired, all in all.
pub(super) async fn watched<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let mut work = pin!(work);
    let mut stalled = Duration::ZERO;
    loop {
        let due = Instant::now() + limits::TURN;
        let done = tokio::select! {
            done = &mut work => Some(done),
            () = sleep_until(due) => None,
        };
        let late = due.elapsed();
        if late >= limits::TURN_LATE {
            stalled += late;
        }
        if let Some(done) = done {
            return (done, stalled);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waiting_for_others_is_no_stall() {
        let ((), stalled) = watched(sleep(Duration::from_secs(9))).await;
        assert_eq!(stalled, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn being_kept_waiting_is() {
        let busy = async {
            sleep(Duration::from_millis(10)).await;
            // The clock moves on while nothing else has its turn.
            tokio::time::advance(Duration::from_secs(2)).await;
        };
        let ((), stalled) = watched(busy).await;
        assert!(stalled >= Duration::from_millis(1_900), "{stalled:?}");
    }
}
