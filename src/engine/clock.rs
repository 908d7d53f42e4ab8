//! Notices that somebody set this machine's wall clock.
//!
//! Results carry wall time, and how old they are decides what they are worth. A second clock, which
//! nobody sets and which goes on while the machine is suspended, tells a clock that was set from
//! time that passed.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::limits;

/// Both clocks as they were last read.
#[derive(Debug)]
pub(super) struct Clock {
    wall: Timestamp,
    passed: Duration,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self { wall: Timestamp::now(), passed: passed() }
    }

    /// What the time is, and how far the wall clock was set since the last reading, if it was.
    pub(super) fn read(&mut self) -> (Timestamp, Option<SignedDuration>) {
        let before = passed();
        let wall = Timestamp::now();
        // Whoever was held up between the two readings compares nothing.
        let held_up = passed().saturating_sub(before) > limits::CLOCK_SET / 2;
        (wall, if held_up { None } else { self.compare(wall, before) })
    }

    fn compare(&mut self, wall: Timestamp, passed: Duration) -> Option<SignedDuration> {
        let went = wall.duration_since(self.wall);
        let truly = SignedDuration::try_from(passed.saturating_sub(self.passed)).ok()?;
        // Compared anew at every reading, so that a clock that is only trimmed is never far off.
        *self = Self { wall, passed };
        let set = went.checked_sub(truly)?;
        (set.unsigned_abs() >= limits::CLOCK_SET).then_some(set)
    }
}

/// Time since some moment, with the time this machine was suspended.
#[cfg(target_os = "linux")]
fn passed() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default()
}

/// Time since the first call, as this system counts it.
#[cfg(not(target_os = "linux"))]
fn passed() -> Duration {
    use std::sync::OnceLock;
    use std::time::Instant;
    static FIRST: OnceLock<Instant> = OnceLock::new();
    FIRST.get_or_init(Instant::now).elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wall(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_793_534_400 + seconds).unwrap()
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn only_a_clock_that_was_set_is_told_of_and_once() {
        let mut clock = Clock { wall: wall(0), passed: seconds(100) };
        assert_eq!(clock.compare(wall(1), seconds(101)), None);
        // Ten minutes of suspension pass by both clocks.
        assert_eq!(clock.compare(wall(601), seconds(701)), None);
        let hour = SignedDuration::from_hours(1);
        assert_eq!(clock.compare(wall(4_202), seconds(702)), Some(hour));
        assert_eq!(clock.compare(wall(4_203), seconds(703)), None);
        assert_eq!(clock.compare(wall(604), seconds(704)), Some(-hour));
        assert_eq!(clock.compare(wall(605), seconds(705)), None);
    }

    #[test]
    fn a_clock_that_is_trimmed_was_not_set() {
        let mut clock = Clock { wall: wall(0), passed: Duration::ZERO };
        for step in 1..10_000 {
            // Half a second an hour, as time synchronization does.
            let passed = Duration::from_micros(step * 1_000_500);
            let wall = wall(i64::try_from(step).unwrap());
            assert_eq!(clock.compare(wall, passed), None);
        }
    }

    #[test]
    fn the_clocks_of_this_machine_agree() {
        let mut clock = Clock::new();
        assert_eq!(clock.read().1, None);
    }
}
