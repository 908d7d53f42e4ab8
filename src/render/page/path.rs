//! Where on the way from this machine to the service a fault sits, as a picture.
//!
//! Pure: from cause, culprit and what is known of the machine. The place of the break has a shape and
//! a word of its own, so color is never needed. Drawn twice, wide and tall; the style sheet shows the
//! one that fits.

use maud::{Markup, html};

use crate::cause::Cause;
use crate::culprit::server_names;
use crate::finding::{Culprit, Finding};
use crate::model::{Blame, Layer, Status};
use crate::observation::ProxyOutcome;
use crate::snapshot::CheckReport;

use super::Page;
use super::words::{Tone, clean};

/// Longest text of one line, in characters, that fits its stop.
const LINE_CHARS: usize = 26;
/// Distance between two stops, wide and tall.
const STEP: (usize, usize) = (190, 62);

/// The stops of the way, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stop {
    Machine,
    Dns,
    Way,
    Service,
}

/// How a stop stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Fine,
    Breaks,
    Beyond,
}

/// The way of one finding.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Way {
    stops: [(String, String); 4],
    breaks: Stop,
    status: Status,
    cause: Cause,
}

/// Where a cause shows that the way is broken.
fn stop_of(cause: Cause) -> Stop {
    let info = cause.info();
    match (info.blame, info.layer) {
        (Blame::Us, _) => Stop::Machine,
        (Blame::Dns, _) | (Blame::Path, Layer::Dns) => Stop::Dns,
        (Blame::Path, _) => Stop::Way,
        (Blame::Target, _) => Stop::Service,
    }
}

impl Way {
    /// The way of a finding, told by the checks it explains.
    pub(super) fn of(page: &Page<'_>, finding: &Finding) -> Self {
        let reports: Vec<&CheckReport> =
            finding.explains.iter().filter_map(|id| page.find(id)).map(|(_, r)| r).collect();
        let machine = &page.snapshot.machine;
        let own = machine.addresses.iter().find(|a| !a.network.addr().is_loopback());
        let servers = match &finding.culprit {
            Culprit::DnsServers(servers) => server_names(servers),
            Culprit::Zone(zone) => zone.clone(),
            _ => server_names(&machine.dns_servers),
        };
        let first = reports.first().map(|r| r.check.target.authority()).unwrap_or_default();
        let service = match reports.len() {
            0 | 1 => first,
            more => format!("{first} +{}", more - 1),
        };
        let (between, rule) = between(finding, &reports);
        Self {
            stops: [
                (
                    "This machine".to_owned(),
                    own.map(|a| a.network.addr().to_string()).unwrap_or_default(),
                ),
                ("DNS".to_owned(), servers),
                (between.to_owned(), rule),
                ("Service".to_owned(), service),
            ],
            breaks: stop_of(finding.cause),
            status: finding.status,
            cause: finding.cause,
        }
    }

    fn standing(&self, at: usize) -> Standing {
        match at.cmp(&(self.breaks as usize)) {
            std::cmp::Ordering::Less => Standing::Fine,
            std::cmp::Ordering::Equal => Standing::Breaks,
            // What only warns lets through.
            std::cmp::Ordering::Greater if self.status == Status::Warn => Standing::Fine,
            std::cmp::Ordering::Greater => Standing::Beyond,
        }
    }

    /// The word below a stop.
    fn word(&self, at: usize) -> &'static str {
        match (self.standing(at), self.status) {
            (Standing::Fine, _) => "passes",
            (Standing::Breaks, Status::Warn) => "look here",
            (Standing::Breaks, _) => "breaks here",
            (Standing::Beyond, _) => "not reached",
        }
    }

    /// The picture in one sentence.
    pub(super) fn sentence(&self) -> String {
        let (name, detail) = self.stops.get(self.breaks as usize).cloned().unwrap_or_default();
        let place = if detail.is_empty() { name } else { format!("{name} ({detail})") };
        let verb = if self.status == Status::Warn { "Look at" } else { "It breaks at" };
        format!("{verb}: {place}. {}.", self.cause.info().title)
    }

    /// Both drawings; `key` makes their ids unique on the page.
    pub(super) fn drawn(&self, key: &str) -> Markup {
        html! {
            figure class="way" {
                (self.svg(&format!("{key}-wide"), false))
                (self.svg(&format!("{key}-tall"), true))
                figcaption { (clean(&self.sentence())) }
            }
        }
    }

    fn svg(&self, key: &str, tall: bool) -> Markup {
        let (class, size) = if tall { ("tall", "0 0 320 236") } else { ("wide", "0 0 760 80") };
        let place = |at: usize| if tall { (20, 26 + at * STEP.1) } else { (95 + at * STEP.0, 20) };
        html! {
            svg class=(class) viewBox=(size) role="img" aria-labelledby={ (key) "-t " (key) "-d" } {
                title id={ (key) "-t" } { "Where it breaks between this machine and the service" }
                desc id={ (key) "-d" } { (clean(&self.sentence())) }
                @for at in 1..self.stops.len() {
                    @let ((x1, y1), (x2, y2)) = (place(at - 1), place(at));
                    line class={ "rail " (if self.standing(at) == Standing::Beyond { "off" } else { "on" }) }
                        x1=(x1) y1=(y1) x2=(x2) y2=(y2) {}
                }
                @for (at, (name, detail)) in self.stops.iter().enumerate() {
                    (self.stop(at, place(at), tall, (name, detail)))
                }
            }
        }
    }

    fn stop(&self, at: usize, (x, y): (usize, usize), tall: bool, text: (&str, &str)) -> Markup {
        let standing = self.standing(at);
        let (class, radius) = match standing {
            Standing::Fine => ("pass", 8),
            Standing::Breaks => (Tone::of(self.status).class(), 14),
            Standing::Beyond => ("off", 6),
        };
        let (tx, ty) = if tall { (x + 26, y - 6) } else { (x, y + 32) };
        html! {
            g class={ "stop " (class) } {
                @if standing == Standing::Beyond {
                    circle cx=(x) cy=(y) r=(radius) {}
                } @else {
                    circle class="halo" cx=(x) cy=(y) r=(radius + 3) {}
                    use href={ "#i-" (class) } x=(x - radius) y=(y - radius) width=(radius * 2) height=(radius * 2) {}
                }
                text x=(tx) y=(ty) {
                    tspan class="name" { (text.0) }
                    tspan class="state" { " " (self.word(at)) }
                    tspan class="detail" x=(tx) dy="17" { (clean(&fitting(text.1))) }
                }
            }
        }
    }
}

/// What stands between: its name, and what of it is at fault.
fn between(finding: &Finding, reports: &[&CheckReport]) -> (&'static str, String) {
    let side = |private| if private { "private" } else { "public" };
    match &finding.culprit {
        Culprit::Proxy(url) => return ("Proxy", url.clone()),
        Culprit::Issuer(issuer) => return ("TLS inspection", issuer.clone()),
        Culprit::Path { port, private } => {
            return ("Firewall, route", format!("port {port}, {}", side(*private)));
        }
        Culprit::Side { private } => {
            return ("Firewall, route", format!("everything {}", side(*private)));
        }
        Culprit::Ipv6 => return ("Firewall, route", "IPv6".to_owned()),
        _ => {}
    }
    let proxy = reports.iter().find_map(|report| {
        let seen = report.observation.as_ref()?.proxy.as_ref()?;
        (seen.outcome != ProxyOutcome::Bypassed).then(|| seen.url.clone())
    });
    proxy.map_or(("Firewall, route", String::new()), |url| ("Proxy", url))
}

/// A line cut in its middle, because both ends of a name tell.
fn fitting(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    if characters.len() <= LINE_CHARS {
        return text.to_owned();
    }
    let half = (LINE_CHARS - 1) / 2;
    let (start, end) = (characters.iter().take(half), characters.iter().rev().take(half));
    let end: Vec<&char> = end.collect();
    start.copied().chain(['…']).chain(end.into_iter().rev().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(cause: Cause) -> Way {
        let stops = ["machine", "dns", "way", "service"].map(|s| (s.to_owned(), format!("{s} x")));
        Way { stops, breaks: stop_of(cause), status: cause.info().status, cause }
    }

    #[test]
    fn a_cause_breaks_where_it_blames() {
        for (cause, stop) in [
            (Cause::PrivateForwarderMissing, Stop::Dns),
            (Cause::DnsTcpBlocked, Stop::Dns),
            (Cause::TcpTimeout, Stop::Way),
            (Cause::TlsIntercepted, Stop::Way),
            (Cause::ProxyDenied, Stop::Way),
            (Cause::TlsExpired, Stop::Service),
            (Cause::HostsFileOverride, Stop::Machine),
            (Cause::LocalNoNetwork, Stop::Machine),
        ] {
            assert_eq!(stop_of(cause), stop, "{cause}");
        }
    }

    #[test]
    fn every_picture_has_one_break_in_shape_and_word() {
        for cause in Cause::ALL {
            let svg = way(*cause).svg("k", false).into_string();
            let word =
                if cause.info().status == Status::Warn { "look here" } else { "breaks here" };
            assert_eq!(svg.matches(word).count(), 1, "{cause}: {svg}");
            let shape = format!("#i-{}\"", Tone::of(cause.info().status).class());
            assert_eq!(svg.matches(&shape).count(), 1, "{cause}: {svg}");
        }
        let svg = way(Cause::TcpTimeout).svg("k", true).into_string();
        assert!(svg.contains("aria-labelledby=\"k-t k-d\"") && svg.contains("<desc id=\"k-d\">"));
        assert_eq!(svg.matches("not reached").count(), 1);
        assert_eq!(svg.matches("rail off").count(), 1);
    }

    #[test]
    fn what_only_warns_lets_through() {
        let svg = way(Cause::DnsServerDown).svg("k", false).into_string();
        assert!(!svg.contains("not reached") && svg.contains("look here"));
        assert!(way(Cause::DnsServerDown).sentence().starts_with("Look at: dns (dns x)."));
    }

    #[test]
    fn long_names_keep_both_ends() {
        assert_eq!(fitting("short"), "short");
        let cut = fitting("ml-mlw-research-usgovvirginia.notebooks.usgovcloudapi.net:443");
        assert!(cut.starts_with("ml-mlw-resea…") && cut.ends_with("api.net:443"), "{cut}");
        assert!(cut.chars().count() <= LINE_CHARS);
    }
}
