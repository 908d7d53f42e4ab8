//! The page on which a person has something probed at once, and its answer.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::model::Expect;
use crate::render::count;
use crate::render::headline::Headline;
use crate::snapshot::Snapshot;

use super::words::{Tone, clean, shape, shapes};
use super::{Page, ProbeForm, SCRIPT, View, checks, findings, glossary, head, top};

pub(super) fn document(
    snapshot: &Snapshot,
    form: &ProbeForm<'_>,
    wrong: &[String],
    done: Option<&Snapshot>,
) -> String {
    let hold = View { hold: true, ..View::default() };
    let page = Page::new(snapshot, hold, "./");
    // What was probed once has no pages of its own to go to, so all of it is here.
    let whole = View { all: true, file: true, ..hold };
    let answer = done.map(|done| (Page::new(done, whole, "./"), Headline::of(done)));
    let tone = answer.as_ref().map_or(Tone::Waiting, |(_, line)| Tone::of_level(line.level));
    let title = answer.as_ref().map_or("Probe now", |(_, line)| line.text.as_str());
    // Without it a browser hides where the form is sent from, and it would be refused.
    let own = html! { meta name="referrer" content="same-origin"; };
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(title, tone, &own))
            body {
                a class="skip" href="#main" { "Skip to the form" }
                (shapes())
                (top::header(&page))
                main id="main" {
                    @if let Some((answer, line)) = &answer { (outcome(answer, line)) }
                    (fields(form, wrong))
                }
                (page.footer())
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
    .into_string()
}

fn outcome(page: &Page<'_>, line: &Headline) -> Markup {
    html! {
        section class={ "hero " (Tone::of_level(line.level).class()) } aria-labelledby="verdict" {
            h1 id="verdict" { (shape(Tone::of_level(line.level))) span { (line.text) } }
            p class="soft" { "Measured once, just now: " (count(page.snapshot.checks.len(), "check")) "." }
            @if !page.snapshot.is_complete() {
                p { "There was no time for all of it; what has no result was not measured." }
            }
        }
        (findings::section(page))
        (checks::section(page))
        (glossary::causes(page, &glossary::causes_of(page.snapshot), None))
    }
}

fn fields(form: &ProbeForm<'_>, wrong: &[String]) -> Markup {
    html! {
        section aria-labelledby="probe-now" {
            h2 id="probe-now" { "Probe now" }
            @if !wrong.is_empty() {
                div role="alert" {
                    @for sentence in wrong { p class="bad" { (shape(Tone::Fail)) " " (clean(sentence)) } }
                }
            }
            form method="post" action="./probe-form" accept-charset="utf-8" {
                p {
                    label for="targets" { "Targets, one a line" }
                    br;
                    textarea id="targets" name="targets" rows="5" cols="60" required
                        spellcheck="false" autocapitalize="off" aria-describedby="targets-help" { (form.targets) }
                }
                p id="targets-help" class="soft" {
                    "A host, " code { "host:port" } " or a URL with the scheme "
                    code { "dns tcp tls http https wss smb udp" }
                    ". Hosts of the plan, and those that web.probe_suffixes allows."
                }
                p {
                    label for="expect" { "The names should resolve to" }
                    " "
                    select id="expect" name="expect" {
                        @for expect in Expect::ALL {
                            option value=(expect) selected[form.expect == expect.as_str()] {
                                @match expect {
                                    Expect::Private => "a private address",
                                    Expect::Public => "a public address",
                                    Expect::Any => "any address",
                                }
                            }
                        }
                    }
                }
                p {
                    label for="subnets" { "Private addresses must lie in (optional)" }
                    " "
                    input id="subnets" name="subnets" value=(form.subnets) placeholder="172.16.0.0/24";
                }
                p { button type="submit" { "Probe" } }
            }
        }
    }
}
