//! The head of the page: where it was measured from, and the verdict.

use maud::{Markup, html};

use crate::model::{Status, Vantage};
use crate::render::count;
use crate::render::headline::Headline;
use crate::snapshot::Snapshot;

use super::words::{Tone, age, clean, moment, shape};
use super::{Page, findings};

/// Product name and vantage.
pub(super) fn header(page: &Page<'_>) -> Markup {
    let snapshot = page.snapshot;
    let (machine, plan) = (&snapshot.machine, &snapshot.plan);
    let addresses = machine.addresses.iter().map(|a| a.network.addr().to_string());
    let servers = machine.dns_servers.iter().map(ToString::to_string);
    let upstreams: Vec<String> = machine.dns_upstreams.iter().map(ToString::to_string).collect();
    html! {
        header class="top" {
            p class="brand" {
                a href=(page.home()) {
                    svg viewBox="0 0 24 24" width="22" height="22" aria-hidden="true" {
                        path d="M3 5l9 15 9-15" class="stroke" {}
                        circle cx="12" cy="8" r="2.6" fill="currentColor" {}
                    }
                    "vnetprobe"
                }
                span class="soft" { (clean(&machine.hostname)) }
            }
        }
        section class="from" aria-label="Where this was measured from" {
            dl class="vantage" {
                (fact("Workspace", [clean(&plan.workspace).into_owned()], "not named"))
                (fact("Machine", [clean(&machine.hostname).into_owned(), stands(plan.vantage).to_owned()], "its name is not known"))
                (fact("Addresses", addresses, "none"))
                div {
                    dt { "DNS servers" }
                    @if machine.dns_servers.is_empty() { dd { "none" } }
                    @for server in servers { dd { code { (server) } } }
                    @if !upstreams.is_empty() { dd class="soft" { "forwards to " code { (upstreams.join(", ")) } } }
                }
                (fact("Region", [clean(&plan.region).into_owned()], "not set"))
                (fact("Cloud", [plan.cloud.to_string()], "none"))
                (fact("Catalog", [clean(&plan.catalog_date).into_owned()], "undated"))
                (fact("Proxy", machine.proxy.as_deref().map(|p| clean(p).into_owned()), "none"))
            }
        }
    }
}

/// The vantage in words, when it was told.
fn stands(vantage: Vantage) -> &'static str {
    match vantage {
        Vantage::JumpBox => "jump box",
        Vantage::ComputeInstance => "compute instance",
        Vantage::ClusterSubnet => "cluster subnet",
        Vantage::Any => "",
    }
}

fn fact(name: &str, values: impl IntoIterator<Item = String>, otherwise: &str) -> Markup {
    let values: Vec<String> = values.into_iter().filter(|value| !value.is_empty()).collect();
    html! {
        div {
            dt { (name) }
            @if values.is_empty() { dd class="soft" { (otherwise) } }
            @for value in values { dd { code { (value) } } }
        }
    }
}

/// The verdict, since when, the counts and how old they are.
pub(super) fn hero(page: &Page<'_>, headline: &Headline) -> Markup {
    let snapshot = page.snapshot;
    let tone = Tone::of_level(headline.level);
    html! {
        section class={ "hero " (tone.class()) } aria-labelledby="verdict" {
            h1 id="verdict" { (shape(tone)) span { (headline.text) } }
            @if let Some(sentence) = so_far(snapshot) { p { (sentence) } }
            (since(page))
            (counts(snapshot))
            div class="asof" {
                p { "As of " (moment(snapshot.taken_at)) (freshness(snapshot)) }
                (page.controls())
            }
        }
    }
}

/// Since when it has been broken, and whom to ask first.
fn since(page: &Page<'_>) -> Markup {
    let failing = page.findings.iter().filter(|finding| finding.status == Status::Fail);
    let first = failing.clone().filter_map(|finding| finding.since).min();
    let newest = failing.clone().filter_map(|finding| finding.since).max();
    let mut owners: Vec<&str> = Vec::new();
    for owner in failing.filter_map(|finding| findings::owners(finding).first().copied()) {
        if !owners.contains(&owner) {
            owners.push(owner);
        }
    }
    let now = page.snapshot.taken_at;
    html! {
        @if let (Some(first), Some(newest)) = (first, newest) {
            p class="lead" {
                "Broken for " b { (age(first, now)) }
                span class="soft" { ", since " (moment(first)) }
                @if newest != first { span class="soft" { "; the newest fault is " (age(newest, now)) " old" } }
                @if !owners.is_empty() { ". Ask: " b { (owners.join(", ")) } } "."
            }
        }
    }
}

/// What the first round has found before it is over.
fn so_far(snapshot: &Snapshot) -> Option<String> {
    (!snapshot.is_complete()).then(|| match snapshot.findings.len() {
        0 => "Nothing wrong so far. Faults show here as soon as they are seen.".to_owned(),
        faults => {
            format!(
                "{} so far; the picture may change until the round ends.",
                count(faults, "finding")
            )
        }
    })
}

/// How old the oldest and the newest result are, and how often there are new ones.
fn freshness(snapshot: &Snapshot) -> Markup {
    let runs = || snapshot.checks.iter().filter_map(|check| check.last_run_at);
    let ago = |at| age(at, snapshot.taken_at);
    html! {
        @if let (Some(oldest), Some(newest)) = (runs().min(), runs().max()) {
            @let (from, to) = (ago(newest), ago(oldest));
            @if from == to { " · results are " (from) " old" }
            @else { " · results are " (from) " to " (to) " old" }
        } @else { " · no results yet" }
        @if let Some(interval) = snapshot.interval {
            " · each check runs every " (interval.as_secs()) " s"
            @if let Some(oldest) = runs().min().filter(|_| snapshot.is_complete()) {
                @let gone = snapshot.taken_at.duration_since(oldest).as_secs();
                @let left = u64::try_from(gone).map_or(0, |gone| interval.as_secs().saturating_sub(gone));
                @if left == 0 { ", the next one now" } @else { ", the next one in " (left) " s" }
            }
        }
    }
}

/// A bar of the shares, and the same in numbers.
fn counts(snapshot: &Snapshot) -> Markup {
    let waiting = snapshot.checks.iter().filter(|check| check.verdict.is_none()).count();
    let summary = snapshot.summary();
    let shares = [
        (Tone::Fail, summary.fail, "fail"),
        (Tone::Warn, summary.warn, "warn"),
        (Tone::Unknown, summary.unknown.saturating_sub(waiting), "unknown"),
        (Tone::Pass, summary.pass, "pass"),
        (Tone::Waiting, waiting, "waiting"),
    ];
    let total = snapshot.checks.len();
    html! {
        @if total > 0 {
            svg class="bar" viewBox={ "0 0 " (total) " 1" } preserveAspectRatio="none" aria-hidden="true" {
                @for (at, (tone, number, _)) in shares.iter().enumerate() {
                    @if *number > 0 {
                        @let before: usize = shares.iter().take(at).map(|share| share.1).sum();
                        rect class=(tone.class()) x=(before) width=(number) height="1" fill="currentColor" {}
                    }
                }
            }
        }
        ul class="counts" aria-label="Checks by status" {
            @for (tone, number, word) in shares {
                @if number > 0 || tone == Tone::Fail || tone == Tone::Pass {
                    li class=[(number == 0).then_some("zero")] { (shape(tone)) b { (number) } " " (word) }
                }
            }
            @if summary.uncovered > 0 {
                li { a href="#uncovered" { (summary.uncovered) " not covered" } }
            }
        }
    }
}
