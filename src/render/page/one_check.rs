//! The page of one check: everything known of it.

use maud::{Markup, html};

use crate::model::{Expect, Proof};
use crate::snapshot::CheckReport;

use super::words::{Tone, badge, clean, moment_and_age, rich, segment, shape};
use super::{Page, checks, evidence, findings, glossary, scenarios};

pub(super) fn main(page: &Page<'_>, report: &CheckReport) -> Markup {
    let check = &report.check;
    let tone = Tone::of_report(report);
    let numbers = scenarios::numbers(page, |finding| finding.explains.contains(&check.id));
    let mut causes: Vec<_> = report.cause().into_iter().collect();
    causes.extend(report.verdict.iter().flat_map(|v| v.warnings.iter().map(|w| w.cause)));
    causes.extend(report.verdict.iter().flat_map(|v| v.addresses.iter().filter_map(|a| a.cause)));
    causes.sort_unstable();
    causes.dedup();
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
                span { (check.target.kind) }
                @if let Some(cause) = report.cause() {
                    (findings::cause_link("", cause))
                    span class="soft" { (findings::who(cause)) }
                }
                (scenarios::finding_links(page, &numbers))
            }
            (page.controls())
        }
        section aria-labelledby="seen" {
            h2 id="seen" { "What was seen" }
            (evidence::layers(report, 3))
        }
        section aria-labelledby="about" {
            h2 id="about" { "About this check" }
            (about(page, report))
        }
        (glossary::causes(page, &causes, Some(report)))
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
