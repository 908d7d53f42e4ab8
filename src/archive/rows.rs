//! What is in the tables: events, batches of samples, states, and how they go again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rusqlite::types::{Null, ToSql};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::batch;
use crate::inquiry::{Found, Inquiry, Which};
use crate::journal::{Event, Past, PastCheck, Sample, State, What};
use crate::limits;

/// The number of the last event; zero when there is none.
pub(super) fn last_event(conn: &Connection) -> Result<u64, rusqlite::Error> {
    conn.query_row("SELECT ifnull(max(number), 0) FROM event", [], |row| row.get(0))
}

/// Which run of the daemon wrote last.
pub(super) fn run(conn: &Connection) -> Result<Option<String>, rusqlite::Error> {
    conn.query_row("SELECT value FROM word WHERE name = 'run'", [], |row| row.get(0)).optional()
}

/// Notes which run writes from now on.
pub(super) fn set_run(tx: &Transaction<'_>, run: &str) -> Result<(), rusqlite::Error> {
    tx.execute("INSERT OR REPLACE INTO word (name, value) VALUES ('run', ?1)", [run]).map(drop)
}

/// Numbers of the checks in the file.
pub(super) fn checks(conn: &Connection) -> Result<HashMap<String, u64>, rusqlite::Error> {
    let mut rows = conn.prepare("SELECT check_id, number FROM check_state")?;
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

// ---------------------------------------------------------------------------------------- events

/// An event's JSON; evidence that is too large is left out.
pub(super) fn json(event: &Event) -> String {
    // An event has string keys and finite numbers only, so writing it cannot fail.
    let json = serde_json::to_string(event).unwrap_or_default();
    match &event.what {
        What::Check { check, from, to, summary, observation: Some(_) }
            if json.len() > limits::HISTORY_EVENT_BYTES =>
        {
            let (check, from, to, summary) = (check.clone(), *from, *to, summary.clone());
            let what = What::Check { check, from, to, summary, observation: None };
            serde_json::to_string(&Event { what, ..*event }).unwrap_or_default()
        }
        _ => json,
    }
}

/// Adds an event, and what it says of findings.
pub(super) fn add_event(
    tx: &Transaction<'_>,
    number: u64,
    event: &Event,
    json: &str,
) -> Result<(), rusqlite::Error> {
    let mut insert = tx.prepare(
        "INSERT OR REPLACE INTO event (number, at, check_id, json) VALUES (?1, ?2, ?3, ?4)",
    )?;
    insert.execute(params![number, event.at.as_microsecond(), event.what.check(), json])?;
    match &event.what {
        What::Opened { finding, cause, .. } => tx.execute(
            "INSERT OR IGNORE INTO open_finding (finding, cause) VALUES (?1, ?2)",
            [finding.as_str(), cause.as_str()],
        ),
        What::Closed { finding, cause } => tx.execute(
            "DELETE FROM open_finding WHERE finding = ?1 AND cause = ?2",
            [finding.as_str(), cause.as_str()],
        ),
        _ => Ok(0),
    }
    .map(drop)
}

/// Forgets open findings of a run that this one knows nothing of.
pub(super) fn forget_findings(tx: &Transaction<'_>) -> Result<(), rusqlite::Error> {
    tx.execute("DELETE FROM open_finding", []).map(drop)
}

/// Answers a question.
pub(super) fn answer(conn: &Connection, inquiry: &Inquiry) -> Result<Found, rusqlite::Error> {
    let (condition, check) = match &inquiry.check {
        None => ("", None),
        Some(Which::One(id)) => ("AND check_id = ?3", Some(id.clone())),
        // `[` begins a class there; our patterns have none.
        Some(Which::Like(pattern)) => {
            ("AND check_id GLOB ?3", Some(pattern.to_string().replace('[', "[[]")))
        }
    };
    let from = inquiry.from.unwrap_or(Timestamp::MIN).as_microsecond();
    // A moment within a microsecond belongs to it.
    let to = inquiry.to.unwrap_or(Timestamp::MAX).as_microsecond();
    let sql = format!(
        "SELECT number, json FROM event WHERE at >= ?1 AND at <= ?2 {condition} ORDER BY number DESC LIMIT {}",
        inquiry.limit + 1
    );
    let mut select = conn.prepare(&sql)?;
    let values: [&dyn ToSql; 3] = [&from, &to, &check];
    let count = if check.is_some() { 3 } else { 2 };
    let mut rows = select.query(values.get(..count).unwrap_or_default())?;
    let (mut found, mut bytes) = (Found::default(), 0);
    while let Some(row) = rows.next()? {
        let json: String = row.get(1)?;
        bytes += json.len();
        if found.events.len() >= inquiry.limit || bytes > limits::HISTORY_ANSWER_BYTES {
            found.more = true;
            break;
        }
        // What this version cannot read, another one wrote.
        if let Ok(mut event) = serde_json::from_str::<Event>(&json) {
            event.number = row.get(0)?;
            found.events.push(Arc::new(event));
        }
    }
    found.events.reverse();
    Ok(found)
}

// ------------------------------------------------------------------------------ states and samples

/// Notes the state of a check and gives its number.
pub(super) fn set_state(
    tx: &Transaction<'_>,
    check: &str,
    state: State,
    since: Timestamp,
    last_success: Option<Timestamp>,
) -> Result<u64, rusqlite::Error> {
    let mut upsert = tx.prepare(
        "INSERT INTO check_state (check_id, status, cause, since, last_success) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (check_id) DO UPDATE SET status = excluded.status, cause = excluded.cause,
         since = excluded.since, last_success = excluded.last_success RETURNING number",
    )?;
    let cause: &dyn ToSql = match &state.cause {
        Some(cause) => &cause.as_str(),
        None => &Null,
    };
    let (since, last) = (since.to_string(), last_success.map(|last| last.to_string()));
    let values: [&dyn ToSql; 5] = [&check, &state.status.as_str(), cause, &since, &last];
    upsert.query_row(values.as_slice(), |row| row.get(0))
}

/// Adds the samples of one commit.
pub(super) fn add_batch(
    tx: &Transaction<'_>,
    samples: &mut [batch::Numbered],
) -> Result<(), rusqlite::Error> {
    let newest = samples.iter().map(|(_, sample)| sample.at()).max().unwrap_or_default();
    let bytes = batch::pack(samples);
    let values = params![newest.as_microsecond(), bytes];
    tx.execute("INSERT INTO batch (at, samples) VALUES (?1, ?2)", values).map(drop)
}

/// Reads what is known of these checks: states, strips, open findings, the last event's number.
pub(super) fn past(conn: &Connection, wanted: &BTreeSet<&str>) -> Result<Past, rusqlite::Error> {
    let mut past = Past { last_event: last_event(conn)?, ..Past::default() };
    let mut open = conn.prepare("SELECT finding, cause FROM open_finding LIMIT ?1")?;
    let mut rows = open.query([limits::HISTORY_CHECKS])?;
    while let Some(row) = rows.next()? {
        let (finding, cause): (String, String) = (row.get(0)?, row.get(1)?);
        if let Ok(cause) = cause.parse() {
            past.open.insert((finding, cause));
        }
    }
    let mut ids = HashMap::new();
    let mut known = conn
        .prepare("SELECT number, check_id, status, cause, since, last_success FROM check_state")?;
    let mut rows = known.query([])?;
    while let Some(row) = rows.next()? {
        let id: String = row.get(1)?;
        if !wanted.contains(id.as_str()) {
            continue;
        }
        let (status, cause): (String, Option<String>) = (row.get(2)?, row.get(3)?);
        let state = status
            .parse()
            .ok()
            .zip(cause.map_or(Some(None), |cause| cause.parse().ok().map(Some)))
            .map(|(status, cause)| State { status, cause });
        let since = row.get::<_, String>(4)?.parse().ok();
        let (Some(state), Some(since)) = (state, since) else { continue };
        let last_success_at = row.get::<_, Option<String>>(5)?.and_then(|last| last.parse().ok());
        ids.insert(row.get::<_, u64>(0)?, id.clone());
        let check = PastCheck { state, since, last_success_at, strip: FromIterator::from_iter([]) };
        past.checks.insert(id, check);
    }
    for (number, samples) in strips(conn, ids.keys().copied())? {
        let Some(check) = ids.get(&number).and_then(|id| past.checks.get_mut(id)) else { continue };
        // Between two states nothing but the strip tells of the last success.
        let good = samples.iter().rev().find(|sample| {
            matches!(sample.state().status, crate::model::Status::Pass | crate::model::Status::Warn)
        });
        check.last_success_at = check.last_success_at.max(good.map(|sample| sample.at()));
        check.strip = samples.into_iter().collect();
    }
    Ok(past)
}

/// The last samples of some checks, each the oldest first. Reads backwards until all are full.
fn strips(
    conn: &Connection,
    numbers: impl Iterator<Item = u64>,
) -> Result<BTreeMap<u64, Vec<Sample>>, rusqlite::Error> {
    let mut strips: BTreeMap<u64, Vec<Sample>> = numbers.map(|n| (n, Vec::new())).collect();
    let mut lacking = strips.len();
    let mut bytes = 0;
    let mut select = conn.prepare("SELECT samples FROM batch ORDER BY number DESC")?;
    let mut rows = select.query([])?;
    while lacking > 0 && bytes < limits::HISTORY_RESTORED_BYTES {
        let Some(row) = rows.next()? else { break };
        let packed = row.get_ref(0)?.as_blob().unwrap_or_default();
        bytes += packed.len();
        // The newest first: within a batch a check's samples stand the other way round.
        for (number, sample) in batch::unpack(packed).unwrap_or_default().into_iter().rev() {
            let Some(strip) = strips.get_mut(&number) else { continue };
            let is_older = strip.last().is_none_or(|last| sample.at() < last.at());
            if is_older && strip.len() < limits::STRIP_SAMPLES {
                strip.push(sample);
                lacking -= usize::from(strip.len() == limits::STRIP_SAMPLES);
            }
        }
    }
    for strip in strips.values_mut() {
        strip.reverse();
    }
    Ok(strips)
}

// --------------------------------------------------------------------------------------- removing

/// Removes what is older than it may be, a bounded piece at a time.
pub(super) fn remove_old(
    tx: &Transaction<'_>,
    now: Timestamp,
    retention: Duration,
) -> Result<(), rusqlite::Error> {
    let before = |kept: Duration| {
        let kept = SignedDuration::try_from(kept).unwrap_or(SignedDuration::MAX);
        now.checked_sub(kept).unwrap_or(Timestamp::MIN).as_microsecond()
    };
    for (table, kept) in
        [("event", retention), ("batch", retention.min(limits::HISTORY_SAMPLES_KEPT))]
    {
        let oldest = format!("SELECT number FROM {table} ORDER BY number LIMIT ?1");
        let sql = format!("DELETE FROM {table} WHERE number IN ({oldest}) AND at < ?2");
        tx.execute(&sql, params![limits::HISTORY_REMOVED_AT_ONCE, before(kept)])?;
    }
    Ok(())
}

/// Removes states of checks that are in no plan any more, the oldest first, down to the limit.
pub(super) fn remove_checks(
    tx: &Transaction<'_>,
    known: &HashMap<String, u64>,
    planned: &BTreeSet<&str>,
) -> Result<Vec<String>, rusqlite::Error> {
    let mut gone: Vec<(&String, u64)> = known
        .iter()
        .filter(|(id, _)| !planned.contains(id.as_str()))
        .map(|(id, number)| (id, *number))
        .collect();
    gone.sort_by_key(|(_, number)| *number);
    gone.truncate(known.len().saturating_sub(limits::HISTORY_CHECKS));
    for (_, number) in &gone {
        tx.execute("DELETE FROM check_state WHERE number = ?1", [number])?;
    }
    Ok(gone.into_iter().map(|(id, _)| id.clone()).collect())
}

/// Pages in use.
pub(super) fn pages(conn: &Connection) -> Result<u64, rusqlite::Error> {
    let free: u64 = conn.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    Ok(size(conn)?.saturating_sub(free))
}

/// Pages of the file, free ones with them.
pub(super) fn size(conn: &Connection) -> Result<u64, rusqlite::Error> {
    conn.pragma_query_value(None, "page_count", |row| row.get(0))
}

/// Makes room: removes a sixteenth of the samples, or of the events when there are no samples. False
/// when there is nothing left to remove.
pub(super) fn make_room(tx: &Transaction<'_>) -> Result<bool, rusqlite::Error> {
    for table in ["batch", "event"] {
        let sql = format!("SELECT min(number), max(number) FROM {table}");
        let ends: (Option<i64>, Option<i64>) =
            tx.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if let (Some(first), Some(last)) = ends {
            let end = first.saturating_add(last.saturating_sub(first) / 16);
            tx.execute(&format!("DELETE FROM {table} WHERE number <= ?1"), [end])?;
            return Ok(true);
        }
    }
    Ok(false)
}
