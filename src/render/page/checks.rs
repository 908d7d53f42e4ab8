//! All checks, grouped by scenario: what needs attention in the open, the rest folded.

use maud::{Markup, html};

use crate::limits;
use crate::snapshot::{CheckReport, ScenarioReport, Snapshot};
use crate::verdict::Phases;

use super::words::{Tone, age, badge, clean, count, ms, rich, segment};
use super::{Page, evidence, findings, scenarios};

/// One group of the list.
struct Group<'a> {
    /// Its scenario; absent for checks that no scenario needs.
    scenario: Option<&'a ScenarioReport>,
    /// Its checks with their positions, worst first.
    checks: Vec<(usize, &'a CheckReport)>,
}

pub(super) fn section(page: &Page<'_>) -> Markup {
    html! {
        section aria-labelledby="checks" {
            h2 id="checks" { "Checks" }
            p class="soft" {
                "Each check is listed once, under the first scenario that needs it. "
                "What passes is folded."
            }
            @for (at, group) in groups(page.snapshot).iter().enumerate() { (block(page, at, group)) }
        }
    }
}

fn groups(snapshot: &Snapshot) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = snapshot
        .scenarios
        .iter()
        .map(Some)
        .chain([None])
        .map(|scenario| Group { scenario, checks: Vec::new() })
        .collect();
    for (at, report) in snapshot.checks.iter().enumerate() {
        let home = groups.iter_mut().find(|group| {
            group.scenario.is_none_or(|s| report.check.scenarios.contains(&s.scenario.id))
        });
        if let Some(group) = home {
            group.checks.push((at, report.as_ref()));
        }
    }
    groups.retain(|group| group.scenario.is_some() || !group.checks.is_empty());
    for group in &mut groups {
        // Stable: the plan's order within a tone.
        group.checks.sort_by_key(|(_, report)| std::cmp::Reverse(Tone::of_report(report)));
    }
    groups
}

fn block(page: &Page<'_>, at: usize, group: &Group<'_>) -> Markup {
    let of = |wanted: fn(Tone) -> bool| -> Vec<_> {
        group.checks.iter().filter(|(_, report)| wanted(Tone::of_report(report))).collect()
    };
    let (open, passing) = (of(|tone| tone > Tone::Waiting), of(|tone| tone == Tone::Pass));
    let waiting = of(|tone| tone == Tone::Waiting);
    let title = group.scenario.map_or("Other checks".into(), |s| clean(&s.scenario.title));
    let id = format!("group-{}", at + 1);
    if !open.is_empty() || (passing.is_empty() && waiting.is_empty()) {
        return html! {
            div class="group" id=(id) {
                div class="head" { (head(page, &title, group)) }
                @if !open.is_empty() { (table(page, &format!("{title}: to look at"), &open)) }
                (fold(page, &title, Tone::Waiting, &waiting))
                (fold(page, &title, Tone::Pass, &passing))
            }
        };
    }
    html! {
        details class="group" id=(id) open[page.view.all] {
            summary {
                span class="head" {
                    (head(page, &title, group))
                    span class="soft" { (folded(passing.len(), waiting.len())) }
                }
            }
            @if !waiting.is_empty() { (table(page, &format!("{title}: waiting"), &waiting)) }
            @if !passing.is_empty() { (table(page, &format!("{title}: passing"), &passing)) }
        }
    }
}

/// What a folded group holds.
fn folded(passing: usize, waiting: usize) -> String {
    match (passing, waiting) {
        (passing, 0) => format!("{passing} pass"),
        (0, waiting) => format!("{waiting} waiting for a first result"),
        (passing, waiting) => format!("{passing} pass, {waiting} waiting for a first result"),
    }
}

/// Rows that need no attention now.
fn fold(page: &Page<'_>, title: &str, tone: Tone, rows: &[&(usize, &CheckReport)]) -> Markup {
    let number = rows.len();
    let (word, text) = match tone {
        Tone::Waiting => ("waiting", folded(0, number)),
        _ => ("passing", folded(number, 0)),
    };
    html! {
        @if number > 0 {
            details class="fold" open[page.view.all] {
                summary { (badge(tone, &text)) }
                (table(page, &format!("{title}: {word}"), rows))
            }
        }
    }
}

fn head(page: &Page<'_>, title: &str, group: &Group<'_>) -> Markup {
    html! {
        h3 { (title) }
        @if let Some(report) = group.scenario {
            (scenarios::status(page, report))
            @let numbers = scenarios::findings_of(page, &report.scenario.id);
            (scenarios::finding_links(page, &numbers))
            @let elsewhere = report.checks.saturating_sub(group.checks.len());
            @if elsewhere > 0 {
                span class="soft" { "needs " (count(elsewhere, "more check")) " listed above" }
            }
        }
    }
}

fn table(page: &Page<'_>, caption: &str, rows: &[&(usize, &CheckReport)]) -> Markup {
    html! {
        table class="checks" {
            caption class="hidden" { (caption) }
            thead {
                tr {
                    th scope="col" { "Status" }
                    th scope="col" { "Host and port" }
                    th scope="col" { "Kind" }
                    th scope="col" { "Time" }
                    th scope="col" { "Age" }
                    th scope="col" { "More" }
                }
            }
            @for (at, report) in rows { (row(page, *at, report)) }
        }
    }
}

fn row(page: &Page<'_>, at: usize, report: &CheckReport) -> Markup {
    let check = &report.check;
    let tone = Tone::of_report(report);
    let link = segment(&check.id);
    html! {
        tbody id={ "check-" (at + 1) } class=(tone.class()) {
            tr {
                td { (badge(tone, tone.word())) }
                th scope="row" {
                    a href={ (page.root) "checks/" (link) } { code { (breakable(&check.target.authority())) } }
                }
                td { (check.target.kind) }
                td class="num" { (phases(report)) }
                td class="num" {
                    @match report.last_run_at {
                        Some(run) => { (age(run, page.snapshot.taken_at)) }
                        None => { "–" }
                    }
                }
                td {
                    a href={ (page.root) "api/v1/checks/" (link) } aria-label={ "JSON of " (check.target.authority()) } { "JSON" }
                }
            }
            @if report.verdict.is_some() {
                tr class="more" { td {} td colspan="5" { (story(page, report, tone)) } }
            }
        }
    }
}

/// The sentence, and behind it what each layer saw.
fn story(page: &Page<'_>, report: &CheckReport, tone: Tone) -> Markup {
    let sentence = html! {
        (rich(report.summary()))
        @if let Some(cause) = report.cause() { " " (findings::cause_link("", cause)) }
    };
    let few = page.snapshot.checks.len() <= limits::PAGE_EVIDENCE_CHECKS;
    html! {
        @if few || tone != Tone::Pass {
            details open[page.view.all && tone != Tone::Pass] {
                summary { (sentence) }
                (evidence::layers(report, 4))
            }
        } @else {
            p { (sentence) }
        }
    }
}

/// The whole time in front, its parts behind it.
fn phases(report: &CheckReport) -> Markup {
    let phases = report.verdict.as_ref().map(|v| v.phases).unwrap_or_default();
    html! {
        @if phases == Phases::default() { "–" } @else {
            b { (ms(phases.total())) }
            span class="parts" { (parts(phases)) }
        }
    }
}

/// `dns 3.1 ms · connect 12 ms`.
pub(super) fn parts(phases: Phases) -> String {
    let named = phases.named();
    let parts = named.iter().filter_map(|(name, time)| time.map(|t| format!("{name} {}", ms(t))));
    parts.collect::<Vec<_>>().join(" · ")
}

/// A host that may break after its dots where the page is narrow.
pub(super) fn breakable(host: &str) -> Markup {
    html! {
        @for (at, label) in host.split('.').enumerate() {
            @if at > 0 { "." wbr; }
            (label)
        }
    }
}
