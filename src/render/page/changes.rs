//! What happened: events as a list, from whichever slice of them the caller has.

use std::sync::Arc;

use maud::{Markup, html};

use crate::journal::{Event, State, What};
use crate::limits;
use crate::model::{Elapsed, Status};
use crate::render::count;

use super::Page;
use super::words::{Tone, clean, moment, ms, rich, segment, shape, short_moment};
use super::{evidence, findings};

/// What changed lately, the newest first.
pub(super) fn section(page: &Page<'_>) -> Markup {
    let events: Vec<&Event> =
        page.snapshot.journal.since(0).rev().take(limits::PAGE_EVENTS).map(AsRef::as_ref).collect();
    html! {
        section aria-labelledby="changes" {
            h2 id="changes" { "What changed lately" }
            @if events.is_empty() { p class="soft" { "Nothing since measuring began." } }
            (list(page, &events, true))
        }
    }
}

/// What changed for one check, the newest first.
pub(super) fn of_check(page: &Page<'_>, events: &[Arc<Event>]) -> Markup {
    let events: Vec<&Event> = events.iter().rev().map(AsRef::as_ref).collect();
    html! {
        section aria-labelledby="changes" {
            h2 id="changes" { "What changed" }
            @if events.is_empty() { p class="soft" { "Nothing since measuring began." } }
            (list(page, &events, false))
        }
    }
}

/// The last failures of one check, each with everything that was seen then.
pub(super) fn failures(page: &Page<'_>, events: &[Arc<Event>]) -> Markup {
    let failed: Vec<_> = events
        .iter()
        .rev()
        .filter_map(|event| match &event.what {
            What::Check { to, summary, observation, .. } if to.status != Status::Pass => {
                Some((event, to, summary, observation.as_deref()))
            }
            _ => None,
        })
        .take(limits::PAGE_FAILURES)
        .collect();
    html! {
        @if !failed.is_empty() {
            section aria-labelledby="failures" {
                h2 id="failures" { "Last failures" }
                @for (event, to, summary, observation) in failed {
                    details class="failure" id={ "failure-" (event.number) } open[page.view.all] {
                        summary {
                            (shape(Tone::of(to.status))) " " (short_moment(event.at, page.snapshot.taken_at)) " "
                            @if let Some(cause) = to.cause { code { (cause) } " " }
                            span class="soft" { (rich(summary)) }
                        }
                        @match observation {
                            Some(seen) => { div class="layers" { (evidence::seen(seen, None, 3)) } }
                            None => { p class="soft" { "Its evidence was not kept." } }
                        }
                    }
                }
            }
        }
    }
}

fn list(page: &Page<'_>, events: &[&Event], named: bool) -> Markup {
    let (shown, rest) = events.split_at(events.len().min(limits::PAGE_EVENTS_OPEN));
    html! {
        @if !shown.is_empty() { ol class="events" { @for event in shown { (entry(page, event, named)) } } }
        @if !rest.is_empty() {
            details id="older" open[page.view.all] {
                summary { (count(rest.len(), "older event")) }
                ol class="events" { @for event in rest { (entry(page, event, named)) } }
            }
        }
    }
}

fn entry(page: &Page<'_>, event: &Event, named: bool) -> Markup {
    let tone = tone(&event.what);
    html! {
        li {
            span class="when" { (short_moment(event.at, page.snapshot.taken_at)) }
            @match tone {
                Some(tone) => { (shape(tone)) }
                None => { span class="dot" aria-hidden="true" {} }
            }
            p {
                @if named { @if let Some(id) = event.what.check() { (name(page, id)) " " } }
                (told(&event.what))
            }
        }
    }
}

/// The shape of an event; what is neither good nor bad has none.
fn tone(what: &What) -> Option<Tone> {
    match what {
        What::Check { to, .. } => Some(Tone::of(to.status)),
        What::Opened { cause, .. } => Some(Tone::of(cause.info().status)),
        What::Closed { .. } => Some(Tone::Pass),
        What::ClockSet { .. } | What::ReloadFailed { .. } => Some(Tone::Warn),
        _ => None,
    }
}

/// The check as a link; one that is gone since has only its id.
fn name(page: &Page<'_>, id: &str) -> Markup {
    html! {
        @match page.find(id) {
            Some((_, report)) => { a href=(page.check(id)) { code { (report.check.target.authority()) } } }
            None => { code { (clean(id)) } }
        }
    }
}

fn told(what: &What) -> Markup {
    html! {
        @match what {
            What::Started { version, checks } => {
                "vnetprobe " (clean(version)) " started with " (count(*checks, "check"))
            }
            What::Check { from, to, summary, .. } => {
                @if *from == State::UNMEASURED { "first result: " (state(*to)) }
                @else { (state(*from)) " → " (state(*to)) }
                @if to.status != Status::Pass { span class="soft" { " " (rich(summary)) } }
            }
            What::Addresses { from, to, .. } => { "address " (addresses(from)) " → " (addresses(to)) }
            What::Issuer { from, to, .. } => {
                "certificate issuer " code { (clean(from)) } " → " code { (clean(to)) }
            }
            What::Latency { from, to, .. } => { (slower(*from, *to)) (ms(*from)) " → " (ms(*to)) }
            What::Opened { finding, title, .. } => {
                b { "New finding: " } a href={ "#" (findings::anchor(finding)) } { (rich(title)) }
            }
            What::Closed { finding, cause } => {
                b { "Mended: " } code { (cause) } span class="soft" { " " (clean(about(finding))) }
            }
            What::Reloaded { reason, added, removed } => {
                "new configuration in use: " (count(*added, "check")) " added, " (removed) " removed"
                @if !reason.is_empty() { span class="soft" { " " (clean(reason)) } }
            }
            What::ClockSet { from } => {
                "the clock of this machine was set; until then it said " (moment(*from))
            }
            What::ReloadFailed { reason } => { "new configuration refused: " (clean(reason)) }
        }
    }
}

fn state(state: State) -> Markup {
    html! {
        b { (state.status) }
        @if let Some(cause) = state.cause { " " code { (cause) } }
    }
}

fn addresses(list: &[std::net::IpAddr]) -> Markup {
    html! {
        @if list.is_empty() { "none" }
        @for (at, ip) in list.iter().enumerate() { @if at > 0 { ", " } code { (ip) } }
    }
}

fn slower(from: Elapsed, to: Elapsed) -> &'static str {
    if to.0 > from.0 { "became slower: " } else { "became faster: " }
}

/// The culprit's half of a finding's id.
fn about(finding: &str) -> &str {
    finding.split_once('@').map_or(finding, |(_, culprit)| culprit)
}

/// A check's own events among all, older ones of a history file before those of the journal.
pub(super) fn own(page: &Page<'_>, id: &str, older: &[Arc<Event>]) -> Vec<Arc<Event>> {
    let journal = page.snapshot.journal.since(0);
    let first = page.snapshot.journal.since(0).next().map(|event| event.number);
    let before = older.iter().filter(|event| first.is_none_or(|first| event.number < first));
    before.chain(journal).filter(|event| event.what.check() == Some(id)).cloned().collect()
}

/// The way to an id in a path.
pub(super) fn link_of(root: &str, id: &str) -> String {
    format!("{root}checks/{}", segment(id))
}
