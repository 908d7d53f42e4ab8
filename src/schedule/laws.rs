//! Laws of the schedule over long, arbitrary lives: runs of any length, confirmations, and other
//! targets, another interval and other places in the middle of it.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// What happens next to one life.
#[derive(Debug, Clone)]
enum Step {
    /// Runs that start now take so long.
    Busy { millis: u64, confirm: Option<u64> },
    /// Other targets: which old ones they are, a new interval in seconds, and places.
    Replace { from: Vec<Option<usize>>, interval: Option<u64>, places: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let busy = prop_oneof![4 => 0_u64..3_000, 2 => 0_u64..60_000, 1 => 0_u64..400_000];
    let confirm = proptest::option::weighted(0.3, 0_u64..90_000);
    let from = vec(proptest::option::weighted(0.8, 0_usize..20), 1..20);
    let interval = proptest::option::of(1_u64..120);
    prop_oneof![
        60 => (busy, confirm).prop_map(|(millis, confirm)| Step::Busy { millis, confirm }),
        1 => (from, interval, 1_usize..8)
            .prop_map(|(from, interval, places)| Step::Replace { from, interval, places }),
    ]
}

/// A schedule, the runs that it started, and what is known of them from outside.
struct Life {
    schedule: Schedule,
    interval: Duration,
    places: usize,
    now: Duration,
    /// When each run that is going ends, and how long after that it is to be confirmed.
    running: Vec<(Duration, Slot, Option<u64>)>,
    /// Since when each target could be due.
    could: Vec<Duration>,
    /// Each target's turn when counting began, and what had been skipped by then.
    turns: Vec<Duration>,
    skipped: u64,
    /// Runs since then that ended at or after their turn.
    taken: u64,
    longest: Duration,
    most_targets: usize,
    starts: u64,
}

impl Life {
    fn new(targets: usize, interval: Duration, places: usize, seed: u64) -> Self {
        let schedule = Schedule::new(targets, Repeat::Every(interval), places, seed);
        let turns = schedule.turns.iter().map(|turn| turn.regular).collect();
        Self {
            schedule,
            interval,
            places,
            now: Duration::ZERO,
            running: Vec::new(),
            could: vec![Duration::ZERO; targets],
            turns,
            skipped: 0,
            taken: 0,
            longest: Duration::ZERO,
            most_targets: targets,
            starts: 0,
        }
    }

    /// Starts what is due, then goes on to when something happens.
    fn live(&mut self, busy: Duration, confirm: Option<u64>) -> Result<(), TestCaseError> {
        self.longest = self.longest.max(busy);
        loop {
            let waiting: Vec<Option<Duration>> =
                self.schedule.turns.iter().map(|turn| turn.queued).collect();
            let Some(Start { slot, lateness }) = self.schedule.start(self.now) else { break };
            self.starts += 1;
            prop_assert!(self.running.len() < self.places, "more runs than places");
            prop_assert!(self.running.iter().all(|(_, other, _)| *other != slot), "twice at once");
            let due = waiting[slot].unwrap();
            prop_assert_eq!(due + lateness, self.now, "lateness is the time since it was due");
            prop_assert!(due >= self.could[slot], "due before it could be");
            // Who waits longest is first, so nothing starves: it waits for one run of each other.
            prop_assert!(waiting.iter().flatten().all(|other| *other >= due), "out of turn");
            let others = u32::try_from(self.most_targets).unwrap();
            prop_assert!(lateness <= self.longest * others, "{lateness:?}");
            self.running.push((self.now + busy, slot, confirm));
        }
        prop_assert_eq!(self.running.len(), self.schedule.in_flight());
        let end = self.running.iter().copied().min();
        let due = self.schedule.next_due();
        let most = self.places.min(self.schedule.turns.len());
        prop_assert_eq!(due.is_none(), self.running.len() >= most);
        let next = end.map(|(end, ..)| end).into_iter().chain(due).min().unwrap();
        self.now = next.max(self.now);
        if let Some(ended) = end.filter(|(end, ..)| *end <= self.now) {
            self.running.retain(|run| *run != ended);
            self.end(ended.1, ended.2)?;
        }
        Ok(())
    }

    fn end(&mut self, slot: Slot, confirm: Option<u64>) -> Result<(), TestCaseError> {
        let before = self.schedule.turns[slot].regular;
        let confirm = confirm.map(|millis| self.now + Duration::from_millis(millis));
        self.schedule.finish(slot, self.now, confirm);
        let turn = self.schedule.turns[slot];
        self.taken += u64::from(turn.regular != before);
        prop_assert!(
            turn.regular > self.now && turn.regular <= self.now.max(before) + self.interval
        );
        prop_assert_eq!(turn.queued, confirm.or(Some(turn.regular)).min(Some(turn.regular)));
        self.could[slot] = self.now;
        // Every turn that passed was a run or is counted as skipped, and the rhythm is kept.
        let interval = self.interval.as_nanos();
        let mut passed = 0;
        for (turn, first) in self.schedule.turns.iter().zip(&self.turns) {
            let since = turn.regular.abs_diff(*first).as_nanos();
            prop_assert_eq!(since % interval, 0);
            passed += since / interval;
        }
        let skipped = self.schedule.skipped() - self.skipped;
        prop_assert_eq!(passed, u128::from(skipped + self.taken));
        Ok(())
    }

    fn replace(
        &mut self,
        from: &[Option<usize>],
        interval: Option<u64>,
        places: usize,
    ) -> Result<(), TestCaseError> {
        // No target is two new ones.
        let old = self.schedule.turns.clone();
        let mut from = from.to_vec();
        for at in 0..from.len() {
            let gone = from[at].is_some_and(|slot| slot >= old.len());
            if gone || from[..at].contains(&from[at]) {
                from[at] = None;
            }
        }
        let same = interval.is_none_or(|seconds| self.interval == Duration::from_secs(seconds));
        self.interval = interval.map_or(self.interval, Duration::from_secs);
        self.places = places;
        self.schedule.replace(&from, Repeat::Every(self.interval), places, 5, self.now);
        let at = |slot: Slot| from.iter().position(|before| *before == Some(slot));
        self.running = (self.running.iter())
            .filter_map(|(end, slot, confirm)| Some((*end, at(*slot)?, *confirm)))
            .collect();
        prop_assert_eq!(self.running.len(), self.schedule.in_flight());
        let mut could = Vec::new();
        for (slot, before) in from.iter().enumerate() {
            let runs = self.running.iter().any(|(_, other, _)| *other == slot);
            let queued = self.schedule.turns[slot].queued;
            prop_assert_eq!(queued.is_none(), runs, "lost, or queued while it runs");
            could.push(before.filter(|_| same).map_or(self.now, |before| self.could[before]));
            let Some(due) = queued else { continue };
            match before {
                Some(before) if same => prop_assert_eq!(Some(due), old[*before].queued),
                Some(_) => prop_assert!(due <= self.now + self.interval * 3 / 2),
                None => prop_assert!(due <= self.now + self.interval / FIRST_ROUND_HURRY),
            }
        }
        self.could = could;
        self.most_targets = self.most_targets.max(from.len());
        self.turns = self.schedule.turns.iter().map(|turn| turn.regular).collect();
        (self.skipped, self.taken) = (self.schedule.skipped(), 0);
        Ok(())
    }
}

proptest! {
    /// Never more starts than places, never a target twice at once, nothing lost, nothing starved,
    /// every turn made or counted as skipped, whatever ends whenever and is replaced by whatever.
    #[test]
    fn a_long_life(
        targets in 1_usize..20,
        seconds in 1_u64..120,
        places in 1_usize..8,
        seed: u64,
        steps in vec(step(), 1..600),
    ) {
        let mut life = Life::new(targets, Duration::from_secs(seconds), places, seed);
        for step in steps {
            match step {
                Step::Busy { millis, confirm } => {
                    life.live(Duration::from_millis(millis), confirm)?;
                }
                Step::Replace { from, interval, places } => life.replace(&from, interval, places)?,
            }
        }
        prop_assert!(life.starts > 0 || life.now < life.interval * 2);
    }

    /// With places enough every target starts once in every interval, and in no part of it as long
    /// as the interval divided by their number start more than two: that is as even as jitter allows.
    #[test]
    fn starts_are_spread(targets in 1_usize..60, seconds in 1_u64..300, seed: u64) {
        let interval = Duration::from_secs(seconds);
        let mut schedule = Schedule::new(targets, Repeat::Every(interval), targets, seed);
        let mut starts: Vec<Duration> = Vec::new();
        // After one and a half intervals all have left the hurried first round.
        let (begin, end) = (interval * 3 / 2, interval * 7 / 2);
        while let Some(due) = schedule.next_due().filter(|due| *due < end) {
            let start = schedule.start(due).unwrap();
            prop_assert_eq!(start.lateness, Duration::ZERO);
            schedule.finish(start.slot, due, None);
            if due >= begin {
                starts.push(due);
            }
        }
        prop_assert_eq!(starts.len(), 2 * targets);
        let part = interval / u32::try_from(targets).unwrap();
        for three in starts.windows(3) {
            prop_assert!(three[2].abs_diff(three[0]) >= part, "{:?}", three);
        }
        prop_assert_eq!(schedule.skipped(), 0);
    }

    /// One round is each target once, and once more where that is asked for.
    #[test]
    fn one_round(
        confirms in vec(proptest::option::of(0_u64..5_000), 1..20),
        places in 1_usize..8,
        busy in 0_u64..5_000,
    ) {
        let mut schedule = Schedule::new(confirms.len(), Repeat::Once, places, 3);
        let (mut runs, mut now) = (vec![0_usize; confirms.len()], Duration::ZERO);
        while let Some(due) = schedule.next_due() {
            now = now.max(due);
            let round: Vec<Start> = std::iter::from_fn(|| schedule.start(now)).collect();
            prop_assert!(!round.is_empty() && round.len() <= places);
            now += Duration::from_millis(busy);
            for Start { slot, .. } in round {
                runs[slot] += 1;
                let confirm = confirms[slot].filter(|_| runs[slot] == 1);
                schedule.finish(slot, now, confirm.map(|ms| now + Duration::from_millis(ms)));
            }
        }
        let wanted: Vec<usize> = confirms.iter().map(|c| 1 + usize::from(c.is_some())).collect();
        prop_assert_eq!(runs, wanted);
        prop_assert!(schedule.is_idle() && schedule.skipped() == 0);
    }
}
