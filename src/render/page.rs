//! The status page, the page of one check and the report as one file: HTML that needs nothing else.
//!
//! Pure: the same snapshot gives the same bytes, because ages count from the snapshot's own time.
//! Links are relative, so the pages also work below a path of a reverse proxy. Everything is there
//! without the script; it adds the filter, copy buttons and live updates.

mod changes;
mod checks;
mod evidence;
mod findings;
mod glossary;
mod notices;
mod one_check;
mod path;
pub(super) mod phrases;
mod probe_form;
mod scenarios;
mod strip;
mod tls;
mod top;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::finding::Finding;
use crate::journal::Event;
use crate::render::count;
use crate::render::headline::Headline;
use crate::snapshot::{CheckReport, Snapshot};

use words::{Tone, moment, shapes};

/// The style sheet inside every page, for the hash in the Content-Security-Policy.
pub const STYLE: &str = include_str!("page/page.css");
/// The script at the end of every page, likewise.
pub const SCRIPT: &str = include_str!("page/page.js");

/// What the report as a file forbids itself: it needs no script and no other resource.
const FILE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// Seconds until a page without script is fetched again: while the first round runs, and later.
const REFRESH_SECONDS: (u32, u32) = (15, 30);

/// How a reader wants the page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct View {
    /// It stays as it is: no refresh, for reading and copying.
    pub hold: bool,
    /// Everything that can be folded is unfolded, for searching and printing.
    pub all: bool,
    /// When it is read, to tell that nothing new was published for long; absent where nobody knows.
    pub now: Option<Timestamp>,
    /// It is a file of its own: nothing to fetch, no other page to go to.
    file: bool,
}

impl View {
    /// Reads the query of a request; unknown words are ignored.
    pub fn of_query(query: &str) -> Self {
        let says = |word| query.split('&').any(|part| part.split('=').next() == Some(word));
        Self { hold: says("hold"), all: says("all"), ..Self::default() }
    }

    /// The same, read at this moment.
    #[must_use]
    pub fn read_at(self, now: Timestamp) -> Self {
        Self { now: Some(now), ..self }
    }

    /// The query that asks for it, for links.
    const fn query(self) -> &'static str {
        match (self.hold, self.all) {
            (false, false) => "?",
            (true, false) => "?hold",
            (false, true) => "?all",
            (true, true) => "?hold&all",
        }
    }
}

/// The status page.
pub fn overview(snapshot: &Snapshot) -> String {
    overview_as(snapshot, View::default())
}

/// The status page, as its reader wants it.
pub fn overview_as(snapshot: &Snapshot, view: View) -> String {
    let page = Page::new(snapshot, view, "./");
    let headline = Headline::of(snapshot);
    let main = html! {
        (notices::section(&page))
        (top::hero(&page, &headline))
        (findings::index(&page))
        (scenarios::cards(&page))
        (findings::section(&page))
        (checks::section(&page))
        (changes::section(&page))
        (glossary::uncovered(&page))
        (glossary::causes(&page, &glossary::causes_of(snapshot), None))
    };
    let title = format!("{} · {}", headline.text, snapshot.machine.hostname);
    page.document(&title, Tone::of_level(headline.level), &main)
}

/// The status page as one file to attach to a ticket: all unfolded, and it needs no server.
pub fn file(snapshot: &Snapshot) -> String {
    overview_as(snapshot, View { hold: true, all: true, file: true, now: None })
}

/// The page of one check; nothing when there is no check of that id.
pub fn check(snapshot: &Snapshot, id: &str) -> Option<String> {
    check_as(snapshot, id, View::default(), &[])
}

/// The page of one check, as its reader wants it. `older` are events from before those that the
/// snapshot holds, the oldest first; of other checks, too.
pub fn check_as(snapshot: &Snapshot, id: &str, view: View, older: &[Arc<Event>]) -> Option<String> {
    let page = Page::new(snapshot, view, "../");
    let (_, report) = page.find(id)?;
    let events = changes::own(&page, id, older);
    let tone = Tone::of_report(report);
    let title = format!("{}: {}", report.check.target.authority(), tone.word());
    let main = html! {
        (notices::section(&page))
        (one_check::main(&page, report, &events))
    };
    Some(page.document(&title, tone, &main))
}

/// What a person wrote into the form for ad hoc probes.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProbeForm<'a> {
    /// Targets, one a line.
    pub targets: &'a str,
    /// What the names should resolve to.
    pub expect: &'a str,
    /// Where private addresses must lie.
    pub subnets: &'a str,
}

/// The form for ad hoc probes, with what is wrong with it or what it came to.
pub fn probe_form(
    snapshot: &Snapshot,
    form: &ProbeForm<'_>,
    wrong: &[String],
    done: Option<&Snapshot>,
) -> String {
    probe_form::document(snapshot, form, wrong, done)
}

/// What every part of a page needs.
struct Page<'a> {
    snapshot: &'a Snapshot,
    view: View,
    /// The way from this page to the status page.
    root: &'static str,
    /// Findings as they are numbered: what fails first, else the snapshot's order.
    findings: Vec<&'a Finding>,
    /// Position of each check by its id.
    positions: BTreeMap<&'a str, usize>,
}

impl<'a> Page<'a> {
    fn new(snapshot: &'a Snapshot, view: View, root: &'static str) -> Self {
        let positions =
            snapshot.checks.iter().enumerate().map(|(at, c)| (c.check.id.as_str(), at)).collect();
        let mut findings: Vec<&Finding> = snapshot.findings.iter().collect();
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.status));
        Self { snapshot, view, root, findings, positions }
    }

    /// A check and its position, which names its place on the status page.
    fn find(&self, id: &str) -> Option<(usize, &'a CheckReport)> {
        let at = *self.positions.get(id)?;
        self.snapshot.checks.get(at).map(|report| (at, report.as_ref()))
    }

    /// The way to a check: its page, or its row where there are no other pages.
    fn check(&self, id: &str) -> String {
        match self.find(id) {
            Some((at, _)) if self.view.file => format!("#check-{}", at + 1),
            _ => changes::link_of(self.root, id),
        }
    }

    /// The way to the status page.
    fn home(&self) -> &'static str {
        if self.view.file { "#main" } else { self.root }
    }

    fn document(&self, title: &str, tone: Tone, main: &Markup) -> String {
        let View { hold, file, .. } = self.view;
        let newest = self.snapshot.journal.last();
        let own = html! {
            @if file { meta http-equiv="Content-Security-Policy" content=(FILE_POLICY); }
            @if !hold { noscript { meta http-equiv="refresh" content=(self.refresh()); } }
        };
        html! {
            (DOCTYPE)
            html lang="en" {
                (head(title, tone, &own))
                body data-root=[(!file).then_some(self.root)] data-hold=[hold.then_some("")] {
                    a class="skip" href="#main" { "Skip to the verdict" }
                    (shapes())
                    (top::header(self))
                    main id="main" tabindex="-1" data-taken=(self.snapshot.taken_at) data-age=[self.age()] data-events=(newest) { (main) }
                    (self.footer())
                    @if !file { script { (PreEscaped(SCRIPT)) } }
                }
            }
        }
        .into_string()
    }

    /// Seconds between taking and reading.
    fn age(&self) -> Option<i64> {
        Some(self.view.now?.duration_since(self.snapshot.taken_at).as_secs().max(0))
    }

    fn refresh(&self) -> u32 {
        if self.snapshot.is_complete() { REFRESH_SECONDS.1 } else { REFRESH_SECONDS.0 }
    }

    fn footer(&self) -> Markup {
        let snapshot = self.snapshot;
        html! {
            footer class="foot" {
                p {
                    "vnetprobe " (env!("CARGO_PKG_VERSION"))
                    " · " (count(snapshot.checks.len(), "check"))
                    " of " (count(snapshot.plan.targets.len(), "target"))
                    " · measuring since " (moment(snapshot.started_at))
                    @if let Some(bound) = notices::lateness(&snapshot.counters.lateness) {
                        " · 99 % of probes start within " (words::seconds(bound)) " of their time"
                    }
                }
                @if !self.view.file { (self.downloads()) }
            }
        }
    }

    fn downloads(&self) -> Markup {
        let to = |path: &str| format!("{}{path}", self.root);
        html! {
            nav aria-label="Downloads and data" {
                span class="soft" { "For a ticket:" }
                a href=(to("report.html")) download { "HTML" }
                a href=(to("report.md")) download { "Markdown" }
                a href=(to("report.json")) download { "JSON" }
                span class="soft" { "For programs:" }
                a href=(to("api/v1/report")) { "Report" }
                a href=(to("api/v1/findings")) { "Findings" }
                a href=(to("metrics")) { "Metrics" }
            }
        }
    }

    /// Links that stop the refresh and unfold everything.
    fn controls(&self) -> Markup {
        let View { hold, all, file, .. } = self.view;
        let with = |hold, all| View { hold, all, ..View::default() }.query();
        html! {
            @if !file {
                nav class="controls" aria-label="This page" {
                    a href={ (self.root) "probe-form" } { "Probe now" }
                    @if hold { a href=(with(false, all)) { "Resume updates" } }
                    @else { a href=(with(true, all)) { "Hold still" } }
                    @if all { a href=(with(hold, false)) { "Fold" } }
                    @else { a href=(with(hold, true)) { "Unfold all" } }
                }
            }
        }
    }
}

/// The head of a document: what all have, and what is only this one's own.
fn head(title: &str, tone: Tone, own: &Markup) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            (own)
            title { (words::clean(title)) " · vnetprobe" }
            link rel="icon" href=(icon(tone));
            style { (PreEscaped(STYLE)) }
        }
    }
}

/// A tab icon that shows the state by shape and color; it needs no request.
fn icon(tone: Tone) -> String {
    let (color, body) = match tone {
        Tone::Pass => ("1f8a4c", "M9 16.5l4.5 4.5 9-9.5"),
        Tone::Fail => ("c62f22", "M10.5 10.5l11 11M21.5 10.5l-11 11"),
        Tone::Warn => ("a86800", "M16 8v10M16 23.4v.2"),
        Tone::Unknown | Tone::Waiting => ("5d6a86", "M10 16h.1M16 16h.1M22 16h.1"),
    };
    format!(
        "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E\
         %3Crect width='32' height='32' rx='9' fill='%23{color}'/%3E\
         %3Cpath d='{body}' fill='none' stroke='%23fff' stroke-width='3.4' stroke-linecap='round' stroke-linejoin='round'/%3E%3C/svg%3E"
    )
}
