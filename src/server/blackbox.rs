//! `/probe`, compatible with blackbox_exporter: the same parameters, status codes and metrics.
//!
//! Two things are ours: what may be probed is limited, and a DNS module's question, which
//! blackbox_exporter has in its configuration, comes as `query_name` and `query_type`.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::{Extensions, HeaderMap, StatusCode};
use axum::response::Response;

use crate::adhoc::Allowed;
use crate::blackbox::{DnsQuestion, Job, MODULES, Prober, Sight, hop, module};
use crate::limits;
use crate::model::{Host, printable};
use crate::render::{blackbox as render, metrics};

use super::desk::{self, Office};
use super::problem::problem;
use super::typed;

/// Where Prometheus says how long it waits.
const SCRAPE_TIMEOUT: &str = "x-prometheus-scrape-timeout-seconds";

pub(super) async fn probe(
    State(office): State<Office>,
    headers: HeaderMap,
    extensions: Extensions,
    RawQuery(query): RawQuery,
) -> Response {
    let fields = desk::fields(query.unwrap_or_default().as_bytes());
    match answer(&office, &headers, &extensions, &fields).await {
        Ok(response) | Err(response) => response,
    }
}

async fn answer(
    office: &Office,
    headers: &HeaderMap,
    extensions: &Extensions,
    fields: &BTreeMap<String, String>,
) -> Result<Response, Response> {
    let bad = |detail: &str| problem(StatusCode::BAD_REQUEST, detail);
    let wanted = fields.get("module").map_or("http_2xx", String::as_str);
    let (module, prober) = module(wanted).ok_or_else(|| {
        let known: Vec<&str> = MODULES.iter().map(|(name, ..)| *name).collect();
        let known = known.join(", ");
        bad(&format!("Unknown module `{}`; there are {known}.", printable(wanted)))
    })?;
    let limit = time(headers, office.desk().patience()).map_err(|error| bad(&error))?;
    let target = fields.get("target").filter(|target| !target.is_empty());
    let target = target.ok_or_else(|| bad("Target parameter is missing."))?;
    if fields.contains_key("hostname") {
        return Err(bad("The parameter `hostname` is not supported: name the host in the target."));
    }
    let allowed = office.allowed(headers, extensions)?;
    // Wrong is wrong, also where the module does not use it.
    let (asked, ipv6) = question(fields, &allowed)?;
    let question = match prober {
        Prober::Dns { .. } => Some(DnsQuestion {
            name: asked
                .or_else(|| first_name(office))
                .ok_or_else(|| bad("Say what to ask for: query_name=HOST."))?,
            ipv6,
        }),
        Prober::Http | Prober::Tcp { .. } => None,
    };
    let debug = fields.get("debug").is_some_and(|value| value == "true");
    let shown = |job: Option<&Job>, sight: &Sight| match job {
        Some(job) if debug => render::debug(job, sight),
        _ => render::text(sight),
    };
    let hop = match hop(prober, target) {
        Ok(hop) => hop,
        // A target that means nothing is a failed probe, not a bad request.
        Err(why) => {
            let sight = Sight::unreadable(prober, &why);
            return Ok(typed(metrics::CONTENT_TYPE, shown(None, &sight)));
        }
    };
    let may = match prober {
        Prober::Dns { .. } => allowed.asks(&hop.host, hop.port),
        Prober::Http | Prober::Tcp { .. } => allowed.connects(&hop.host, hop.port),
    };
    if !may {
        let detail = allowed.refusal(&crate::model::authority(&hop.host, hop.port));
        return Err(problem(StatusCode::FORBIDDEN, &detail));
    }
    let job = Job { module, prober, target: target.clone(), hop, question };
    let _place = office.scrape()?;
    let sight = office.desk().blackbox(job.clone(), limit, allowed).await;
    Ok(typed(metrics::CONTENT_TYPE, shown(Some(&job), &sight)))
}

/// The time for a probe: a little less than the scraper waits, but never more than our own.
fn time(headers: &HeaderMap, patience: Duration) -> Result<Duration, String> {
    let Some(said) = headers.get(SCRAPE_TIMEOUT) else { return Ok(patience) };
    let seconds = said.to_str().ok().and_then(|text| text.trim().parse::<f64>().ok());
    let seconds = seconds.filter(|seconds| seconds.is_finite());
    let seconds = seconds.ok_or("X-Prometheus-Scrape-Timeout-Seconds is not a number.")?;
    let left = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    Ok(match left.checked_sub(limits::SCRAPE_MARGIN) {
        Some(left) if !left.is_zero() => left.min(patience),
        _ => patience,
    })
}

/// The name that a DNS server is to be asked for, if one is given, and whether for IPv6.
#[expect(clippy::result_large_err, reason = "the refusal is the answer")]
fn question(
    fields: &BTreeMap<String, String>,
    allowed: &Allowed,
) -> Result<(Option<String>, bool), Response> {
    let bad = |detail: &str| problem(StatusCode::BAD_REQUEST, detail);
    let ipv6 = match fields.get("query_type").map_or("A", String::as_str) {
        "A" => false,
        "AAAA" => true,
        _ => return Err(bad("query_type is `A` or `AAAA`.")),
    };
    let Some(text) = fields.get("query_name") else { return Ok((None, ipv6)) };
    match Host::parse(text) {
        Ok(host) if !allowed.looks_up(&host) => {
            Err(problem(StatusCode::FORBIDDEN, &allowed.refusal(&host.to_string())))
        }
        Ok(Host::Name(name)) => Ok((Some(name), ipv6)),
        Ok(Host::Ip(_)) => Err(bad("query_name is an address, not a name.")),
        Err(error) => Err(bad(&format!("query_name: {error}."))),
    }
}

/// What a DNS server is asked for unless told otherwise: a name that is needed here.
fn first_name(office: &Office) -> Option<String> {
    let snapshot = office.server.newest();
    let mut names = snapshot.plan.targets.iter().filter_map(|target| target.host.name());
    names.next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scraper_decides_how_long() {
        let patience = Duration::from_secs(12);
        let time = |said: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(SCRAPE_TIMEOUT, said.parse().unwrap());
            time(&headers, patience)
        };
        for (said, expected) in
            [("10", 9_500), ("60", 12_000), ("0.5", 12_000), ("0", 12_000), ("-3", 12_000)]
        {
            assert_eq!(time(said).unwrap(), Duration::from_millis(expected), "{said}");
        }
        assert!(time("x").is_err() && time("NaN").is_err() && time("inf").is_err());
        assert_eq!(super::time(&HeaderMap::new(), patience).unwrap(), patience);
    }
}
