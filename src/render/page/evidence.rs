//! What each layer saw of one check.

use maud::{Markup, html};

use crate::model::{Elapsed, printable};
use crate::observation::{
    AboveTcp, Alias, Answer, Climb, ClimbOutcome, DnsObservation, Exchange, ExchangeOutcome,
    HttpObservation, HttpOutcome, Observation, ProxyObservation, ProxyOutcome, ServerObservation,
};
use crate::render::count;
use crate::render::followups;
use crate::snapshot::CheckReport;
use crate::verdict::Verdict;

use super::words::{Tone, badge, clean_lines, ms, rich};
use super::{checks, findings, phrases, tls};

/// A heading of the level its place asks for.
pub(super) fn heading(level: u8, text: &str) -> Markup {
    html! {
        @match level {
            3 => { h3 { (text) } }
            4 => { h4 { (text) } }
            5 => { h5 { (text) } }
            _ => { h6 { (text) } }
        }
    }
}

/// All layers, under headings of this level.
pub(super) fn layers(report: &CheckReport, level: u8) -> Markup {
    html! {
        div class="layers" {
            @if let Some(verdict) = &report.verdict {
                @for warning in &verdict.warnings {
                    p class="note" {
                        (badge(Tone::Warn, "warn")) " " (rich(&warning.summary)) " "
                        (findings::cause_link("", warning.cause))
                    }
                }
                @let times = checks::parts(verdict.phases);
                @if !times.is_empty() { p class="soft" { (times) } }
            }
            @match &report.observation {
                Some(observation) => { (seen(observation, report.verdict.as_deref(), level)) }
                None => { p class="soft" { "No evidence yet." } }
            }
        }
    }
}

/// What each layer saw, of now or of an earlier failure.
pub(super) fn seen(seen: &Observation, verdict: Option<&Verdict>, level: u8) -> Markup {
    html! {
        @if let Some(dns) = &seen.dns { (resolution(dns, level)) }
        @if let Some(proxy) = &seen.proxy { (through(proxy, level)) }
        @for (at, climb) in seen.climbs.iter().enumerate() {
            @let earlier = seen.climbs.get(..at).unwrap_or_default();
            (address(climb, earlier, verdict, level))
        }
        @if seen.addresses_not_tried > 0 {
            p class="soft" { (count(seen.addresses_not_tried, "more address")) " not tried." }
        }
        @if !seen.experiments.is_empty() { (tried(seen, level)) }
    }
}

// ---------------------------------------------------------------------------------------- DNS

fn resolution(dns: &DnsObservation, level: u8) -> Markup {
    // Aliases are long and mostly the same everywhere: shown once, then only named.
    let first = dns.servers.iter().find_map(|server| aliases(&server.a));
    html! {
        div class="layer" {
            (heading(level, "Name resolution"))
            @if !dns.hosts_file.is_empty() {
                p class="note" {
                    "The hosts file answers, so no application asks DNS: "
                    @for ip in &dns.hosts_file { code { (ip) } " " }
                }
            }
            @for server in &dns.servers { (one_server(server, first)) }
        }
    }
}

fn one_server(seen: &ServerObservation, first: Option<&[Alias]>) -> Markup {
    let own = aliases(&seen.a);
    html! {
        div class="server" {
            p { b { code { (seen.server) } } " " span class="soft" { (phrases::role(seen.role)) } }
            dl class="exchanges" {
                dt { "A" } dd { (exchange(&seen.a, &[first])) }
                dt { "AAAA" } dd { (exchange(&seen.aaaa, &[first, own])) }
            }
        }
    }
}

/// The aliases of an answer that has some.
fn aliases(seen: &Exchange) -> Option<&[Alias]> {
    match &seen.outcome {
        ExchangeOutcome::Answer(answer) if !answer.chain.is_empty() => Some(&answer.chain),
        _ => None,
    }
}

fn exchange(seen: &Exchange, shown: &[Option<&[Alias]>]) -> Markup {
    html! {
        @match &seen.outcome {
            ExchangeOutcome::Answer(answer) => {
                b { (phrases::rcode(answer.rcode)) }
                (transport(seen))
                (records(answer, shown))
            }
            ExchangeOutcome::Failed(failure) => {
                b class="bad" { (phrases::dns_failure(failure)) }
                (transport(seen))
            }
        }
    }
}

fn transport(seen: &Exchange) -> Markup {
    html! {
        span class="soft" {
            " · " (ms(seen.elapsed)) " · "
            @if seen.over_tcp { "UDP, truncated, then TCP" } @else { "UDP" }
            @if seen.attempts > 1 { ", sent " (seen.attempts) " times" }
        }
    }
}

fn records(answer: &Answer, shown: &[Option<&[Alias]>]) -> Markup {
    let chain = answer.chain.as_slice();
    let repeats = |other: &[Alias]| {
        !std::ptr::eq(other, chain)
            && other.len() == chain.len()
            && other.iter().zip(chain).all(|(a, b)| a.from == b.from && a.to == b.to)
    };
    let repeated = !chain.is_empty() && shown.iter().flatten().any(|other| repeats(other));
    html! {
        @if repeated { span class="soft" { " · the same aliases" } }
        @if answer.addresses.is_empty() {
            span class="soft" {
                " · no address"
                @if let Some(seconds) = answer.negative_ttl { ", may be remembered for " (seconds) " s" }
            }
        }
        ul class="records" {
            @if !repeated { (steps(&answer.chain)) }
            @for record in &answer.addresses {
                li {
                    @if !answer.chain.is_empty() { "→ " }
                    code class="ip" { (record.ip) } (ttl(record.ttl))
                }
            }
        }
        @if answer.chain_loops { p class="bad" { "The aliases lead in a circle." } }
    }
}

/// Alias steps: each name once, as long as one step begins where the last one ended.
fn steps(chain: &[Alias]) -> Markup {
    html! {
        @for (at, alias) in chain.iter().enumerate() {
            @let before = at.checked_sub(1).and_then(|before| chain.get(before));
            @if before.is_none_or(|before| before.to != alias.from) {
                li { code { (checks::breakable(&printable(&alias.from))) } }
            }
            li { "→ " code { (checks::breakable(&printable(&alias.to))) } (ttl(alias.ttl)) }
        }
    }
}

fn ttl(seconds: u32) -> Markup {
    html! { span class="soft" { " ttl " (seconds) " s" } }
}

// -------------------------------------------------------------------------------------- proxy

/// Whether a proxy is used, why, and what it did.
fn through(seen: &ProxyObservation, level: u8) -> Markup {
    let used = seen.outcome != ProxyOutcome::Bypassed;
    let bad = used && seen.outcome != ProxyOutcome::Open;
    let elapsed = used.then_some(seen.elapsed);
    html! {
        div class="layer" {
            (heading(level, "Proxy"))
            p { b { code { (printable(&seen.url)) } } " "
                span class="soft" { @if used { "used: " } @else { "not used: " } (rich(&seen.why)) } }
            @if used { (step("Proxy", elapsed, bad, &phrases::proxy(seen))) }
            @if let ProxyOutcome::Answered { headers, body, .. } = &seen.outcome {
                (answer(headers, body))
            }
            @if let Some(lives) = seen.lives {
                (step("Besides", None, !lives, phrases::lives(lives)))
            }
        }
    }
}

// -------------------------------------------------------------------------------- connections

fn address(climb: &Climb, earlier: &[Climb], verdict: Option<&Verdict>, level: u8) -> Markup {
    let judged = verdict.and_then(|v| v.addresses.iter().find(|a| a.ip == climb.ip));
    let place = std::net::SocketAddr::from((climb.ip, climb.port));
    html! {
        div class="layer" {
            (heading(level, &format!("Address {place}")))
            @if let Some(judged) = judged {
                p class="chips" {
                    (badge(Tone::of(judged.status), judged.status.as_str()))
                    @if let Some(cause) = judged.cause { (findings::cause_link("", cause)) }
                }
            }
            @match &climb.outcome {
                ClimbOutcome::NotConnected { elapsed, failure } => {
                    (step("TCP", Some(*elapsed), true, &phrases::connect(failure)))
                }
                ClimbOutcome::Connected { elapsed, local, then } => {
                    (step("TCP", Some(*elapsed), false, &format!("connected from {local}")))
                    (above(then, earlier, level + 1))
                }
                ClimbOutcome::Datagram(seen) => {
                    (step("UDP", Some(seen.elapsed), false, &phrases::udp(&seen.outcome)))
                }
            }
        }
    }
}

fn above(then: &AboveTcp, earlier: &[Climb], level: u8) -> Markup {
    html! {
        @match then {
            AboveTcp::Nothing { closed: true } => {
                (step("After", None, true, "the other side closed at once, without a byte"))
            }
            AboveTcp::Nothing { closed: false } => {}
            AboveTcp::Tls(seen) => { (tls::handshake(seen, tls::chains(earlier), level)) }
            AboveTcp::Http(seen) => { (http(seen)) }
            AboveTcp::Smb(seen) => {
                (step("SMB", Some(seen.elapsed), false, &phrases::smb(&seen.outcome)))
            }
        }
    }
}

/// What was tried after a failure to tell its causes apart.
fn tried(seen: &Observation, level: u8) -> Markup {
    html! {
        div class="layer" {
            (heading(level, "Tried to tell the causes apart"))
            @if let Some(age) = followups::age(seen) { p class="soft" { (age) } }
            @for experiment in &seen.experiments {
                @let told = followups::told(experiment);
                @let name = format!("{}: {}:", told.place, told.what);
                (step(&name, Some(experiment.elapsed), !told.answered, &told.outcome))
            }
        }
    }
}

/// One step of a climb: its name, how long it took and how it went.
pub(super) fn step(name: &str, elapsed: Option<Elapsed>, bad: bool, text: &str) -> Markup {
    html! {
        p class="step" {
            b { (name) } " "
            span class=[bad.then_some("bad")] { (text) }
            @if let Some(elapsed) = elapsed { span class="soft" { " · " (ms(elapsed)) } }
        }
    }
}

/// An HTTP exchange with what tells who answered.
pub(super) fn http(seen: &HttpObservation) -> Markup {
    let answered = matches!(seen.outcome, HttpOutcome::Answer { .. });
    html! {
        (step("HTTP", Some(seen.elapsed), !answered, &phrases::http(&seen.outcome)))
        @if let HttpOutcome::Answer { headers, body, .. } = &seen.outcome {
            (answer(headers, body))
        }
    }
}

fn answer(headers: &[(String, String)], body: &str) -> Markup {
    html! {
        @if !headers.is_empty() || !body.is_empty() {
            pre {
                @for (name, value) in headers { (printable(name)) ": " (printable(value)) "\n" }
                @if !body.is_empty() { "\n" (clean_lines(body)) }
            }
        }
    }
}
