//! One card per scenario: can people do this?

use maud::{Markup, html};

use crate::finding::Finding;
use crate::render::count;
use crate::snapshot::{ScenarioReport, ScenarioStatus};

use super::words::{Tone, badge, clean, rich};
use super::{Page, findings};

pub(super) fn cards(page: &Page<'_>) -> Markup {
    html! {
        @if !page.snapshot.scenarios.is_empty() {
            section aria-labelledby="scenarios" {
                h2 id="scenarios" { "Scenarios" }
                ul class="cards" {
                    @for (at, report) in page.snapshot.scenarios.iter().enumerate() {
                        (card(page, at, report))
                    }
                }
            }
        }
    }
}

fn card(page: &Page<'_>, at: usize, report: &ScenarioReport) -> Markup {
    html! {
        li class={ "card " (Tone::of_scenario(report.status).class()) } data-find=(words(report)) {
            h3 { a href={ "#group-" (at + 1) } { (clean(&report.scenario.title)) } }
            p { (status(page, report)) span class="soft" { (state(page, report)) } }
            // The catalog says what people cannot do without it.
            @if !report.scenario.purpose.is_empty() && report.status != ScenarioStatus::Ready {
                p class="soft" { (rich(&report.scenario.purpose)) }
            }
            @let numbers = findings_of(page, &report.scenario.id);
            @if !numbers.is_empty() { p class="chips" { (finding_links(page, &numbers)) } }
        }
    }
}

/// What the filter finds a scenario by.
fn words(report: &ScenarioReport) -> String {
    let scenario = &report.scenario;
    let words = format!("{} {} {}", report.status, scenario.id, scenario.title);
    clean(&words).to_lowercase()
}

/// Badge of a scenario; while nothing is known of it, it waits.
pub(super) fn status(page: &Page<'_>, report: &ScenarioReport) -> Markup {
    if report.status == ScenarioStatus::Unknown && !page.snapshot.is_complete() {
        return badge(Tone::Waiting, "waiting");
    }
    badge(Tone::of_scenario(report.status), report.status.as_str())
}

fn state(page: &Page<'_>, report: &ScenarioReport) -> String {
    let (blockers, checks) = (report.blocked_by.len(), report.checks);
    let of = format!("{blockers} of {}", count(checks, "check"));
    match report.status {
        ScenarioStatus::Ready => match checks {
            0 => "no check covers it".to_owned(),
            1 => "its one check passes".to_owned(),
            checks => format!("all {checks} checks pass"),
        },
        ScenarioStatus::Blocked => format!("{of} stop{} it", if blockers == 1 { "s" } else { "" }),
        ScenarioStatus::Degraded => format!("{of} to look at"),
        ScenarioStatus::Unknown if page.snapshot.is_complete() => {
            "not everything could be measured".to_owned()
        }
        ScenarioStatus::Unknown => format!("{} in the first round", count(checks, "check")),
    }
}

/// Numbers of the findings that touch a scenario.
pub(super) fn findings_of(page: &Page<'_>, scenario: &str) -> Vec<usize> {
    numbers(page, |finding| finding.scenarios.iter().any(|id| id == scenario))
}

/// Numbers of the findings that are so.
pub(super) fn numbers(page: &Page<'_>, is_so: impl Fn(&Finding) -> bool) -> Vec<usize> {
    (1..).zip(&page.findings).filter(|(_, finding)| is_so(finding)).map(|(at, _)| at).collect()
}

/// Links to findings by number and cause.
pub(super) fn finding_links(page: &Page<'_>, numbers: &[usize]) -> Markup {
    // On the status page itself the link stays inside the page and its view.
    let base = if page.root == "./" { "" } else { page.root };
    html! {
        @for number in numbers {
            @if let Some(finding) = page.findings.get(number.saturating_sub(1)) {
                a class="chip" href={ (base) "#" (findings::anchor(&finding.id)) } title=(clean(&finding.title)) {
                    (number) ": " (finding.cause)
                }
            }
        }
    }
}
