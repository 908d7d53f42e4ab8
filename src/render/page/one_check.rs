//! The page of one check: everything known of it.

use std::sync::Arc;

use maud::{Markup, html};

use crate::finding::Finding;
use crate::journal::Event;
use crate::model::{Expect, Proof};
use crate::snapshot::CheckReport;

use super::words::{Tone, age, badge, clean, moment, moment_and_age, ms, rich, segment, shape};
use super::{Page, changes, checks, evidence, findings, glossary, path, scenarios, strip};

pub(super) fn main(page: &Page<'_>, report: &CheckReport, events: &[Arc<Event>]) -> Markup {
    let check = &report.check;
    let mut causes: Vec<_> = report.cause().into_iter().collect();
    causes.extend(report.verdict.iter().flat_map(|v| v.warnings.iter().map(|w| w.cause)));
    causes.extend(report.verdict.iter().flat_map(|v| v.addresses.iter().filter_map(|a| a.cause)));
    causes.sort_unstable();
    causes.dedup();
    let explaining = |f: &&&Finding| f.explains.contains(&check.id);
    html! {
        (hero(page, report))
        @if let Some(finding) = page.findings.iter().find(explaining) {
            section aria-labelledby="where" {
                h2 id="where" { "Where it breaks" }
                (path::Way::of(page, finding).drawn("way"))
            }
        }
        section aria-labelledby="history" {
            h2 id="history" { "Last measurements" }
            (strip::large(&report.strip))
        }
        section aria-labelledby="seen" {
            h2 id="seen" { "What was seen" }
            (evidence::layers(report, 3))
        }
        (changes::failures(page, events))
        (changes::of_check(page, events))
        section aria-labelledby="about" {
            h2 id="about" { "About this check" }
            (about(page, report))
        }
        (glossary::causes(page, &causes, Some(report)))
    }
}

/// What it is, how it stands, since when, and where the time goes.
fn hero(page: &Page<'_>, report: &CheckReport) -> Markup {
    let check = &report.check;
    let tone = Tone::of_report(report);
    let numbers = scenarios::numbers(page, |finding| finding.explains.contains(&check.id));
    html! {
        section class={ "hero " (tone.class()) } aria-labelledby="verdict" {
            nav class="crumbs" aria-label="Way back" { a href=(page.root) { "All checks" } }
            h1 id="verdict" {
                (shape(tone))
                code { (checks::breakable(&check.target.authority())) }
            }
            p class="lead" { (rich(report.summary())) }
            p class="chips" {
                (badge(tone, tone.word()))
                @if let Some(since) = report.since { span { "for " (age(since, page.snapshot.taken_at)) } }
                span { (check.target.kind) }
                @if let Some(cause) = report.cause() {
                    (findings::cause_link("", cause))
                    span class="soft" { (findings::who(cause)) }
                }
                (scenarios::finding_links(page, &numbers))
            }
            (phases(report))
            div class="asof" {
                p { "As of " (moment(page.snapshot.taken_at)) }
                (page.controls())
            }
        }
    }
}

/// Where the time of the last measurement went: a bar, and the same in numbers.
fn phases(report: &CheckReport) -> Markup {
    let phases = report.verdict.as_ref().map(|v| v.phases).unwrap_or_default();
    let total = phases.total().0.as_micros();
    let timed =
        phases.named().map(|(name, time)| (name, time.map_or(0, |t| t.0.as_micros()), time));
    html! {
        @if total > 0 {
            svg class="bar phases" viewBox="0 0 1000 1" preserveAspectRatio="none" aria-hidden="true" {
                @for (at, (name, took, _)) in timed.iter().enumerate() {
                    @let before: u128 = timed.iter().take(at).map(|part| part.1).sum();
                    @if *took > 0 {
                        rect class={ "phase-" (name) } x=(before * 1000 / total) width=((took * 1000 / total).max(4)) height="1" {}
                    }
                }
            }
            ul class="counts" aria-label="Time per phase" {
                @for (name, _, time) in timed {
                    @if let Some(time) = time {
                        li { span class={ "key phase-" (name) } aria-hidden="true" {} (name) " " b { (ms(time)) } }
                    }
                }
                li { "together " b { (ms(phases.total())) } }
            }
        }
    }
}

fn about(page: &Page<'_>, report: &CheckReport) -> Markup {
    let (check, now) = (&report.check, page.snapshot.taken_at);
    let titles: Vec<&str> = page
        .snapshot
        .scenarios
        .iter()
        .filter(|s| check.scenarios.contains(&s.scenario.id))
        .map(|s| s.scenario.title.as_str())
        .collect();
    html! {
        dl class="facts" {
            @if !check.purpose.is_empty() { dt { "For" } dd { (clean(&check.purpose)) } }
            @if !titles.is_empty() {
                dt { "Needed by" }
                dd {
                    (clean(&titles.join(", ")))
                    @if !check.required { span class="soft" { " (they work without it, but worse)" } }
                }
            }
            dt { "Requirement" }
            dd {
                code { (clean(&check.requirement)) } ", pattern " code { (clean(&check.pattern)) }
                @if check.proof == Proof::Representative {
                    span class="soft" { " – this host stands for the pattern; others are not tested" }
                }
            }
            dt { "Expected" } dd { (expected(report)) }
            @if let Some(tag) = &check.service_tag { dt { "Service tag" } dd { code { (clean(tag)) } } }
            @if check.target.path.len() > 1 { dt { "Path" } dd { code { (clean(&check.target.path)) } } }
            dt { "Last measured" } dd { (moment_and_age(report.last_run_at, now)) }
            dt { "Last success" } dd { (moment_and_age(report.last_success_at, now)) }
            dt { "Unchanged since" } dd { (moment_and_age(report.since, now)) }
            dt { "Measurements" } dd { (report.attempts) ", of which " (report.failures) " failed" }
            dt { "Data" }
            dd { a href={ (page.root) "api/v1/checks/" (segment(&check.id)) } { "JSON of this check" } }
        }
    }
}

fn expected(report: &CheckReport) -> Markup {
    let expectation = &report.check.expectation;
    let list = |values: Vec<String>| values.join(", ");
    let declared = list(expectation.declared.iter().map(ToString::to_string).collect());
    let subnets = list(expectation.subnets.iter().map(ToString::to_string).collect());
    html! {
        @match expectation.expect {
            Expect::Private => { "a private endpoint’s address" }
            Expect::Public => { "a public address" }
            Expect::Any => { "any address" }
        }
        @if !declared.is_empty() { ", namely " code { (declared) } }
        @if !subnets.is_empty() { ", inside " code { (subnets) } }
        @if let Some(zone) = &expectation.zone { ", zone " code { (clean(zone)) } }
    }
}
