//! How long this machine let probes wait for their turn.
//!
//! A starved processor makes every handshake slow. A timer beside the work, which should fire again
//! and again, tells how much of the time was lost that way. All probes share one: a timer for each
//! would wake the machine a thousand times a second for a few hundred connections that are only watched.

#![expect(clippy::disallowed_methods, reason = "measures this machine's own delay")]

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::limits;

/// One timer for all probes that run in one runtime; clones share it. It stands still while none does.
#[derive(Debug, Clone, Default)]
pub struct Turns(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Probes that run.
    running: usize,
    /// When the timer should fire next; nothing while it stands still.
    due: Option<Instant>,
    /// How much later than asked it fired, all in all.
    lost: Duration,
}

impl State {
    /// All that was lost until now: what is noted, and what the timer is late for at this moment.
    fn lost_until(&self, now: Instant) -> Duration {
        let late = self.due.map_or(Duration::ZERO, |due| now.saturating_duration_since(due));
        self.lost + if late >= limits::TURN_LATE { late } else { Duration::ZERO }
    }
}

/// A probe that runs, also one that is given up half-way.
struct Running<'a>(&'a Turns);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.state().running -= 1;
    }
}

impl Turns {
    /// Does the work; tells besides how much later than asked the timer fired meanwhile, all in all.
    pub(super) async fn watched<T>(&self, work: impl Future<Output = T>) -> (T, Duration) {
        let before = self.enter(Instant::now());
        let running = Running(self);
        let done = work.await;
        drop(running);
        (done, self.state().lost_until(Instant::now()).saturating_sub(before))
    }

    /// Notes one more probe and starts the timer if it stands still; what had been lost before.
    fn enter(&self, now: Instant) -> Duration {
        let mut state = self.state();
        state.running += 1;
        if state.due.is_none() {
            state.due = Some(now + limits::TURN);
            tokio::spawn(self.clone().tick(now + limits::TURN));
        }
        state.lost_until(now)
    }

    /// Fires again and again until no probe runs.
    async fn tick(self, first: Instant) {
        let mut due = first;
        loop {
            sleep_until(due).await;
            let now = Instant::now();
            let mut state = self.state();
            state.lost = state.lost_until(now);
            if state.running == 0 {
                state.due = None;
                return;
            }
            due = now + limits::TURN;
            state.due = Some(due);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waiting_for_others_is_no_stall() {
        let ((), stalled) = Turns::default().watched(sleep(Duration::from_secs(9))).await;
        assert_eq!(stalled, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn being_kept_waiting_is() {
        let busy = async {
            sleep(Duration::from_millis(10)).await;
            // The clock moves on while nothing else has its turn.
            advance(Duration::from_secs(2)).await;
        };
        let ((), stalled) = Turns::default().watched(busy).await;
        assert!(stalled >= Duration::from_millis(1_900), "{stalled:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn every_probe_that_ran_meanwhile_was_kept_waiting_and_no_other() {
        let turns = Turns::default();
        let busy = async {
            sleep(Duration::from_millis(30)).await;
            advance(Duration::from_secs(2)).await;
            sleep(Duration::from_millis(100)).await;
        };
        let beside = turns.watched(sleep(Duration::from_secs(5)));
        let (((), stalled), ((), besides)) = tokio::join!(turns.watched(busy), beside);
        assert!(stalled >= Duration::from_millis(1_900), "{stalled:?}");
        assert_eq!(stalled, besides);
        let ((), later) = turns.watched(sleep(Duration::from_secs(5))).await;
        assert_eq!(later, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn the_timer_stands_still_while_nothing_runs() {
        let turns = Turns::default();
        let given_up = turns.watched(sleep(Duration::from_mins(1)));
        let _ = tokio::time::timeout(Duration::from_millis(50), given_up).await;
        sleep(limits::TURN * 2).await;
        let state = turns.state();
        assert_eq!((state.running, state.due), (0, None));
    }
}
