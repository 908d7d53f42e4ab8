//! Faults: what is wrong, what it blocks, how we know, what to ask whom.

use maud::{Markup, html};

use crate::cause::Cause;
use crate::finding::Finding;
use crate::model::{Blame, Status};

use super::Page;
use super::words::{Tone, badge, clean, clean_lines, count, rich, segment};

pub(super) fn section(page: &Page<'_>) -> Markup {
    html! {
        section aria-labelledby="findings" {
            h2 id="findings" { "Findings" }
            @if page.findings.is_empty() {
                p class="soft" {
                    @if page.snapshot.is_complete() { "Nothing is wrong with what was checked." }
                    @else { "None so far." }
                }
            }
            @for (number, finding) in (1..).zip(&page.findings) { (article(page, number, finding)) }
        }
    }
}

fn article(page: &Page<'_>, number: usize, finding: &Finding) -> Markup {
    html! {
        article class="finding" id={ "finding-" (number) } aria-labelledby={ "finding-" (number) "-title" } {
            header {
                p class="kicker" {
                    (badge(Tone::of(finding.status), finding.status.as_str()))
                    span { "Finding " (number) }
                    (cause_link("", finding.cause))
                    span class="soft" { (who(finding.cause)) }
                }
                h3 id={ "finding-" (number) "-title" } { (rich(&finding.title)) }
                (touched(page, finding))
            }
            div class="columns" {
                @if !finding.evidence.is_empty() {
                    div {
                        h4 { "What was seen" }
                        ul { @for line in &finding.evidence { li { (rich(line)) } } }
                    }
                }
                @if !finding.fix.is_empty() {
                    div {
                        h4 { "What to ask for" }
                        ol { @for line in &finding.fix { li { (step(line)) } } }
                    }
                }
            }
            @if !finding.prove.is_empty() {
                h4 { "See it without vnetprobe" }
                (commands(finding))
            }
            (explained(page, finding))
        }
    }
}

/// What shows the fault without vnetprobe.
pub(super) fn commands(finding: &Finding) -> Markup {
    html! { @for command in &finding.prove { pre { code { (clean_lines(command)) } } } }
}

/// A sentence, and the commands below it.
fn step(text: &str) -> Markup {
    let (sentence, commands) = text.split_once('\n').unwrap_or((text, ""));
    html! {
        (rich(sentence))
        @if !commands.is_empty() { pre { code { (clean_lines(commands)) } } }
    }
}

/// The scenarios a finding blocks or degrades, each a link to its checks.
fn touched(page: &Page<'_>, finding: &Finding) -> Markup {
    let scenarios = page.snapshot.scenarios.iter().enumerate();
    let (blocked, degraded): (Vec<_>, Vec<_>) = scenarios
        .filter(|(_, report)| finding.scenarios.contains(&report.scenario.id))
        .partition(|(_, report)| blocks(page, finding, &report.scenario.id));
    html! {
        @for (word, scenarios) in [("Blocks", blocked), ("Degrades", degraded)] {
            @if !scenarios.is_empty() {
                p class="touched" {
                    span class="soft" { (word) }
                    @for (at, report) in scenarios {
                        a class="chip" href={ "#group-" (at + 1) } { (clean(&report.scenario.title)) }
                    }
                }
            }
        }
    }
}

/// Whether a check that a finding explains fails and the scenario cannot do without it.
fn blocks(page: &Page<'_>, finding: &Finding, scenario: &str) -> bool {
    finding.explains.iter().filter_map(|id| page.find(id)).any(|(_, report)| {
        report.status() == Status::Fail
            && report.check.required
            && report.check.scenarios.iter().any(|id| id == scenario)
    })
}

fn explained(page: &Page<'_>, finding: &Finding) -> Markup {
    html! {
        details open[page.view.all] {
            summary { "Explains " (count(finding.explains.len(), "check")) }
            ul class="hosts" {
                @for id in &finding.explains {
                    li {
                        @match page.find(id) {
                            Some((_, report)) => {
                                a href={ (page.root) "checks/" (segment(id)) } {
                                    code { (report.check.target.authority()) }
                                }
                                " " span class="soft" { (report.check.target.kind) }
                            }
                            None => { code { (clean(id)) } }
                        }
                    }
                }
            }
        }
    }
}

/// A cause's code as a link to its explanation on the same page.
pub(super) fn cause_link(base: &str, cause: Cause) -> Markup {
    html! { a class="cause" href={ (base) "#cause-" (cause) } { code { (cause) } } }
}

/// Whom a cause points at.
pub(super) fn who(cause: Cause) -> &'static str {
    match cause.info().blame {
        Blame::Target => "the service itself",
        Blame::Path => "on the way: firewall, route or proxy",
        Blame::Dns => "name resolution",
        Blame::Us => "this machine",
    }
}
