//! The status page and the page of one check, as HTML that needs nothing else.
//!
//! Pure: the same snapshot gives the same bytes, because ages count from the snapshot's own time.
//! Links are relative, so the pages also work below a path of a reverse proxy.

mod checks;
mod evidence;
mod findings;
mod glossary;
mod one_check;
pub(super) mod phrases;
mod probe_form;
mod scenarios;
mod tls;
mod top;
mod words;

use std::collections::BTreeMap;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::finding::Finding;
use crate::render::headline::Headline;
use crate::snapshot::{CheckReport, Snapshot};

use words::{Tone, count, moment, shapes};

/// The style sheet inside every page, for the hash in the Content-Security-Policy.
pub const STYLE: &str = include_str!("page/page.css");

/// Seconds until a page is fetched again: while the first round runs, and later.
const REFRESH_SECONDS: (u32, u32) = (15, 30);

/// How a reader wants the page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct View {
    /// It stays as it is: no refresh, for reading and copying.
    pub hold: bool,
    /// Everything that can be folded is unfolded, for searching and printing.
    pub all: bool,
}

impl View {
    /// Reads the query of a request; unknown words are ignored.
    pub fn of_query(query: &str) -> Self {
        let says = |word| query.split('&').any(|part| part.split('=').next() == Some(word));
        Self { hold: says("hold"), all: says("all") }
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
        (top::hero(&page, &headline))
        (scenarios::cards(&page))
        (findings::section(&page))
        (checks::section(&page))
        (glossary::uncovered(&page))
        (glossary::causes(&page, &glossary::causes_of(snapshot), None))
    };
    let title = format!("{} · {}", headline.text, snapshot.machine.hostname);
    page.document(&title, Tone::of_level(headline.level), &main)
}

/// The page of one check; nothing when there is no check of that id.
pub fn check(snapshot: &Snapshot, id: &str) -> Option<String> {
    check_as(snapshot, id, View::default())
}

/// The page of one check, as its reader wants it.
pub fn check_as(snapshot: &Snapshot, id: &str, view: View) -> Option<String> {
    let page = Page::new(snapshot, view, "../");
    let (_, report) = page.find(id)?;
    let tone = Tone::of_report(report);
    let title = format!("{}: {}", report.check.target.authority(), tone.word());
    Some(page.document(&title, tone, &one_check::main(&page, report)))
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

    fn document(&self, title: &str, tone: Tone, main: &Markup) -> String {
        let seconds =
            if self.snapshot.is_complete() { REFRESH_SECONDS.1 } else { REFRESH_SECONDS.0 };
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    @if !self.view.hold { meta http-equiv="refresh" content=(seconds); }
                    title { (words::clean(title)) " · vnetprobe" }
                    link rel="icon" href=(icon(tone));
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    a class="skip" href="#main" { "Skip to the verdict" }
                    (shapes())
                    (top::header(self))
                    main id="main" { (main) }
                    (self.footer())
                }
            }
        }
        .into_string()
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
                }
                nav aria-label="Data" {
                    a href={ (self.root) "api/v1/report" } { "Report (JSON)" }
                    a href={ (self.root) "api/v1/findings" } { "Findings (JSON)" }
                    a href={ (self.root) "probe-form" } { "Probe now" }
                    a href={ (self.root) "metrics" } { "Metrics" }
                    a href={ (self.root) "-/ready" } { "Readiness" }
                }
            }
        }
    }

    /// Links that stop the refresh and unfold everything.
    fn controls(&self) -> Markup {
        let View { hold, all } = self.view;
        html! {
            nav class="controls" aria-label="This page" {
                @if hold {
                    a href=(View { hold: false, all }.query()) { "Resume refresh" }
                } @else {
                    a href=(View { hold: true, all }.query()) { "Hold still" }
                }
                @if all {
                    a href=(View { hold, all: false }.query()) { "Fold" }
                } @else {
                    a href=(View { hold, all: true }.query()) { "Unfold all" }
                }
            }
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
