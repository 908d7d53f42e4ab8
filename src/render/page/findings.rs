//! Faults: what is wrong, since when, what it blocks, whom to ask for what, how we know.

use maud::{Markup, html};

use crate::cause::Cause;
use crate::finding::Finding;
use crate::model::{Blame, Status};
use crate::remedy::{Owner, is_query};
use crate::render::count;

use super::words::{Tone, age, badge, clean, clean_lines, moment, rich, shape};
use super::{Page, path};

/// The id of a finding's card. It stays the same as long as the fault is the same.
pub(super) fn anchor(id: &str) -> String {
    let kept = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '_' | '-' | '@');
    format!("finding-{}", id.chars().map(|c| if kept(c) { c } else { '-' }).collect::<String>())
}

/// The list on top: each fault in one line, with since when, what it blocks and whom to ask.
pub(super) fn index(page: &Page<'_>) -> Markup {
    html! {
        @if !page.findings.is_empty() {
            section class="index" aria-labelledby="wrong" {
                h2 id="wrong" class="hidden" { "What is wrong, since when, and whom to ask" }
                table {
                    thead {
                        tr {
                            th scope="col" { "Cause" }
                            th scope="col" { "Since" }
                            th scope="col" { "Blocks" }
                            th scope="col" { "Ask" }
                        }
                    }
                    tbody { @for finding in &page.findings { (line(page, finding)) } }
                }
            }
        }
    }
}

fn line(page: &Page<'_>, finding: &Finding) -> Markup {
    let (blocked, degraded) = touched(page, finding);
    let names = |titles: &[(&str, usize)]| {
        titles.iter().map(|(title, _)| *title).collect::<Vec<_>>().join(", ")
    };
    html! {
        tr data-find=(words(page, finding)) {
            th scope="row" {
                span class="cell" {
                    (shape(Tone::of(finding.status)))
                    a href={ "#" (anchor(&finding.id)) } { (rich(&finding.title)) }
                    span class="hidden" { ", " (finding.status.as_str()) }
                }
            }
            td class="num" { (since(page, finding)) }
            td {
                @if blocked.is_empty() && degraded.is_empty() { span class="soft" { "nothing" } }
                (clean(&names(&blocked)))
                @if !degraded.is_empty() {
                    @if !blocked.is_empty() { ", " }
                    span class="soft" { "degrades " (clean(&names(&degraded))) }
                }
            }
            td { (owners(finding).first().copied().unwrap_or("–")) }
        }
    }
}

/// How long it has been so.
fn since(page: &Page<'_>, finding: &Finding) -> Markup {
    html! {
        @match finding.since {
            Some(at) => { time datetime=(at) title=(at.strftime("%Y-%m-%d %H:%M:%S UTC")) { (age(at, page.snapshot.taken_at)) } }
            None => { "–" }
        }
    }
}

/// Whom the steps of the fix address, each once, in order.
pub(super) fn owners(finding: &Finding) -> Vec<&'static str> {
    let mut owners: Vec<&'static str> = Vec::new();
    for step in &finding.fix {
        let owner = Owner::ALL.iter().map(|owner| owner.as_str());
        let owner =
            owner.filter(|name| step.strip_prefix(name).is_some_and(|rest| rest.starts_with(':')));
        owners.extend(owner.filter(|name| !owners.contains(name)).collect::<Vec<_>>());
    }
    owners
}

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
    let id = anchor(&finding.id);
    let tone = Tone::of(finding.status);
    html! {
        article class={ "finding " (tone.class()) } id=(id) aria-labelledby={ (id) "-title" } data-find=(words(page, finding)) {
            header {
                p class="kicker" {
                    (badge(tone, finding.status.as_str()))
                    span { "Finding " (number) }
                    (cause_link("", finding.cause))
                    span class="soft" { (who(finding.cause)) }
                }
                h3 id={ (id) "-title" } { (rich(&finding.title)) }
                (facts(page, finding))
            }
            (path::Way::of(page, finding).drawn(&id))
            div class="columns" {
                (asking(finding, &id))
                (knowing(page, finding, &id))
            }
            (explained(page, finding, &id))
        }
    }
}

/// Since when, what it blocks, whom to ask.
fn facts(page: &Page<'_>, finding: &Finding) -> Markup {
    let (blocked, degraded) = touched(page, finding);
    let owners = owners(finding);
    html! {
        dl class="brief" {
            @if let Some(at) = finding.since {
                div {
                    dt { "Since" }
                    dd { b { (age(at, page.snapshot.taken_at)) } " " span class="soft" { (moment(at)) } }
                }
            }
            @for (word, scenarios) in [("Blocks", blocked), ("Degrades", degraded)] {
                @if !scenarios.is_empty() {
                    div {
                        dt { (word) }
                        dd class="chips" {
                            @for (title, at) in scenarios { a class="chip" href={ "#group-" (at) } { (clean(title)) } }
                        }
                    }
                }
            }
            @if !owners.is_empty() { div { dt { "Ask" } dd { b { (owners.join(", then ")) } } } }
        }
    }
}

/// What to ask for, as it can be pasted into a ticket.
fn asking(finding: &Finding, id: &str) -> Markup {
    html! {
        @if !finding.fix.is_empty() {
            section aria-labelledby={ (id) "-fix" } {
                h4 id={ (id) "-fix" } data-copies={ (id) "-steps" } { "What to ask for" }
                ol id={ (id) "-steps" } class="steps" { @for line in &finding.fix { li { (step(line)) } } }
            }
        }
    }
}

/// What was seen, and how to see it again.
fn knowing(page: &Page<'_>, finding: &Finding, id: &str) -> Markup {
    html! {
        @if !(finding.evidence.is_empty() && finding.prove.is_empty()) {
            section {
                @if !finding.evidence.is_empty() {
                    h4 { "What was seen" }
                    ul { @for line in &finding.evidence { li { (rich(line)) } } }
                }
                @if !finding.prove.is_empty() {
                    h4 id={ (id) "-prove" } { "See it without vnetprobe" }
                    p class="soft" { "On " (clean(&page.snapshot.machine.hostname)) "; log queries in Log Analytics." }
                    (commands(finding))
                }
            }
        }
    }
}

/// What shows the fault without vnetprobe.
pub(super) fn commands(finding: &Finding) -> Markup {
    html! {
        @for command in &finding.prove {
            (lines(command, if is_query(command) { "Log query" } else { "Command" }))
        }
    }
}

/// Lines to copy.
pub(super) fn lines(text: &str, name: &str) -> Markup {
    html! {
        pre data-copy=(name) role="group" aria-label=(name) { code { (clean_lines(text)) } }
    }
}

/// A sentence, and the commands below it.
fn step(text: &str) -> Markup {
    let (sentence, commands) = text.split_once('\n').unwrap_or((text, ""));
    html! {
        (rich(sentence))
        @if !commands.is_empty() { (lines(commands, "Commands")) }
    }
}

/// Titles and numbers of the scenarios a finding blocks, and of those it only degrades.
type Touched<'a> = (Vec<(&'a str, usize)>, Vec<(&'a str, usize)>);

fn touched<'a>(page: &Page<'a>, finding: &Finding) -> Touched<'a> {
    let scenarios = (1..).zip(&page.snapshot.scenarios);
    let (blocked, degraded): (Vec<_>, Vec<_>) = scenarios
        .filter(|(_, report)| finding.scenarios.contains(&report.scenario.id))
        .partition(|(_, report)| blocks(page, finding, &report.scenario.id));
    let named = |list: Vec<(usize, &'a crate::snapshot::ScenarioReport)>| {
        list.into_iter().map(|(at, report)| (report.scenario.title.as_str(), at)).collect()
    };
    (named(blocked), named(degraded))
}

/// Whether a check that a finding explains fails and the scenario cannot do without it.
fn blocks(page: &Page<'_>, finding: &Finding, scenario: &str) -> bool {
    finding.explains.iter().filter_map(|id| page.find(id)).any(|(_, report)| {
        report.status() == Status::Fail
            && report.check.required
            && report.check.scenarios.iter().any(|id| id == scenario)
    })
}

/// What the filter finds a finding by.
fn words(page: &Page<'_>, finding: &Finding) -> String {
    let hosts = finding.explains.iter().filter_map(|id| page.find(id));
    let mut words: Vec<String> =
        vec![finding.status.to_string(), finding.cause.to_string(), finding.title.clone()];
    words.extend(hosts.take(50).map(|(_, report)| report.check.target.authority()));
    words.extend(finding.scenarios.iter().cloned());
    clean(&words.join(" ")).to_lowercase()
}

fn explained(page: &Page<'_>, finding: &Finding, id: &str) -> Markup {
    html! {
        details id={ (id) "-checks" } open[page.view.all] {
            summary { "Explains " (count(finding.explains.len(), "check")) }
            ul class="hosts" {
                @for id in &finding.explains {
                    li {
                        @match page.find(id) {
                            Some((_, report)) => {
                                a href=(page.check(id)) { code { (report.check.target.authority()) } }
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
