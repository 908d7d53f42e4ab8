//! What is not covered, and what the causes on the page mean.

use maud::{Markup, html};

use crate::cause::Cause;
use crate::finding::Finding;
use crate::snapshot::{CheckReport, Snapshot};

use super::words::{clean, rich};
use super::{Page, findings};

/// Requirements without a check, each with its reason.
pub(super) fn uncovered(page: &Page<'_>) -> Markup {
    let rows: Vec<_> = page.snapshot.plan.uncovered().collect();
    html! {
        @if !rows.is_empty() {
            section aria-labelledby="uncovered" {
                h2 id="uncovered" { "Not covered" }
                details id="rows-uncovered" open[page.view.all] {
                    summary { (rows.len()) " of " (page.snapshot.plan.requirements.len()) " requirements are not, or not wholly, checked, " (page.snapshot.plan.not_needed()) " of these because they do not apply here" }
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
                                    td { (rich(&reason.to_string())) }
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

/// Causes in plain words. Of one check, with the commands of the finding that explains it.
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
                        @match finding(page, *cause, about) {
                            Some(finding) => { (findings::commands(finding)) }
                            None => { (findings::lines(info.prove, "Command")) }
                        }
                    }
                }
            }
        }
    }
}

/// The finding of this cause that explains this check.
fn finding<'a>(page: &Page<'a>, cause: Cause, about: Option<&CheckReport>) -> Option<&'a Finding> {
    let id = &about?.check.id;
    page.findings.iter().find(|found| found.cause == cause && found.explains.contains(id)).copied()
}
