//! The closed list of causes: complete, documented, and the same in code and in `docs/causes.md`.
#![expect(
    clippy::disallowed_methods,
    reason = "compares a committed file, and rewrites it on request"
)]

use std::collections::{BTreeMap, BTreeSet};

use vnetprobe::cause::Cause;
use vnetprobe::render::explain;

/// The codes of the design contract, in its order. A code is never renamed or reused.
const CODES: &str = "
    dns_nxdomain dns_nodata dns_servfail dns_refused dns_timeout dns_unreachable dns_tcp_blocked
    dns_cname_loop dns_cname_dangling dns_servers_disagree dns_server_down dns_sinkhole
    hosts_file_override

    private_zone_not_linked private_forwarder_missing private_endpoint_missing
    private_record_missing private_mixed private_outside_subnet private_address_mismatch
    public_expected_but_private docker_bridge_overlap

    tcp_timeout tcp_refused tcp_prohibited tcp_unreachable tcp_closed_on_accept tcp_syn_loss
    address_partial ipv6_broken

    tls_sni_blocked tls_closed tls_timeout tls_mtu_blackhole tls_intercepted tls_untrusted_issuer
    tls_self_signed tls_missing_intermediate tls_expired tls_not_yet_valid tls_name_mismatch
    tls_version_unsupported tls_unrecognized_name tls_client_certificate_required tls_alert not_tls
    tls_slow tls_certificate_expiring

    http_firewall_deny http_resource_firewall_deny http_server_error http_unexpected_status
    http_timeout http_closed websocket_blocked not_smb

    proxy_unreachable proxy_denied proxy_auth_required proxy_backend_unreachable

    local_no_network local_no_resolver local_exhausted overdue

    udp_no_evidence
";

const PLACEHOLDERS: [&str; 4] = ["{host}", "{port}", "{address}", "{server}"];

#[test]
fn the_list_is_the_contract() {
    let contract: Vec<&str> = CODES.split_whitespace().collect();
    let code: Vec<&str> = Cause::ALL.iter().map(|cause| cause.as_str()).collect();
    assert_eq!(code, contract);
    assert_eq!(code.iter().collect::<BTreeSet<_>>().len(), code.len(), "a code appears twice");
}

#[test]
fn every_cause_is_described() {
    let mut titles = BTreeMap::new();
    for &cause in Cause::ALL {
        let info = cause.info();
        for text in [info.title, info.meaning, info.fix, info.prove] {
            assert!(!text.trim().is_empty(), "{cause}: an empty text");
            assert!(!text.contains("  "), "{cause}: two spaces in {text:?}");
        }
        assert!(info.title.chars().count() <= 60, "{cause}: the title is too long");
        assert!(
            !info.title.ends_with('.') && !info.title.contains('\n'),
            "{cause}: {}",
            info.title
        );
        for text in [info.meaning, info.fix] {
            assert!(text.ends_with('.') && !text.contains('\n'), "{cause}: {text}");
            assert!(!text.contains(['{', '}']), "{cause}: only commands have placeholders: {text}");
        }
        if let Some(other) = titles.insert(info.title, cause) {
            panic!("{cause} and {other} share a title");
        }
    }
}

#[test]
fn commands_have_only_known_placeholders() {
    for &cause in Cause::ALL {
        let prove = cause.info().prove;
        assert!(prove.lines().count() <= 2, "{cause}: more than two commands");
        assert!(
            prove.lines().all(|command| !command.trim().is_empty()),
            "{cause}: an empty command"
        );
        let rest =
            PLACEHOLDERS.iter().fold(prove.to_owned(), |text, known| text.replace(known, ""));
        assert!(!rest.contains(['{', '}']), "{cause}: an unknown placeholder in {prove}");
    }
}

#[test]
fn the_document_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/causes.md");
    let expected = explain::markdown();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(path, &expected).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == expected,
        "docs/causes.md is out of date: run `UPDATE_EXPECT=1 cargo test --test causes`"
    );
}

#[test]
fn every_code_has_one_anchor() {
    let document = explain::markdown();
    for &cause in Cause::ALL {
        let heading = format!("### {cause}");
        assert_eq!(document.lines().filter(|line| *line == heading).count(), 1, "{cause}");
    }
}

/// Every list of causes in what a world expects.
fn expected_causes(value: &toml::Value, found: &mut BTreeSet<String>) {
    let toml::Value::Table(table) = value else { return };
    for (key, value) in table {
        match (key.as_str(), value.as_array()) {
            // "This or that" names neither.
            ("causes", Some(causes)) if causes.len() == 1 => {
                found.extend(causes.iter().filter_map(|cause| cause.as_str()).map(str::to_owned));
            }
            (_, Some(tables)) => tables.iter().for_each(|table| expected_causes(table, found)),
            _ => {}
        }
    }
}

#[test]
fn every_cause_is_expected_by_name_in_a_world_of_the_lab() {
    let worlds = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/worlds");
    let mut expected = BTreeSet::new();
    for entry in std::fs::read_dir(worlds).unwrap() {
        let path = entry.unwrap().path();
        let world: toml::Value = toml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let expect = world.get("expect");
        expected_causes(expect.unwrap_or_else(|| panic!("{}", path.display())), &mut expected);
    }
    let all: BTreeSet<String> = Cause::ALL.iter().map(|cause| cause.as_str().to_owned()).collect();
    assert_eq!(expected, all, "the lab proves each cause, and only causes of the list");
    // And each was really told where it was expected.
    let measured = include_str!("../docs/confusion.md");
    for cause in all {
        let row = format!("| {cause} | {cause} |");
        assert!(measured.contains(&row), "docs/confusion.md has no row {row}");
    }
}
