//! The grid of all checks, grouped by scenario: a row per check with its strip, the worst first.

use maud::{Markup, html};

use crate::limits;
use crate::render::count;
use crate::snapshot::{CheckReport, ScenarioReport, Snapshot};
use crate::verdict::Phases;

use super::words::{Tone, age, badge, clean, ms, rich};
use super::{Page, evidence, scenarios, strip};

/// One group of the grid.
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
                "Each check is listed once, under the first scenario that needs it. The strip shows its "
                "last measurements, the newest at the right: the taller a mark, the worse."
            }
            p class="nothing" id="nothing" hidden { "No check or finding matches." }
            div class="grid" {
                @for (at, group) in groups(page.snapshot).iter().enumerate() { (block(page, at, group)) }
            }
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
    let title = group.scenario.map_or("Other checks".into(), |s| clean(&s.scenario.title));
    let calm = group.checks.iter().all(|(_, report)| Tone::of_report(report) == Tone::Pass);
    let open = page.view.all || !calm || page.snapshot.checks.len() <= limits::PAGE_OPEN_CHECKS;
    html! {
        details class="group" id={ "group-" (at + 1) } open[open] {
            summary { span class="head" { (head(&title, page, group)) } }
            @if !group.checks.is_empty() { (table(page, &title, &group.checks)) }
        }
    }
}

/// Title, state, and how many of its checks are how.
fn head(title: &str, page: &Page<'_>, group: &Group<'_>) -> Markup {
    let with = |tone| group.checks.iter().filter(|(_, r)| Tone::of_report(r) == tone).count();
    html! {
        h3 { (title) }
        @if let Some(report) = group.scenario { (scenarios::status(page, report)) }
        span class="soft tally" {
            @for tone in [Tone::Fail, Tone::Warn, Tone::Unknown, Tone::Waiting, Tone::Pass] {
                @let number = with(tone);
                @if number > 0 { span { (number) " " (tone.word()) } }
            }
            @if let Some(report) = group.scenario {
                @let elsewhere = report.checks.saturating_sub(group.checks.len());
                @if elsewhere > 0 { span { (count(elsewhere, "more check")) " listed above" } }
            }
        }
    }
}

fn table(page: &Page<'_>, caption: &str, rows: &[(usize, &CheckReport)]) -> Markup {
    html! {
        table class="checks" {
            caption class="hidden" { (caption) }
            thead {
                tr {
                    th scope="col" { "Status" }
                    th scope="col" { "Host and port" }
                    th scope="col" { "Kind" }
                    th scope="col" { "History" }
                    th scope="col" { "Time" }
                    th scope="col" { "Age" }
                }
            }
            @for (at, report) in rows { (row(page, *at, report)) }
        }
    }
}

fn row(page: &Page<'_>, at: usize, report: &CheckReport) -> Markup {
    let check = &report.check;
    let tone = Tone::of_report(report);
    html! {
        tbody id={ "check-" (at + 1) } class=(tone.class()) data-find=(words(report)) {
            tr {
                td { (badge(tone, tone.word())) }
                th scope="row" {
                    a href=(page.check(&check.id)) { code { (breakable(&check.target.authority())) } }
                    span class="requirement" { (clean(&check.requirement)) }
                }
                td { (check.target.kind) }
                td { (strip::small(&report.strip)) }
                td class="num" { (time(report)) }
                td class="num" {
                    @match report.last_run_at {
                        Some(run) => { (age(run, page.snapshot.taken_at)) }
                        None => { "–" }
                    }
                }
            }
            @if report.verdict.is_some() && tone != Tone::Pass {
                tr class="more" { td {} td colspan="5" { (story(page, at, report)) } }
            }
        }
    }
}

/// What the filter finds a check by.
fn words(report: &CheckReport) -> String {
    let cause = report.cause().map_or("", crate::cause::Cause::as_str);
    let target = &report.check.target;
    let words = format!(
        "{} {} {cause} {} {} {}",
        Tone::of_report(report).word(),
        target.authority(),
        target.kind,
        report.check.requirement,
        report.check.scenarios.join(" ")
    );
    clean(&words).to_lowercase()
}

/// The sentence, since when, and behind it what each layer saw.
fn story(page: &Page<'_>, at: usize, report: &CheckReport) -> Markup {
    html! {
        details id={ "seen-" (at + 1) } open[page.view.all] {
            summary {
                @if let Some(cause) = report.cause() { code { (cause) } " " }
                @if let Some(since) = report.since {
                    b { "for " (age(since, page.snapshot.taken_at)) } ": "
                }
                (rich(report.summary()))
            }
            (evidence::layers(report, 4))
        }
    }
}

/// The time all phases took together; its parts for whoever points at it.
fn time(report: &CheckReport) -> Markup {
    let phases = report.verdict.as_ref().map(|v| v.phases).unwrap_or_default();
    html! {
        @if phases == Phases::default() { "–" } @else {
            span title=(parts(phases)) { (ms(phases.total())) }
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
