//! Judges what an explicit proxy did, and what it means that the way goes through one.

use std::time::Duration;

use super::{Fault, addresses, late};
use crate::cause::Cause;
use crate::check::Check;
use crate::finding::Culprit;
use crate::limits;
use crate::model::{Expect, Host};
use crate::observation::{
    ConnectFailure, LocalTrouble, NetworkError, ProxyObservation, ProxyOutcome,
};
use crate::parameters::NetworkFacts;
use crate::plan::Plan;
use crate::proxy::{Decision, Routes};

/// What the proxy's behavior alone says of a check; nothing when the proxy went on.
pub(super) fn judge(check: &Check, proxy: &ProxyObservation, stalled: Duration) -> Option<Fault> {
    let url = &proxy.url;
    let target = check.target.authority();
    if late::is_late_proxy(proxy, stalled) {
        let what = format!("The proxy {url} did not go on to {target}");
        return Some(late::fault(&what, stalled));
    }
    let seconds = proxy.elapsed.seconds();
    let (cause, summary) = match &proxy.outcome {
        ProxyOutcome::Open | ProxyOutcome::Bypassed => return None,
        ProxyOutcome::NotConnected(ConnectFailure::Local(trouble)) => {
            return Some(local(&target, url, *trouble));
        }
        ProxyOutcome::Unresolved => (
            Cause::ProxyUnreachable,
            format!(
                "The name of the proxy {url} does not resolve, so {target} was not reached; correct the proxy's URL or ask the DNS team for the record."
            ),
        ),
        ProxyOutcome::NotConnected(failure) => {
            (Cause::ProxyUnreachable, not_connected(proxy, &target, failure))
        }
        ProxyOutcome::Timeout if proxy.lives == Some(true) => (
            Cause::ProxyBackendUnreachable,
            format!(
                "The proxy {url} took the request for {target} and said nothing for {seconds:.1} s while it answers others, so it waits for that host; ask the proxy team to test the name and the port from the proxy."
            ),
        ),
        ProxyOutcome::Timeout => (
            Cause::ProxyUnreachable,
            format!(
                "The proxy {url} accepted the connection and answered nothing within {seconds:.1} s, to the request for {target} and to any other; ask the proxy team whether it works, and whether that address and port are a proxy."
            ),
        ),
        ProxyOutcome::Closed | ProxyOutcome::Network(NetworkError::Reset) => (
            Cause::ProxyUnreachable,
            format!(
                "The proxy {url} ended the connection on the request for {target}; ask the proxy team whether this machine may use it, and whether that port is a proxy."
            ),
        ),
        ProxyOutcome::Network(_) => (
            Cause::ProxyUnreachable,
            format!(
                "The connection to the proxy {url} broke on the request for {target}; ask the proxy team, then the network team."
            ),
        ),
        ProxyOutcome::NotHttp(bytes) => (
            Cause::ProxyUnreachable,
            format!(
                "What listens at {url} is no HTTP proxy: it answered the request for {target} with something else (\"{bytes}\"); correct the proxy's URL or ask the proxy team."
            ),
        ),
        ProxyOutcome::Answered { status, headers, body } => {
            answered(check, proxy, *status, headers, body)
        }
    };
    Some(Fault::new(cause, Culprit::Proxy(url.clone()), summary))
}

fn not_connected(proxy: &ProxyObservation, target: &str, failure: &ConnectFailure) -> String {
    let url = &proxy.url;
    let place = match proxy.address {
        Some(address) if !url.ends_with(&address.to_string()) => format!("{url} ({address})"),
        _ => url.clone(),
    };
    let how = match failure {
        ConnectFailure::Timeout => {
            format!("did not answer a TCP connect within {:.1} s", proxy.elapsed.seconds())
        }
        ConnectFailure::Network(NetworkError::Refused | NetworkError::Reset) => {
            "refused the connection".to_owned()
        }
        ConnectFailure::Network(NetworkError::NetworkUnreachable) => {
            "cannot be reached: there is no route to it".to_owned()
        }
        ConnectFailure::Network(NetworkError::HostUnreachable | NetworkError::Prohibited) => {
            "cannot be reached: a firewall or router answered with an error".to_owned()
        }
        ConnectFailure::Network(NetworkError::Other(_)) | ConnectFailure::Local(_) => {
            "cannot be reached".to_owned()
        }
    };
    format!(
        "The proxy {place} {how}, so {target} was not reached; check the proxy's URL, then ask the proxy team whether it runs and the firewall team to allow its port."
    )
}

fn local(target: &str, url: &str, trouble: LocalTrouble) -> Fault {
    addresses::local(&format!("the proxy {url} for {target}"), trouble)
}

/// The proxy said no in HTTP.
fn answered(
    check: &Check,
    proxy: &ProxyObservation,
    status: u16,
    headers: &[(String, String)],
    body: &str,
) -> (Cause, String) {
    let (url, target) = (&proxy.url, check.target.authority());
    let header =
        |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value);
    let said = header("x-squid-error").map(|value| format!(", {value}"));
    let said = said.unwrap_or_default();
    match status {
        407 => {
            let scheme = header("proxy-authenticate").map(|value| format!(" ({value})"));
            let scheme = scheme.unwrap_or_default();
            (
                Cause::ProxyAuthRequired,
                format!(
                    "The proxy {url} demands credentials{scheme} before it goes on to {target}; ask the proxy team to let this machine through without, or for an account to put into the proxy's URL."
                ),
            )
        }
        502..=504 if !is_refusal(body) => (
            Cause::ProxyBackendUnreachable,
            format!(
                "The proxy {url} works but cannot reach {target} (HTTP {status}{said}); ask the proxy team to test the name and the port from the proxy."
            ),
        ),
        _ => (
            Cause::ProxyDenied,
            format!(
                "The proxy {url} refuses to connect to {target} (HTTP {status}{said}); ask the proxy team to allow it from this machine."
            ),
        ),
    }
}

/// Some devices deny with a status that means trouble, and say so only in their page.
fn is_refusal(body: &str) -> bool {
    let body = body.to_lowercase();
    ["action: deny", "access denied", "access to this site is blocked", "blocked by policy"]
        .iter()
        .any(|words| body.contains(words))
}

// --------------------------------------------------------------------------- private endpoints

/// Whether a check is about a private endpoint, which no proxy should stand before.
pub fn is_private(check: &Check, network: &NetworkFacts) -> bool {
    check.expectation.expect == Expect::Private
        || matches!(check.target.host, Host::Ip(ip) if network.is_private(ip))
}

/// What to tell before anything is measured: hosts with private endpoints that would go through a
/// proxy. A proxy resolves names by itself and asks from another network, so it rarely gets there,
/// and no cause of the closed list fits while it does.
pub fn private_endpoints(plan: &Plan, routes: &Routes, network: &NetworkFacts) -> Option<String> {
    let mut hosts: Vec<String> = Vec::new();
    let mut used = None;
    for check in plan.checks.iter().filter(|check| is_private(check, network)) {
        if let Decision::Through(proxy, _) = routes.decide(&check.target) {
            let host = check.target.host.to_string();
            used.get_or_insert_with(|| proxy.to_string());
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
    }
    let (url, all) = (used?, hosts.len());
    hosts.truncate(limits::SENTENCE_HOSTS);
    let named = hosts.join(", ");
    let more = if all > limits::SENTENCE_HOSTS {
        format!(" and {} more", all - limits::SENTENCE_HOSTS)
    } else {
        String::new()
    };
    let (noun, verb, them) = match all {
        1 => ("a private endpoint", "is", "it"),
        _ => ("private endpoints", "are", "them"),
    };
    Some(format!(
        "{noun} should be reached directly and {verb} reached through the proxy {url}: {named}{more}; add {them} to NO_PROXY or to [proxy] no_proxy"
    ))
}
