//! Steps for what answers: certificates, services, proxies, and this machine itself.

use std::sync::Arc;

use super::paths::targets;
use super::shell::quote;
use super::{Facts, Owner, listed, unique};
use crate::cause::Cause;
use crate::culprit::Culprit;
use crate::model::Expect;
use crate::observation::CertificateFacts;

pub(super) fn fix(facts: &Facts<'_>) -> Vec<String> {
    certificates(facts)
        .or_else(|| handshakes(facts))
        .or_else(|| applications(facts))
        .or_else(|| proxies(facts))
        .unwrap_or_else(|| ourselves(facts))
}

/// The certificates that the first target showed, the server's first.
fn chain<'a>(facts: &Facts<'a>) -> &'a [Arc<CertificateFacts>] {
    let tls = facts.spots.iter().find_map(|spot| spot.observation?.tls());
    tls.map_or(&[], |tls| tls.chain.as_slice())
}

fn issuer(facts: &Facts<'_>) -> String {
    match facts.culprit {
        Culprit::Issuer(issuer) => issuer.clone(),
        _ => chain(facts).first().map_or("its issuer".to_owned(), |c| c.issuer.clone()),
    }
}

fn trust_it(what: &str) -> String {
    Owner::Machine.asked_with(
        &format!("{what} save the root as ROOT_CA.pem and have this machine, Python and vnetprobe trust it."),
        [
            "sudo cp ROOT_CA.pem /usr/local/share/ca-certificates/ROOT_CA.crt && sudo update-ca-certificates",
            "export REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
            "printf '[tls]\\nca_files = [\"ROOT_CA.pem\"]\\n'  # for probes.toml",
        ],
    )
}

fn certificates(facts: &Facts<'_>) -> Option<Vec<String>> {
    let targets = targets(facts);
    let issuer = issuer(facts);
    Some(match facts.cause {
        Cause::TlsIntercepted => vec![
            Owner::Firewall.asked(&format!("exempt {} from TLS inspection; {issuer} signs for them.", listed(&facts.names()))),
            trust_it(&format!("if the inspection by {issuer} is wanted,")),
        ],
        Cause::TlsUntrustedIssuer => vec![
            Owner::Firewall.asked(&format!("say whether {issuer} is your TLS inspection and, if so, exempt {targets} from it.")),
            trust_it(&format!("if {issuer} is your organization's own authority,")),
        ],
        Cause::TlsSelfSigned => vec![
            Owner::Service.asked(&format!("install a certificate from your authority on {targets}.")),
            Owner::Dns.asked(&format!("if it is an Azure name, check that {} is its current address; Azure signs no certificate by itself.", listed(&facts.addresses()))),
        ],
        Cause::TlsMissingIntermediate => vec![Owner::Service.asked_with(
            &format!("configure the whole chain on {targets}: the server's certificate, then {issuer}."),
            chain(facts).first().and_then(|c| c.issuer_url.as_deref()).map(|url| {
                format!("curl -sS -o intermediate.crt {}", super::shell::word(url))
            }),
        )],
        Cause::TlsExpired | Cause::TlsNotYetValid | Cause::TlsCertificateExpiring => validity(facts, &targets, &issuer),
        Cause::TlsNameMismatch => vec![
            Owner::Dns.asked(&format!("check that {} is the address of {targets}; the certificate there is for {}.", listed(&facts.addresses()), chain(facts).first().map_or_else(|| "another name".to_owned(), |c| listed(&c.names)))),
            Owner::Service.asked("if the address is right, add the name to the certificate."),
        ],
        _ => return None,
    })
}

fn validity(facts: &Facts<'_>, targets: &str, issuer: &str) -> Vec<String> {
    let clock = Owner::Machine.asked_with(
        &format!(
            "compare the clock of this machine, {:.0}, and have it kept right.",
            facts.situation.now
        ),
        ["timedatectl", "sudo timedatectl set-ntp true"],
    );
    let whose = match (facts.culprit, chain(facts).first()) {
        (Culprit::Issuer(subject), _) => format!("the certificate of {subject}"),
        (_, Some(leaf)) => {
            format!("the certificate {} of {targets} (issued by {issuer})", leaf.subject)
        }
        (_, None) => format!("the certificate of {targets}"),
    };
    let renew = match facts.cause {
        Cause::TlsNotYetValid => {
            format!("if the clock is right, replace {whose} by one that is valid now.")
        }
        Cause::TlsExpired => format!("if the clock is right, renew {whose}."),
        _ => format!("renew {whose} before it ends."),
    };
    match (facts.culprit, facts.cause) {
        (Culprit::Machine, _) => vec![clock],
        (_, Cause::TlsCertificateExpiring) => vec![Owner::Service.asked(&renew)],
        _ => vec![clock, Owner::Service.asked(&renew)],
    }
}

fn handshakes(facts: &Facts<'_>) -> Option<Vec<String>> {
    let targets = targets(facts);
    let addresses = listed(&facts.addresses());
    Some(match facts.cause {
        Cause::TlsVersionUnsupported => vec![Owner::Service.asked(&format!(
            "enable TLS 1.2 or 1.3 with ECDHE and AES-GCM on what answers for {targets} ({addresses})."
        ))],
        Cause::TlsUnrecognizedName => vec![
            Owner::Dns.asked(&format!("check that {addresses} is the current address of {targets}.")),
            Owner::Service.asked(&format!("if it is, say whether the resource still exists under the name {}.", listed(&facts.names()))),
        ],
        Cause::TlsClientCertificateRequired => vec![
            Owner::Service.asked(&format!("say whether {targets} really requires client certificates.")),
            Owner::Dns.asked(&format!("if it does not, check that {addresses} is its current address.")),
        ],
        Cause::TlsAlert => vec![
            Owner::Service.asked(&format!("find in the log of {targets} why it ended the handshake with an alert.")),
            Owner::Firewall.asked("if this traffic is inspected, look at the inspecting device first."),
        ],
        Cause::NotTls => vec![
            Owner::Firewall.asked(&format!("say whether a proxy or a block page answers for {targets}.")),
            Owner::Service.asked(&format!("if not, say which protocol runs there ({addresses}).")),
        ],
        Cause::TlsSlow => vec![
            Owner::Firewall.asked(&format!("look at the load of TLS inspection and at packet loss toward {targets}.")),
            Owner::Service.asked("if no other host is slow, look at the load of this one."),
        ],
        _ => return None,
    })
}

fn applications(facts: &Facts<'_>) -> Option<Vec<String>> {
    let targets = targets(facts);
    let addresses = listed(&facts.addresses());
    Some(match facts.cause {
        Cause::HttpResourceFirewallDeny => {
            let private = facts.addresses().iter().all(|ip| facts.is_private(*ip));
            vec![
                if private {
                    Owner::Dns.asked(&format!("the address used here is private ({addresses}); if a firewall with application rules is on the way, link the private zone to its VNet too, because it resolves {targets} by itself."))
                } else {
                    Owner::Dns.asked(&format!("make {targets} resolve privately here if it has a private endpoint; the public address {addresses} was used."))
                },
                Owner::Workspace.asked("only if public access is intended, allow this network in the networking settings of the resource."),
            ]
        }
        Cause::HttpServerError => vec![Owner::Service.asked(&format!(
            "check the health of {targets}; the way is open up to whoever answered with the error."
        ))],
        Cause::HttpUnexpectedStatus => vec![
            Owner::Firewall
                .asked(&format!("if the answer is a block page or a proxy's, allow {targets}.")),
            Owner::Service.asked("if it is the service's own, say what it expects."),
        ],
        Cause::WebsocketBlocked => {
            let exempt = Owner::Firewall.asked(&format!(
                "let WebSockets through to {targets}, usually by exempting it from inspection."
            ));
            Some(exempt).into_iter().chain(bypass(facts)).collect()
        }
        _ => return None,
    })
}

/// Private names go around the proxy; public ones are what it is for.
fn bypass(facts: &Facts<'_>) -> Option<String> {
    let private = facts.spots.iter().filter(|spot| {
        spot.check.expectation.expect == Expect::Private
            || spot.ip.is_some_and(|ip| facts.is_private(ip))
    });
    let names = unique(private.map(|spot| spot.host.to_string()));
    if names.is_empty() {
        return None;
    }
    Some(Owner::Machine.asked_with(
        "private endpoints must not go through a proxy; let these names bypass it.",
        [format!("export NO_PROXY=\"$NO_PROXY\"{}", quote(&format!(",{}", names.join(","))))],
    ))
}

fn proxies(facts: &Facts<'_>) -> Option<Vec<String>> {
    let proxy = facts
        .spots
        .iter()
        .find_map(|spot| Some(spot.observation?.proxy.as_ref()?.url.clone()))
        .or_else(|| facts.situation.machine.proxy.clone())
        .unwrap_or_else(|| "the proxy".to_owned());
    let targets = targets(facts);
    let from = facts.source_network(None);
    let mut fix = match facts.cause {
        Cause::ProxyUnreachable => vec![
            Owner::Machine.asked(&format!("check that {proxy} in HTTPS_PROXY or in [proxy] of probes.toml is right.")),
            Owner::Proxy.asked(&format!("check that {proxy} is up.")),
            Owner::Firewall.asked(&format!("allow {from} to reach it.")),
        ],
        Cause::ProxyDenied => vec![Owner::Proxy.asked(&format!(
            "on {proxy}, allow CONNECT from {from} to {targets}."
        ))],
        Cause::ProxyAuthRequired => vec![Owner::Proxy.asked(&format!(
            "on {proxy}, let {from} through to {targets} without credentials, which unattended compute needs anyway."
        ))],
        Cause::ProxyBackendUnreachable => vec![Owner::Proxy.asked(&format!(
            "test {targets} from {proxy} itself, the name first and then the port; it asks its own DNS servers."
        ))],
        _ => return None,
    };
    fix.extend(bypass(facts));
    Some(fix)
}

fn ourselves(facts: &Facts<'_>) -> Vec<String> {
    let step = match facts.cause {
        Cause::LocalNoNetwork => {
            "bring up the network interface and its default route, or start the container with a network."
        }
        Cause::LocalNoResolver => {
            "provide /etc/resolv.conf, or name the servers under [dns] in probes.toml."
        }
        Cause::LocalExhausted => {
            "raise the limit on open files (LimitNOFILE in the unit), or lower concurrency under [schedule] in probes.toml."
        }
        Cause::Overdue => {
            "find out whether this machine was suspended or is overloaded; otherwise raise interval or concurrency under [schedule] in probes.toml."
        }
        // Whatever has no steps of its own keeps what is said of its cause in general.
        _ => facts.cause.info().fix,
    };
    vec![Owner::Machine.asked(step)]
}
