//! The one who writes: takes what is new in a snapshot, and goes on without the file when it makes
//! trouble.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::file::{self, Trouble};
use super::rows;
use super::{Place, Shared};
use crate::cause::Cause;
use crate::journal::{Archive, Past, Sample, State};
use crate::limits;
use crate::model::{Status, printable};
use crate::snapshot::{CheckReport, Snapshot};

/// Writes what snapshots tell.
#[derive(Debug)]
pub(super) struct Keeper {
    place: Place,
    shared: Arc<Shared>,
    /// Names this run in the file.
    run: String,
    /// The journal's numbers start after this one.
    begun: u64,
    /// The greatest number of the journal that was ever looked at.
    reached: u64,
    /// Events that were never written.
    lost: u64,
    open: Option<Open>,
    trouble: Option<String>,
    /// What happened to the file before.
    note: Option<String>,
    /// Whether the file as a whole was looked at.
    examined: bool,
    retry: Duration,
}

/// A file in use.
#[derive(Debug)]
struct Open {
    conn: Connection,
    /// Keeps other daemons away as long as it is open.
    _lock: fs::File,
    identity: Option<(u64, u64)>,
    /// Events up to this number of the journal are in the file,
    written: u64,
    /// with this added to their numbers.
    offset: u64,
    /// Whether the file says that this run writes it.
    signed: bool,
    checks: HashMap<String, Known>,
    /// How far the clock had been set when the times in `checks` were noted.
    clock_set: SignedDuration,
}

/// What the file knows of a check.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Known {
    number: u64,
    /// Its newest sample.
    last: Timestamp,
    state: Option<(State, Timestamp)>,
    /// When it last passed, as of the last change of its state.
    last_success: Option<Timestamp>,
}

/// What a transaction changes, once it is through.
#[derive(Debug, Default)]
struct Staged {
    checks: Vec<(String, Known)>,
    gone: Vec<String>,
}

impl Keeper {
    /// Opens the file and reads what is known of these checks. Without a file that can be used
    /// nothing is known, and nothing else is different.
    pub(super) fn open(
        place: Place,
        shared: Arc<Shared>,
        run: String,
        wanted: &BTreeSet<&str>,
        now: Timestamp,
    ) -> (Self, Past) {
        let mut keeper = Self {
            place,
            shared,
            run,
            begun: 0,
            reached: 0,
            lost: 0,
            open: None,
            trouble: None,
            note: None,
            examined: false,
            retry: limits::HISTORY_RETRY.0,
        };
        let past = keeper.begin(wanted, now).unwrap_or_else(|trouble| {
            keeper.suffer(&trouble);
            Past::default()
        });
        keeper.begun = past.last_event;
        keeper.reached = past.last_event;
        if let Some(open) = &mut keeper.open {
            // The journal goes on where the file ends.
            open.written = past.last_event;
            open.offset = 0;
            keeper.shared.offset.store(0, Ordering::Relaxed);
            for (id, known) in &past.checks {
                let Some(entry) = open.checks.get_mut(id) else { continue };
                entry.last = known.strip.newest_first().next().map_or(entry.last, Sample::at);
                entry.state = Some((known.state, known.since));
                entry.last_success = known.last_success_at;
            }
        }
        (keeper, past)
    }

    fn begin(&mut self, wanted: &BTreeSet<&str>, now: Timestamp) -> Result<Past, Trouble> {
        self.reopen(now)?;
        let Some(open) = &self.open else { return Ok(Past::default()) };
        match rows::past(&open.conn, wanted).map_err(Trouble::from) {
            Err(trouble) if trouble.is_damage() => {
                self.replace(now)?;
                Ok(Past::default())
            }
            other => other,
        }
    }

    /// Writes what is new, and says how that went.
    pub(super) fn keep(&mut self, snapshot: &Snapshot) -> Archive {
        match self.try_keep(snapshot) {
            Ok(()) => {
                self.trouble = None;
                self.retry = limits::HISTORY_RETRY.0;
            }
            Err(trouble) => {
                self.suffer(&trouble);
                if trouble.is_damage() {
                    // At once, so that what is in memory goes into a new file.
                    let again = self.replace(snapshot.taken_at).and_then(|()| self.write(snapshot));
                    match again {
                        Ok(()) => self.trouble = None,
                        Err(trouble) => self.suffer(&trouble),
                    }
                }
            }
        }
        self.state(snapshot)
    }

    /// Where the file is.
    pub(super) fn path(&self) -> PathBuf {
        self.place.path.clone()
    }

    #[cfg(test)]
    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// How long to wait before the file is tried again, when it makes trouble.
    pub(super) fn retry_after(&mut self) -> Option<Duration> {
        self.trouble.as_ref()?;
        let wait = self.retry;
        self.retry = (self.retry * 2).min(limits::HISTORY_RETRY.1);
        Some(wait)
    }

    fn state(&self, snapshot: &Snapshot) -> Archive {
        let path = printable(&self.place.path.display().to_string());
        let oldest = snapshot.journal.since(0).next().map_or(0, |event| event.number);
        let written = self.open.as_ref().map_or(self.reached, |open| open.written);
        // What has left the journal without being written will never be.
        let lost = self.lost + oldest.saturating_sub(written.max(self.reached) + 1);
        match (&self.open, &self.trouble) {
            (Some(open), None) => Archive::File {
                path,
                bytes: file::bytes(&self.place.path),
                last_event: open.written + open.offset,
                lost,
                note: self.note.clone(),
            },
            (_, trouble) => {
                let reason = trouble.clone().unwrap_or_default();
                Archive::Degraded { path, reason: printable(&reason), lost }
            }
        }
    }

    fn suffer(&mut self, trouble: &Trouble) {
        self.open = None;
        self.trouble = Some(trouble.reason());
    }

    fn try_keep(&mut self, snapshot: &Snapshot) -> Result<(), Trouble> {
        let identity = file::identity(&self.place.path);
        // Who removed or replaced the file wants a new one.
        if self.open.as_ref().is_some_and(|open| open.identity != identity) {
            self.open = None;
        }
        if self.open.is_none() {
            self.reopen(snapshot.taken_at)?;
        }
        if !self.examined {
            // Takes a while in a large file, so it is done here and not before the first probe.
            let whole = self.open.as_ref().map(|open| file::is_whole(&open.conn)).transpose()?;
            if whole == Some(false) {
                self.replace(snapshot.taken_at)?;
            }
            self.examined = true;
        }
        self.write(snapshot)
    }

    /// Opens the file, and finds out what of this run is in it already.
    fn reopen(&mut self, now: Timestamp) -> Result<(), Trouble> {
        let Place { path, max_bytes, .. } = &self.place;
        let lock = file::lock(path)?;
        let shared = Arc::clone(&self.shared);
        // Nobody reads meanwhile: a damaged file may have to go.
        let gate = shared.gate.write().unwrap_or_else(PoisonError::into_inner);
        let conn = match file::open(path, *max_bytes) {
            Err(trouble) if trouble.is_damage() => {
                self.set_aside(now)?;
                file::open(&self.place.path, self.place.max_bytes)?
            }
            other => other?,
        };
        drop(gate);
        let last = rows::last_event(&conn)?;
        let ours = rows::run(&conn)?.is_some_and(|run| run == self.run);
        let offset = if ours {
            shared.offset.load(Ordering::Relaxed)
        } else {
            last.saturating_sub(self.begun)
        };
        shared.offset.store(offset, Ordering::Relaxed);
        let known =
            |number| Known { number, last: Timestamp::MIN, state: None, last_success: None };
        let checks = rows::checks(&conn)?.into_iter().map(|(id, number)| (id, known(number)));
        self.open = Some(Open {
            checks: checks.collect(),
            conn,
            _lock: lock,
            identity: file::identity(&self.place.path),
            written: if ours { last.saturating_sub(offset) } else { self.begun },
            offset,
            signed: ours,
            clock_set: SignedDuration::ZERO,
        });
        Ok(())
    }

    /// Puts a damaged file aside and begins a new one.
    fn replace(&mut self, now: Timestamp) -> Result<(), Trouble> {
        self.open = None;
        let shared = Arc::clone(&self.shared);
        let lock = file::lock(&self.place.path)?;
        let gate = shared.gate.write().unwrap_or_else(PoisonError::into_inner);
        self.set_aside(now)?;
        drop((gate, lock));
        self.reopen(now)
    }

    fn set_aside(&mut self, now: Timestamp) -> Result<(), Trouble> {
        let to = file::set_aside(&self.place.path, now)?;
        let name = |path: &Path| printable(&path.display().to_string());
        self.note = Some(format!(
            "{} was damaged at {now:.0} and is now {}; history begins anew",
            name(&self.place.path),
            name(&to)
        ));
        Ok(())
    }

    // -------------------------------------------------------------------------------- one snapshot

    fn write(&mut self, snapshot: &Snapshot) -> Result<(), Trouble> {
        match self.write_once(snapshot) {
            // The file's own limit may be the reason: with room made it is tried once more.
            Err(trouble) if trouble.is_full() && self.make_room(true)? => self.write_once(snapshot),
            other => other,
        }
    }

    fn write_once(&mut self, snapshot: &Snapshot) -> Result<(), Trouble> {
        let Self { open: Some(open), lost, reached, run, place, .. } = self else { return Ok(()) };
        open.set_clock(snapshot.counters.clock_set);
        let mut events = snapshot.journal.since(open.written).peekable();
        if let Some(first) = events.peek() {
            let before = open.written.max(*reached) + 1;
            *lost += first.number.saturating_sub(before);
        }
        *reached = (*reached).max(events.peek().map_or(0, |first| first.number.saturating_sub(1)));
        loop {
            let new = open.news(snapshot);
            if events.peek().is_none() && new.is_empty() {
                break;
            }
            let tx = open.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            if !open.signed {
                rows::set_run(&tx, run)?;
                rows::forget_findings(&tx)?;
            }
            let (mut bytes, mut written) = (0, open.written);
            while let Some(event) = events.next_if(|_| bytes < limits::HISTORY_TRANSACTION_BYTES) {
                let json = rows::json(event);
                bytes += json.len();
                rows::add_event(&tx, event.number + open.offset, event, &json)?;
                written = event.number;
            }
            let all = events.peek().is_none();
            let staged =
                if all { stage(&tx, &open.checks, &new, snapshot)? } else { Staged::default() };
            rows::remove_old(&tx, snapshot.taken_at, place.retention)?;
            tx.commit()?;
            open.signed = true;
            open.written = written;
            *reached = (*reached).max(written);
            open.checks.extend(staged.checks);
            open.checks.retain(|id, _| !staged.gone.contains(id));
            if all {
                break;
            }
        }
        self.make_room(false)?;
        Ok(())
    }

    /// Removes the oldest until an eighth of the file is free, or at least something. Whether it could.
    fn make_room(&mut self, now: bool) -> Result<bool, Trouble> {
        let Some(open) = &mut self.open else { return Ok(false) };
        let page: u64 = open.conn.pragma_query_value(None, "page_size", |row| row.get(0))?;
        let most = self.place.max_bytes / page.max(512);
        let (mut made, mut again) = (false, now);
        while again || rows::pages(&open.conn)? > most - most / 8 {
            again = false;
            let tx = open.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            if !rows::make_room(&tx)? {
                break;
            }
            tx.commit()?;
            made = true;
        }
        if made && rows::size(&open.conn)? > most {
            // Somebody allows less than before.
            open.conn.execute_batch("PRAGMA incremental_vacuum")?;
        }
        Ok(made)
    }
}

impl Open {
    /// Moves the times of what is in the file along with a clock that was set, as all others moved:
    /// else nothing would be new until the clock is where it was.
    fn set_clock(&mut self, total: SignedDuration) {
        let by = total.saturating_sub(self.clock_set);
        if !by.is_zero() {
            for known in self.checks.values_mut() {
                known.last = known.last.saturating_add(by).unwrap_or(known.last);
            }
            self.clock_set = total;
        }
    }

    /// Checks of which the file does not know all.
    fn news<'s>(&self, snapshot: &'s Snapshot) -> Vec<&'s CheckReport> {
        let is_new = |report: &&CheckReport| match self.checks.get(&report.check.id) {
            None => published(report).is_some(),
            Some(known) => {
                report.strip.newest_first().next().is_some_and(|sample| sample.at() > known.last)
                    || changed(report, known)
            }
        };
        snapshot.checks.iter().map(Arc::as_ref).filter(is_new).collect()
    }
}

/// The state that was measured and published. What is overdue only until it is measured again, a
/// restart makes no more overdue.
fn published(report: &CheckReport) -> Option<(State, Timestamp)> {
    report.verdict.as_ref().filter(|verdict| verdict.cause != Some(Cause::Overdue))?;
    Some((report.state(), report.since?))
}

/// Whether the state in the file is another. While a check passes its samples tell when it last did.
fn changed(report: &CheckReport, known: &Known) -> bool {
    let Some(state) = published(report) else { return false };
    let passes = matches!(state.0.status, Status::Pass | Status::Warn);
    known.state != Some(state) || (!passes && known.last_success != report.last_success_at)
}

fn stage(
    tx: &Transaction<'_>,
    checks: &HashMap<String, Known>,
    new: &[&CheckReport],
    snapshot: &Snapshot,
) -> Result<Staged, rusqlite::Error> {
    let mut staged = Staged::default();
    let mut samples = Vec::new();
    for report in new {
        let id = &report.check.id;
        let known = checks.get(id).copied();
        let state = published(report);
        let mut now = match (known, state) {
            (Some(known), _) => known,
            (None, None) => continue,
            (None, Some(_)) => {
                Known { number: 0, last: Timestamp::MIN, state: None, last_success: None }
            }
        };
        if let Some((state, since)) = state
            && known.is_none_or(|known| changed(report, &known))
        {
            let last = report.last_success_at;
            now.number = rows::set_state(tx, id, state, since, last)?;
            (now.state, now.last_success) = (Some((state, since)), last);
        }
        let fresh = report.strip.newest_first().take_while(|sample| sample.at() > now.last);
        samples.extend(fresh.map(|sample| (now.number, sample)));
        now.last = report.strip.newest_first().next().map_or(now.last, |s| s.at().max(now.last));
        staged.checks.push((id.clone(), now));
    }
    if !samples.is_empty() {
        rows::add_batch(tx, &mut samples)?;
    }
    if checks.len() + staged.checks.len() > limits::HISTORY_CHECKS {
        let planned = snapshot.checks.iter().map(|report| report.check.id.as_str()).collect();
        let known = checks.iter().map(|(id, known)| (id.clone(), known.number)).collect();
        staged.gone = rows::remove_checks(tx, &known, &planned)?;
    }
    Ok(staged)
}
