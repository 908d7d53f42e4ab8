//! The last measurements of one check, as small as they can be: they are most of what a daemon with
//! many checks keeps.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::State;
use crate::cause::Cause;
use crate::limits;
use crate::model::{Elapsed, Status};

/// One measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Milliseconds since 1970.
    at: i64,
    took: Took,
    status: Status,
    cause: Option<Cause>,
}

impl Sample {
    /// A measurement that ended at `at`; `took` is the sum of its phases.
    pub fn new(at: Timestamp, state: State, took: Option<Elapsed>) -> Self {
        let State { status, cause } = state;
        Self { at: at.as_millisecond(), took: Took::new(took), status, cause }
    }

    /// When the measurement ended, to the millisecond.
    pub fn at(self) -> Timestamp {
        Timestamp::from_millisecond(self.at).unwrap_or_default()
    }

    /// What this one measurement said, confirmed or not.
    pub fn state(self) -> State {
        State { status: self.status, cause: self.cause }
    }

    /// The sum of its phases, to the microsecond below a quarter of a second, above to a hundred
    /// thousandth of itself; absent when none was reached.
    pub fn took(self) -> Option<Elapsed> {
        self.took.get()
    }
}

/// Microseconds in 22 bits: 18 of the number, and 4 that tell how far it is shifted to the left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Took(u32);

impl Took {
    const DIGITS: u32 = 18;
    /// Nothing was timed. No number is shifted by fifteen: a [`u32`] needs fourteen at most.
    const NONE: Self = Self((1 << 22) - 1);

    fn new(took: Option<Elapsed>) -> Self {
        let Some(took) = took else { return Self::NONE };
        let micros = u32::try_from(took.0.as_micros()).unwrap_or(u32::MAX);
        let shift = (u32::BITS - micros.leading_zeros()).saturating_sub(Self::DIGITS);
        Self(shift << Self::DIGITS | micros >> shift)
    }

    fn get(self) -> Option<Elapsed> {
        let digits = self.0 & ((1 << Self::DIGITS) - 1);
        let micros = u64::from(digits) << (self.0 >> Self::DIGITS);
        (self != Self::NONE).then(|| Elapsed(Duration::from_micros(micros)))
    }
}

/// A sample in eight bytes: a daemon with 10,000 checks keeps 600,000. From the lowest bit: 32 for the
/// milliseconds since the one before it, 8 for its cause, 2 for its status, 22 for its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Packed(u64);

const _: () = assert!(Cause::ALL.len() < 256 && Status::ALL.len() <= 4, "they fit their bits");

impl Packed {
    fn new(sample: Sample, gap: u32) -> Self {
        let cause = sample.cause.map_or(0, |cause| cause as u64 + 1);
        let status = sample.status as u64;
        Self(u64::from(gap) | cause << 32 | status << 40 | u64::from(sample.took.0) << 42)
    }

    fn gap(self) -> i64 {
        i64::from(u32::try_from(self.0 & u64::from(u32::MAX)).unwrap_or_default())
    }

    fn sample(self, at: i64) -> Sample {
        let [.., low, high, _, _] = self.0.to_le_bytes();
        let cause =
            usize::from(low).checked_sub(1).and_then(|cause| Cause::ALL.get(cause).copied());
        let status = Status::ALL.get(usize::from(high & 3)).copied().unwrap_or(Status::Unknown);
        let took = Took(u32::try_from(self.0 >> 42).unwrap_or_default());
        Sample { at, took, status, cause }
    }
}

/// The last [`limits::STRIP_SAMPLES`] measurements of one check. After 49 days without one it begins
/// anew.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Strip {
    /// When the newest ended, in milliseconds since 1970.
    newest: i64,
    /// The oldest first.
    packed: VecDeque<Packed>,
}

impl Strip {
    /// Adds the newest measurement.
    pub fn push(&mut self, sample: Sample) {
        let gap = sample.at.saturating_sub(self.newest).max(0);
        let gap = u32::try_from(gap).unwrap_or_else(|_| {
            self.packed.clear();
            0
        });
        if self.packed.len() >= limits::STRIP_SAMPLES {
            self.packed.pop_front();
        }
        self.packed.push_back(Packed::new(sample, gap));
        self.newest = sample.at;
    }

    /// Moves all of them along with a clock that was set.
    pub fn move_times(&mut self, by: SignedDuration) {
        let by = i64::try_from(by.as_millis()).unwrap_or_default();
        self.newest = self.newest.saturating_add(by);
    }

    /// The newest first.
    pub fn newest_first(&self) -> impl ExactSizeIterator<Item = Sample> {
        let mut at = self.newest;
        self.packed.iter().rev().map(move |packed| {
            let sample = packed.sample(at);
            at = at.saturating_sub(packed.gap());
            sample
        })
    }

    /// The oldest first.
    pub fn samples(&self) -> Vec<Sample> {
        let mut samples: Vec<Sample> = self.newest_first().collect();
        samples.reverse();
        samples
    }

    /// The middle of the last `count` times of passing measurements; absent when there are fewer.
    pub fn usual_time(&self, count: usize) -> Option<Elapsed> {
        let good = self.newest_first().filter(|s| matches!(s.status, Status::Pass | Status::Warn));
        let mut times: Vec<Elapsed> = good.filter_map(Sample::took).take(count).collect();
        if times.len() < count {
            return None;
        }
        times.sort_unstable();
        times.get(count / 2).copied()
    }
}

impl FromIterator<Sample> for Strip {
    fn from_iter<T: IntoIterator<Item = Sample>>(samples: T) -> Self {
        let mut strip = Self::default();
        samples.into_iter().for_each(|sample| strip.push(sample));
        strip
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_793_534_400 + second).unwrap()
    }

    fn pass(ms: u64) -> Sample {
        let state = State { status: Status::Pass, cause: None };
        Sample::new(at(0), state, Some(Elapsed(Duration::from_millis(ms))))
    }

    #[test]
    fn a_sample_is_small_and_keeps_what_it_was_told() {
        let state = State { status: Status::Fail, cause: Some(Cause::TcpTimeout) };
        let sample = Sample::new(at(7), state, None);
        assert_eq!((sample.at(), sample.state(), sample.took()), (at(7), state, None));
        assert_eq!(pass(3).took(), Some(Elapsed(Duration::from_millis(3))));
    }

    #[test]
    fn a_strip_forgets_the_oldest() {
        let strip: Strip = (0..limits::STRIP_SAMPLES as u64 + 5).map(pass).collect();
        assert_eq!(strip.samples().len(), limits::STRIP_SAMPLES);
        assert_eq!(strip.samples().first(), Some(&pass(5)));
    }

    #[test]
    fn after_months_a_strip_begins_anew() {
        let now = |second| Sample { at: at(second).as_millisecond(), ..pass(1) };
        let month = 30 * 24 * 3_600;
        let strip: Strip = [now(0), now(month), now(3 * month)].into_iter().collect();
        assert_eq!(strip.samples(), [now(3 * month)]);
        // A clock that goes back makes older ones no younger than the newest.
        let strip: Strip = [now(9), now(0)].into_iter().collect();
        assert_eq!(strip.samples(), [now(0), now(0)]);
    }

    proptest! {
        #[test]
        fn a_strip_gives_back_what_it_was_told(
            told in prop::collection::vec(sample(), 0..=limits::STRIP_SAMPLES),
            moved in -1_000_000_i64..1_000_000,
        ) {
            let mut now = 0;
            let told: Vec<Sample> = told
                .into_iter()
                .map(|(gap, sample)| {
                    now += i64::from(gap);
                    Sample { at: now, ..sample }
                })
                .collect();
            let mut strip: Strip = told.iter().copied().collect();
            prop_assert_eq!(&strip.samples(), &told);
            strip.move_times(SignedDuration::from_millis(moved));
            let moved = told.iter().map(|sample| Sample { at: sample.at + moved, ..*sample });
            prop_assert_eq!(strip.samples(), moved.collect::<Vec<Sample>>());
        }

        #[test]
        fn a_time_is_kept_to_a_hundred_thousandth(micros in 0..u32::MAX) {
            let kept = Took::new(Some(Elapsed(Duration::from_micros(micros.into())))).get();
            let kept = u32::try_from(kept.unwrap().0.as_micros()).unwrap();
            prop_assert!(kept <= micros && micros - kept <= micros / 100_000, "{kept} of {micros}");
        }
    }

    fn sample() -> impl Strategy<Value = (u32, Sample)> {
        let status = prop::sample::select(Status::ALL);
        let cause = prop::option::of(prop::sample::select(Cause::ALL));
        let took =
            prop::option::of(any::<u32>().prop_map(|n| Elapsed(Duration::from_micros(n.into()))));
        let gap = prop_oneof![0..100_000_u32, any::<u32>()];
        (gap, status, cause, took).prop_map(|(gap, status, cause, took)| {
            (gap, Sample::new(at(0), State { status, cause }, took))
        })
    }

    #[test]
    fn the_usual_time_is_the_middle_of_passing_ones() {
        let failed = Sample::new(
            at(0),
            State { status: Status::Fail, cause: Some(Cause::TcpTimeout) },
            Some(Elapsed(Duration::from_secs(9))),
        );
        let strip: Strip = [pass(1), failed, pass(50), pass(2)].into_iter().collect();
        assert_eq!(strip.usual_time(3), Some(Elapsed(Duration::from_millis(2))));
        assert_eq!(strip.usual_time(4), None);
    }
}
