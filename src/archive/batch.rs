//! Samples of one commit in few bytes: about eight each, where a row of a table has thirty. Pure.
//!
//! ```text
//! batch  = base-time state-count { length "status cause" } { sample }
//! sample = check-number-delta time-after-base state-index took
//! ```
//!
//! All numbers are LEB128. Samples are in the order of their checks' numbers. States are words, so
//! that a version with other causes reads what it knows and leaves the rest.

use std::time::Duration;

use jiff::Timestamp;

use crate::journal::{Sample, State};
use crate::model::Elapsed;

/// A sample and the number its check has in the file.
pub type Numbered = (u64, Sample);

/// Packs the samples of one commit.
pub fn pack(samples: &mut [Numbered]) -> Vec<u8> {
    samples.sort_by_key(|(check, sample)| (*check, sample.at()));
    let at = |sample: &Sample| sample.at().as_millisecond();
    let base = samples.iter().map(|(_, sample)| at(sample)).min().unwrap_or_default();
    let mut states: Vec<State> = Vec::new();
    let mut body = Vec::new();
    let mut before = 0;
    for (check, sample) in samples.iter() {
        let state = sample.state();
        let index = states.iter().position(|known| *known == state).unwrap_or_else(|| {
            states.push(state);
            states.len() - 1
        });
        put(&mut body, check - before);
        put(&mut body, at(sample).abs_diff(base));
        put(&mut body, index as u64);
        // Zero is "not timed".
        put(&mut body, sample.took().map_or(0, |took| micros(took) + 1));
        before = *check;
    }
    let mut out = Vec::with_capacity(body.len() + 32);
    // Before 1970 there was no vnetprobe.
    put(&mut out, u64::try_from(base).unwrap_or_default());
    put(&mut out, states.len() as u64);
    for State { status, cause } in states {
        let mut word = status.to_string();
        if let Some(cause) = cause {
            word.push(' ');
            word.push_str(cause.as_str());
        }
        put(&mut out, word.len() as u64);
        out.extend(word.as_bytes());
    }
    out.extend(body);
    out
}

fn micros(took: Elapsed) -> u64 {
    u64::try_from(took.0.as_micros()).unwrap_or(u64::from(u32::MAX))
}

/// Reads them back; nothing when this is no batch. States of another version are left out.
pub fn unpack(bytes: &[u8]) -> Option<Vec<Numbered>> {
    let mut rest = bytes;
    let base = get(&mut rest)?;
    let count = usize::try_from(get(&mut rest)?).ok().filter(|count| *count <= bytes.len())?;
    let mut states = Vec::with_capacity(count);
    for _ in 0..count {
        let length = usize::try_from(get(&mut rest)?).ok()?;
        let (word, after) = rest.split_at_checked(length)?;
        rest = after;
        states.push(state(std::str::from_utf8(word).ok()?));
    }
    let mut samples = Vec::with_capacity(rest.len() / 6);
    let mut check = 0_u64;
    while !rest.is_empty() {
        check = check.checked_add(get(&mut rest)?)?;
        let at = i64::try_from(base.checked_add(get(&mut rest)?)?).ok()?;
        let at = Timestamp::from_millisecond(at).ok()?;
        let state = states.get(usize::try_from(get(&mut rest)?).ok()?)?;
        let took = get(&mut rest)?.checked_sub(1);
        let took = took.map(|micros| Elapsed(Duration::from_micros(micros)));
        if let Some(state) = state {
            samples.push((check, Sample::new(at, *state, took)));
        }
    }
    Some(samples)
}

fn state(word: &str) -> Option<State> {
    let (status, cause) = word.split_once(' ').map_or((word, None), |(s, c)| (s, Some(c)));
    let cause = cause.map(str::parse).transpose().ok()?;
    Some(State { status: status.parse().ok()?, cause })
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        // Masked to seven bits, and the eighth says that there are more.
        out.push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
        number >>= 7;
    }
    out.push(u8::try_from(number).unwrap_or_default());
}

fn get(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..u64::BITS).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = u64::from(first & 0x7f);
        // The tenth byte has room for one bit.
        if shift == 63 && part > 1 {
            return None;
        }
        number |= part << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cause::Cause;
    use crate::model::Status;

    fn sample() -> impl Strategy<Value = Numbered> {
        let status = prop::sample::select(Status::ALL);
        let cause = prop::option::of(prop::sample::select(Cause::ALL));
        let took = prop::option::of((0..u64::from(u32::MAX)).prop_map(Duration::from_micros));
        let at = 0..4_000_000_000_000_i64;
        (1..1_000_000_u64, at, status, cause, took).prop_map(|(check, at, status, cause, took)| {
            let at = Timestamp::from_millisecond(at).unwrap();
            (check, Sample::new(at, State { status, cause }, took.map(Elapsed)))
        })
    }

    proptest! {
        #[test]
        fn what_is_packed_is_read_back(mut samples in prop::collection::vec(sample(), 0..200)) {
            let bytes = pack(&mut samples);
            prop_assert_eq!(unpack(&bytes), Some(samples));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = unpack(&bytes);
        }

        #[test]
        fn a_cut_batch_gives_no_sample_that_was_not_there(
            mut samples in prop::collection::vec(sample(), 1..30),
            cut in any::<prop::sample::Index>(),
        ) {
            let bytes = pack(&mut samples);
            let cut = bytes.get(..cut.index(bytes.len())).unwrap();
            if let Some(read) = unpack(cut) {
                prop_assert!(samples.starts_with(&read));
            }
        }
    }

    #[test]
    fn a_sample_takes_few_bytes() {
        let state = State { status: Status::Pass, cause: None };
        let mut samples: Vec<Numbered> = (0..330)
            .map(|number| {
                let at = Timestamp::from_millisecond(1_793_534_400_000 + number).unwrap();
                let took = Elapsed(Duration::from_micros(23_456));
                (number.unsigned_abs() * 30 + 1, Sample::new(at, state, Some(took)))
            })
            .collect();
        assert!(pack(&mut samples).len() < 330 * 8 + 32);
    }

    #[test]
    fn unknown_words_are_left_out() {
        let mut bytes = vec![5, 2, 4];
        bytes.extend(b"pass");
        bytes.push(9);
        bytes.extend(b"fail newx");
        bytes.extend([1, 0, 1, 0, 1, 0, 0, 0]);
        let read = unpack(&bytes).unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!((read[0].0, read[0].1.state().status), (2, Status::Pass));
    }
}
