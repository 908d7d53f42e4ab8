//! When each target is due: a pure state machine over time since the start.
//!
//! Starts are spread over the interval with a seeded jitter, a target never overlaps itself, and a
//! run that could not start in its turn is skipped and counted, so that load cannot pile up.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// A target's position in the plan.
pub type Slot = usize;

/// What the schedule knows of one target.
#[derive(Debug, Clone, Copy)]
struct Turn {
    /// When its regular run is due next.
    regular: Duration,
    /// When the entry in the queue that counts is due; older entries are stale.
    queued: Option<Duration>,
    in_flight: bool,
}

/// How often targets run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// Each once, as soon as possible.
    Once,
    /// Each once per interval, for ever.
    Every(Duration),
}

/// The first round is this many times quicker than the later ones.
const FIRST_ROUND_HURRY: u32 = 10;

/// The schedule of all targets.
#[derive(Debug, Clone)]
pub struct Schedule {
    repeat: Repeat,
    turns: Vec<Turn>,
    queue: BinaryHeap<Reverse<(Duration, Slot)>>,
    in_flight: usize,
    concurrency: usize,
    skipped: u64,
}

/// A run that may start now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// Which target.
    pub slot: Slot,
    /// How late it is.
    pub lateness: Duration,
}

impl Schedule {
    /// A schedule for `targets` targets; `seed` decides the jitter.
    pub fn new(targets: usize, repeat: Repeat, concurrency: usize, seed: u64) -> Self {
        let mut schedule = Self {
            repeat,
            turns: Vec::with_capacity(targets),
            queue: BinaryHeap::with_capacity(targets),
            in_flight: 0,
            concurrency: concurrency.max(1),
            skipped: 0,
        };
        for slot in 0..targets {
            let (first, turn) = schedule.first_turn(slot, targets, seed, Duration::ZERO);
            schedule.turns.push(turn);
            schedule.enqueue(slot, first);
        }
        schedule
    }

    /// Goes on at `now` with other targets: `from` tells for each which old one it is, if any. Old
    /// ones keep their turn, unless the interval changed.
    pub fn replace(
        &mut self,
        from: &[Option<Slot>],
        repeat: Repeat,
        concurrency: usize,
        seed: u64,
        now: Duration,
    ) {
        let same_rhythm = repeat == self.repeat;
        let old = std::mem::take(&mut self.turns);
        self.repeat = repeat;
        self.concurrency = concurrency.max(1);
        self.queue.clear();
        for (slot, before) in from.iter().enumerate() {
            let (first, mut turn) = self.first_turn(slot, from.len(), seed, now);
            let mut due = Some(first);
            if let Some(before) = before.and_then(|slot| old.get(slot)) {
                turn.in_flight = before.in_flight;
                if same_rhythm {
                    turn.regular = before.regular;
                    due = before.queued;
                } else {
                    due = Some(turn.regular);
                }
                due = due.filter(|_| !turn.in_flight);
            }
            self.turns.push(turn);
            if let Some(due) = due {
                self.enqueue(slot, due);
            }
        }
        self.in_flight = self.turns.iter().filter(|turn| turn.in_flight).count();
    }

    /// When a target that was never measured runs first, and its rhythm from then on.
    fn first_turn(&self, slot: Slot, targets: usize, seed: u64, now: Duration) -> (Duration, Turn) {
        let (first, regular) = match self.repeat {
            Repeat::Once => (now, now),
            Repeat::Every(interval) => {
                let regular = offset(slot, targets, interval, seed);
                // The first round is hurried: people look at the page right after the start.
                // Its targets are not due again before half an interval has passed.
                let wait = if regular < interval / 2 { interval } else { Duration::ZERO };
                (now + regular / FIRST_ROUND_HURRY, now + regular + wait)
            }
        };
        (first, Turn { regular, queued: None, in_flight: false })
    }

    /// When something may be due next; absent when nothing is queued or no place is free.
    pub fn next_due(&self) -> Option<Duration> {
        if self.in_flight >= self.concurrency {
            return None;
        }
        self.queue.peek().map(|Reverse((due, _))| *due)
    }

    /// Takes the next run that is due at `now`, if there is a free place for it.
    pub fn start(&mut self, now: Duration) -> Option<Start> {
        while self.in_flight < self.concurrency {
            let Reverse((due, slot)) =
                *self.queue.peek().filter(|Reverse((due, _))| *due <= now)?;
            self.queue.pop();
            let Some(turn) = self.turns.get_mut(slot).filter(|turn| turn.queued == Some(due))
            else {
                continue;
            };
            turn.queued = None;
            turn.in_flight = true;
            self.in_flight += 1;
            return Some(Start { slot, lateness: now.saturating_sub(due) });
        }
        None
    }

    /// Notes that a run ended. `confirm_at` asks for a quick second run before the regular one.
    pub fn finish(&mut self, slot: Slot, now: Duration, confirm_at: Option<Duration>) {
        let Some(turn) = self.turns.get_mut(slot).filter(|turn| turn.in_flight) else { return };
        turn.in_flight = false;
        self.in_flight -= 1;
        let next = match self.repeat {
            Repeat::Once => None,
            Repeat::Every(interval) => {
                if turn.regular <= now {
                    // Runs whose turn passed while this one was going or waiting are skipped: the
                    // first advance is the run that just ended.
                    let missed =
                        now.saturating_sub(turn.regular).as_nanos() / interval.as_nanos().max(1);
                    let missed = u32::try_from(missed).unwrap_or(u32::MAX);
                    self.skipped += u64::from(missed);
                    turn.regular += interval.saturating_mul(missed.saturating_add(1));
                }
                Some(turn.regular)
            }
        };
        let next = match (confirm_at, next) {
            (Some(confirm), Some(regular)) => Some(confirm.min(regular)),
            (confirm, regular) => confirm.or(regular),
        };
        if let Some(due) = next {
            self.enqueue(slot, due);
        }
    }

    /// Runs that are going.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Runs skipped because their target was still busy or waiting.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Whether nothing runs and nothing is queued.
    pub fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.turns.iter().all(|turn| turn.queued.is_none())
    }

    fn enqueue(&mut self, slot: Slot, due: Duration) {
        if let Some(turn) = self.turns.get_mut(slot) {
            turn.queued = Some(due);
            self.queue.push(Reverse((due, slot)));
        }
    }
}

/// Where in the interval a target starts: even steps plus a jitter within one step.
fn offset(slot: Slot, targets: usize, interval: Duration, seed: u64) -> Duration {
    let step = interval.as_nanos() / targets.max(1) as u128;
    let jitter = u128::from(mix(seed ^ slot as u64)) * step / (u128::from(u64::MAX) + 1);
    let nanos = step * slot as u128 + jitter;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// SplitMix64's finalizer: spreads neighboring inputs over all values.
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod laws;

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn once_means_once() {
        let mut schedule = Schedule::new(3, Repeat::Once, 2, 1);
        let first: Vec<Slot> =
            std::iter::from_fn(|| schedule.start(Duration::ZERO)).map(|s| s.slot).collect();
        assert_eq!(first, [0, 1]);
        assert_eq!(schedule.next_due(), None);
        schedule.finish(0, seconds(1), None);
        assert_eq!(schedule.start(seconds(1)), Some(Start { slot: 2, lateness: seconds(1) }));
        schedule.finish(1, seconds(2), None);
        schedule.finish(2, seconds(2), None);
        assert!(schedule.is_idle());
        assert_eq!(schedule.next_due(), None);
    }

    /// A schedule of one target in its regular rhythm, and when it is due next.
    fn after_the_first_run() -> (Schedule, Duration) {
        let mut schedule = Schedule::new(1, Repeat::Every(MINUTE), 1, 7);
        let first = schedule.next_due().unwrap();
        schedule.start(first).unwrap();
        schedule.finish(0, first, None);
        let due = schedule.next_due().unwrap();
        (schedule, due)
    }

    #[test]
    fn the_first_round_is_quick_and_the_second_not_at_once() {
        let mut schedule = Schedule::new(60, Repeat::Every(MINUTE), 60, 42);
        let mut firsts = std::collections::BTreeMap::new();
        while let Some(due) = schedule.next_due().filter(|due| *due < MINUTE / 10) {
            let start = schedule.start(due).unwrap();
            firsts.insert(start.slot, due);
            schedule.finish(start.slot, due, None);
        }
        assert_eq!(firsts.len(), 60);
        for _ in 0..60 {
            let due = schedule.next_due().unwrap();
            let start = schedule.start(due).unwrap();
            let gap = due.abs_diff(firsts[&start.slot]);
            assert!(gap >= MINUTE * 2 / 5 && gap <= MINUTE * 3 / 2, "{gap:?}");
            schedule.finish(start.slot, due, None);
        }
    }

    #[test]
    fn a_slow_run_skips_its_missed_turns() {
        let (mut schedule, due) = after_the_first_run();
        schedule.start(due).unwrap();
        schedule.finish(0, due + seconds(150), None);
        assert_eq!(schedule.skipped(), 2);
        assert_eq!(schedule.next_due(), Some(due + seconds(180)));
    }

    #[test]
    fn a_confirmation_comes_first_and_keeps_the_rhythm() {
        let (mut schedule, due) = after_the_first_run();
        schedule.start(due).unwrap();
        schedule.finish(0, due + seconds(1), Some(due + seconds(2)));
        assert_eq!(schedule.start(due + seconds(2)).unwrap().lateness, Duration::ZERO);
        schedule.finish(0, due + seconds(3), None);
        assert_eq!(schedule.next_due(), Some(due + MINUTE));
        assert_eq!(schedule.skipped(), 0);
    }

    #[test]
    fn known_targets_keep_their_turn_in_a_new_schedule() {
        let (mut schedule, due) = after_the_first_run();
        schedule.replace(
            &[None, Some(0)],
            Repeat::Every(MINUTE),
            1,
            7,
            due.saturating_sub(seconds(2)),
        );
        // The new one comes first, within a tenth of the interval; the old one when it was due.
        let first = schedule.next_due().unwrap();
        assert!(first < due + MINUTE / 10);
        let mut starts = std::collections::BTreeMap::new();
        while starts.len() < 2 {
            let due = schedule.next_due().unwrap();
            let start = schedule.start(due).unwrap();
            starts.insert(start.slot, due);
            schedule.finish(start.slot, due, None);
        }
        assert_eq!(starts[&1], due);
    }

    #[test]
    fn a_run_that_goes_on_is_neither_lost_nor_started_twice() {
        let (mut schedule, due) = after_the_first_run();
        schedule.start(due).unwrap();
        schedule.replace(&[Some(0), None], Repeat::Every(seconds(10)), 2, 7, due);
        assert_eq!(schedule.in_flight(), 1);
        let start = schedule.start(due + MINUTE).unwrap();
        assert_eq!((start.slot, schedule.start(due + MINUTE)), (1, None));
        schedule.finish(0, due + MINUTE, None);
        assert!(schedule.next_due().unwrap() <= due + MINUTE + seconds(10));
    }

    #[test]
    fn starts_are_spread_over_the_interval() {
        let offsets: Vec<Duration> = (0..60).map(|slot| offset(slot, 60, MINUTE, 42)).collect();
        for (slot, due) in offsets.iter().enumerate() {
            assert!(
                *due >= seconds(slot as u64) && *due < seconds(slot as u64 + 1),
                "{slot} {due:?}"
            );
        }
    }
}
