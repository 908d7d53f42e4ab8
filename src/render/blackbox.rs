//! What a blackbox probe saw, in the metrics of blackbox_exporter: names, labels, help texts and
//! which of them are there when something fails, as its version 0.23 writes them.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use crate::blackbox::{DnsSight, HttpSight, Job, Prober, Sight, TlsSight};
use crate::model::visible;
use crate::observation::CertificateFacts;

/// The metrics of a probe, text format 0.0.4.
pub fn text(sight: &Sight) -> String {
    let mut families = Vec::new();
    whole(&mut families, sight);
    match sight.prober {
        Prober::Http => http(&mut families, sight),
        Prober::Dns { .. } => dns(&mut families, &sight.dns, sight),
        Prober::Tcp { .. } => {}
    }
    if sight.prober != (Prober::Dns { tcp: false }) && sight.prober != (Prober::Dns { tcp: true }) {
        gauge(&mut families, "failed_due_to_regex", "Indicates if probe failed due to regex", 0.0);
    }
    if let Some(session) = &sight.tls {
        tls(&mut families, session);
    }
    families.sort_by_key(|family| family.name);
    let mut text = String::new();
    for Family { name, help, samples } in families {
        let _ = writeln!(text, "# HELP probe_{name} {help}\n# TYPE probe_{name} gauge");
        for (labels, value) in samples {
            let _ = writeln!(text, "probe_{name}{labels} {value}");
        }
    }
    text
}

/// The same with what happened, for people (`debug=true`).
pub fn debug(job: &Job, sight: &Sight) -> String {
    let mut text = String::from("Logs for the probe:\n");
    for line in &sight.log {
        text.push_str(line);
        text.push('\n');
    }
    let _ = write!(
        text,
        "\n\n\nMetrics that would have been returned:\n{}\n\n\nModule configuration:\n{}",
        self::text(sight),
        module(job)
    );
    text
}

fn module(job: &Job) -> String {
    let mut text = format!("module: {}\n", job.module);
    text.push_str(match job.prober {
        Prober::Http => {
            "prober: http\nhttp:\n  method: GET\n  valid_status_codes: 2xx\n  follow_redirects: true\n"
        }
        Prober::Tcp { tls: false } => "prober: tcp\n",
        Prober::Tcp { tls: true } => "prober: tcp\ntcp:\n  tls: true\n",
        Prober::Dns { tcp: false } => "prober: dns\ndns:\n  transport_protocol: udp\n",
        Prober::Dns { tcp: true } => "prober: dns\ndns:\n  transport_protocol: tcp\n",
    });
    if let Some(question) = &job.question {
        let kind = if question.ipv6 { "AAAA" } else { "A" };
        let _ = writeln!(
            text,
            "  query_name: {}\n  query_type: {kind}\n  valid_rcodes: [NOERROR]",
            visible(&question.name)
        );
    }
    text
}

struct Family {
    name: &'static str,
    help: &'static str,
    samples: Vec<(String, f64)>,
}

fn gauge(families: &mut Vec<Family>, name: &'static str, help: &'static str, value: f64) {
    families.push(Family { name, help, samples: vec![(String::new(), value)] });
}

fn whole(families: &mut Vec<Family>, sight: &Sight) {
    let seconds = sight.elapsed.as_secs_f64();
    gauge(
        families,
        "duration_seconds",
        "Returns how long the probe took to complete in seconds",
        seconds,
    );
    let success = f64::from(u8::from(sight.success));
    gauge(families, "success", "Displays whether or not the probe was a success", success);
    // Without a target that can be read nothing was looked up, and none of these is there.
    let Some(lookup) = sight.lookup else { return };
    gauge(
        families,
        "dns_lookup_time_seconds",
        "Returns the time taken for probe dns lookup in seconds",
        lookup.elapsed.as_secs_f64(),
    );
    let protocol = match lookup.ip {
        Some(IpAddr::V4(_)) => 4.0,
        Some(IpAddr::V6(_)) => 6.0,
        None => 0.0,
    };
    gauge(families, "ip_protocol", "Specifies whether probe ip protocol is IP4 or IP6", protocol);
    gauge(
        families,
        "ip_addr_hash",
        "Specifies the hash of IP address. It's useful to detect if the IP address changes.",
        lookup.ip.map_or(0.0, |ip| f64::from(hash(ip))),
    );
}

/// FNV-1a of the address's bytes, 32 bits.
fn hash(ip: IpAddr) -> u32 {
    let fold = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
    };
    match ip {
        IpAddr::V4(ip) => fold(&ip.octets()),
        IpAddr::V6(ip) => fold(&ip.octets()),
    }
}

fn phases(
    families: &mut Vec<Family>,
    name: &'static str,
    help: &'static str,
    phases: &[(&str, Duration)],
) {
    let samples = phases
        .iter()
        .map(|(phase, time)| (format!("{{phase=\"{phase}\"}}"), time.as_secs_f64()))
        .collect();
    families.push(Family { name, help, samples });
}

fn http(families: &mut Vec<Family>, sight: &Sight) {
    let HttpSight { redirects, resolve, connect, tls, processing, transfer, answer } = &sight.http;
    let resolved = sight.lookup.filter(|lookup| lookup.ip.is_some());
    let help = "Duration of http request by phase, summed over all redirects";
    match (resolved, sight.lookup) {
        (Some(lookup), _) => phases(
            families,
            "http_duration_seconds",
            help,
            &[
                ("connect", *connect),
                ("processing", *processing),
                ("resolve", lookup.elapsed + *resolve),
                ("tls", *tls),
                ("transfer", *transfer),
            ],
        ),
        (None, Some(lookup)) => {
            phases(families, "http_duration_seconds", help, &[("resolve", lookup.elapsed)]);
        }
        (None, None) => {}
    }
    let answer = answer.as_ref();
    let value = |of: fn(&crate::blackbox::HttpAnswer) -> f64| answer.map_or(0.0, of);
    gauge(
        families,
        "http_content_length",
        "Length of http content response",
        value(|a| a.length as f64),
    );
    gauge(families, "http_redirects", "The number of redirects", *redirects as f64);
    gauge(
        families,
        "http_ssl",
        "Indicates if SSL was used for the final redirect",
        value(|a| f64::from(u8::from(a.tls))),
    );
    gauge(
        families,
        "http_status_code",
        "Response HTTP status code",
        value(|a| f64::from(a.status)),
    );
    gauge(
        families,
        "http_uncompressed_body_length",
        "Length of uncompressed response body",
        value(|a| a.body as f64),
    );
    gauge(
        families,
        "http_version",
        "Returns the version of HTTP of the probe response",
        value(|a| a.version),
    );
    if let Some(changed) = answer.and_then(|a| a.last_modified) {
        gauge(
            families,
            "http_last_modified_timestamp_seconds",
            "Returns the Last-Modified HTTP response header in unixtime",
            changed.as_second() as f64,
        );
    }
}

fn dns(families: &mut Vec<Family>, dns: &DnsSight, sight: &Sight) {
    let [answer, authority, additional] = dns.counts.unwrap_or_default().map(f64::from);
    for (name, help, value) in [
        ("dns_answer_rrs", "Returns number of entries in the answer resource record list", answer),
        (
            "dns_authority_rrs",
            "Returns number of entries in the authority resource record list",
            authority,
        ),
        (
            "dns_additional_rrs",
            "Returns number of entries in the additional resource record list",
            additional,
        ),
        (
            "dns_query_succeeded",
            "Displays whether or not the query was executed successfully",
            f64::from(u8::from(dns.counts.is_some())),
        ),
    ] {
        gauge(families, name, help, value);
    }
    let Some(lookup) = sight.lookup else { return };
    let resolved = if lookup.ip.is_some() { lookup.elapsed } else { Duration::ZERO };
    let shown = [("connect", dns.connect), ("request", dns.request), ("resolve", resolved)];
    phases(families, "dns_duration_seconds", "Duration of DNS request by phase", &shown);
}

fn tls(families: &mut Vec<Family>, session: &TlsSight) {
    let Some(leaf) = session.chain.first() else { return };
    // The issuer's root is not in the chain; it outlives what it signed, or verification fails.
    let end = session.chain.iter().map(|c| c.not_after).min().unwrap_or(leaf.not_after);
    let end = end.as_second() as f64;
    gauge(families, "ssl_earliest_cert_expiry", "Returns last SSL chain expiry in unixtime", end);
    gauge(
        families,
        "ssl_last_chain_expiry_timestamp_seconds",
        "Returns last SSL chain expiry in timestamp",
        end,
    );
    families.push(Family {
        name: "ssl_last_chain_info",
        help: "Contains SSL leaf certificate information",
        samples: vec![(leaf_labels(leaf), 1.0)],
    });
    let version = session.version.replace("TLSv", "TLS ");
    families.push(Family {
        name: "tls_version_info",
        help: "Returns the TLS version used or NaN when unknown",
        samples: vec![(format!("{{version=\"{}\"}}", escaped(&version)), 1.0)],
    });
}

fn leaf_labels(leaf: &CertificateFacts) -> String {
    // Addresses are in the same list; blackbox_exporter shows names alone.
    let names: Vec<&str> =
        leaf.names.iter().map(String::as_str).filter(|n| n.parse::<IpAddr>().is_err()).collect();
    format!(
        "{{fingerprint_sha256=\"{}\",issuer=\"{}\",subject=\"{}\",subjectalternative=\"{}\"}}",
        escaped(&leaf.sha256),
        escaped(&rfc_2253(&leaf.issuer)),
        escaped(&rfc_2253(&leaf.subject)),
        escaped(&names.join(","))
    )
}

/// A label's value (text format 0.0.4).
fn escaped(value: &str) -> String {
    visible(value).replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// A distinguished name from how it stands in the certificate (`C=US, O=Contoso, CN=a`) to the
/// order and escapes of RFC 2253 (`CN=a,O=Contoso,C=US`).
fn rfc_2253(name: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    for piece in name.split(", ") {
        let key = piece.split_once('=').map(|(key, _)| key);
        let begins =
            key.is_some_and(|key| key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.'));
        match parts.last_mut() {
            // A comma inside of a value.
            Some(last) if !begins => {
                last.push_str(", ");
                last.push_str(piece);
            }
            _ => parts.push(piece.to_owned()),
        }
    }
    let escape = |part: &String| {
        let (key, value) = part.split_once('=').unwrap_or(("", part));
        let mut text = String::with_capacity(part.len());
        for c in value.chars() {
            if matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';') {
                text.push('\\');
            }
            text.push(c);
        }
        format!("{key}={text}")
    };
    parts.iter().rev().filter(|part| !part.is_empty()).map(escape).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_in_the_rfc() {
        for (name, expected) in [
            ("C=US, O=Contoso, Ltd., CN=localhost", "CN=localhost,O=Contoso\\, Ltd.,C=US"),
            ("CN=a", "CN=a"),
            ("", ""),
        ] {
            assert_eq!(rfc_2253(name), expected);
        }
    }

    #[test]
    fn the_hash_of_loopback() {
        assert_eq!(hash(IpAddr::from([127, 0, 0, 1])), 3_668_918_509);
    }

    #[test]
    fn a_label_cannot_end_early() {
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\u{fffd}d");
    }
}
