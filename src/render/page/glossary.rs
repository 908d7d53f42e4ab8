//! What is not covered, and what the causes on the page mean.

use maud::{Markup, html};

use crate::cause::Cause;
use crate::snapshot::{CheckReport, Snapshot};

use super::Page;
use super::words::{clean, clean_lines, rich};

/// Requirements without a check, each with its reason.
pub(super) fn uncovered(page: &Page<'_>) -> Markup {
    let rows: Vec<_> = page.snapshot.plan.uncovered().collect();
    html! {
        @if !rows.is_empty() {
            section aria-labelledby="uncovered" {
                h2 id="uncovered" { "Not covered" }
                details open[page.view.all] {
                    summary { (rows.len()) " of " (page.snapshot.plan.requirements.len()) " requirements are not, or not wholly, checked" }
                    table class="plain" {
                        caption class="hidden" { "Requirements without a check" }
                        thead {
                            tr {
                                th scope="col" { "Hosts" }
                                th scope="col" { "Ports" }
                                th scope="col" { "Why it is not checked" }
                            }
                        }
                        tbody {
                            @for (requirement, reason) in rows {
                                tr {
                                    th scope="row" {
                                        code { (clean(requirement.pattern.as_str())) }
                                        span class="soft" { (clean(&requirement.id)) }
                                    }
                                    td { (ports(&requirement.ports)) }
                                    td { (rich(reason)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn ports(ports: &[u16]) -> String {
    if ports.is_empty() {
        return "name only".to_owned();
    }
    ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Every cause that the status page mentions, in the closed list's order.
pub(super) fn causes_of(snapshot: &Snapshot) -> Vec<Cause> {
    let mut causes: Vec<Cause> = snapshot.findings.iter().map(|finding| finding.cause).collect();
    for verdict in snapshot.checks.iter().filter_map(|check| check.verdict.as_deref()) {
        causes.extend(verdict.cause);
        causes.extend(verdict.warnings.iter().map(|warning| warning.cause));
        causes.extend(verdict.addresses.iter().filter_map(|address| address.cause));
    }
    causes.sort_unstable();
    causes.dedup();
    causes
}

/// Causes in plain words; commands are filled in when they are about one check.
pub(super) fn causes(page: &Page<'_>, causes: &[Cause], about: Option<&CheckReport>) -> Markup {
    html! {
        @if !causes.is_empty() {
            section aria-labelledby="causes" {
                h2 id="causes" { "What the causes mean" }
                @for cause in causes {
                    @let info = cause.info();
                    details class="meaning" id={ "cause-" (cause) } open[page.view.all || causes.len() == 1] {
                        summary { code { (cause) } " " span class="soft" { (info.title) } }
                        p { (rich(info.meaning)) }
                        p { b { "Fix: " } (rich(info.fix)) }
                        pre { code { (clean_lines(&filled(info.prove, about))) } }
                    }
                }
            }
        }
    }
}

/// A command with what is known of the check in place of its placeholders.
fn filled(command: &str, about: Option<&CheckReport>) -> String {
    let Some(report) = about else { return command.to_owned() };
    let target = &report.check.target;
    let seen = report.observation.as_deref();
    let address = seen.and_then(|seen| seen.climbs.first()).map(|climb| climb.ip.to_string());
    let server = seen.and_then(|seen| seen.dns.as_ref()?.servers.first());
    [
        ("{host}", Some(target.host.to_string())),
        ("{port}", target.port.map(|port| port.to_string())),
        ("{address}", address),
        ("{server}", server.map(|server| server.server.ip().to_string())),
    ]
    .into_iter()
    .filter_map(|(slot, value)| value.map(|value| (slot, value)))
    .fold(command.to_owned(), |text, (slot, value)| text.replace(slot, &value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Check, Expectation, Target};
    use crate::model::{Expect, Host, Kind, Proof};

    #[test]
    fn commands_are_filled_with_what_is_known() {
        let target = Target {
            host: Host::Name("a.example".into()),
            port: Some(443),
            kind: Kind::Tls,
            path: String::new(),
        };
        let check = Check {
            id: String::new(),
            requirement: String::new(),
            target: target.into(),
            expectation: Expectation {
                expect: Expect::Any,
                zone: None,
                declared: Vec::new(),
                subnets: Vec::new(),
            },
            proof: Proof::Exact,
            pattern: String::new(),
            scenarios: Vec::new(),
            required: true,
            public_service: true,
            service: None,
            service_tag: None,
            purpose: String::new(),
        };
        let report = CheckReport::unmeasured(check.into());
        let command = "nc {host} {port} # {address}";
        assert_eq!(filled(command, Some(&report)), "nc a.example 443 # {address}");
        assert_eq!(filled(command, None), command);
    }
}
