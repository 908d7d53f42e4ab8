use std::net::SocketAddr;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::model::{Expect, Kind};

fn set(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

fn rendered(text: &str, settings: &[(String, String)]) -> String {
    parse_with(text, settings).unwrap_err().render("probes.toml", text)
}

#[test]
fn the_documented_default_is_the_built_in_one() {
    let documented = parse(DEFAULT).unwrap();
    let built_in = parse("").unwrap();
    assert_eq!(documented, built_in);
    assert_eq!(built_in.parameters, Parameters::default());
    assert_eq!(built_in.settings, Settings::default());
    assert!(built_in.probes.is_empty() && built_in.exclude.is_empty());
}

#[test]
fn the_documented_default_names_every_key() {
    for (table, keys) in schema::TABLES {
        for key in *keys {
            assert!(DEFAULT.contains(&format!("{key} = ")), "{table}.{key}");
        }
    }
    // What is shown commented out is valid too.
    let uncommented: String = DEFAULT
        .lines()
        .filter(|line| !line.starts_with("endpoint_addresses"))
        .map(|line| match line.strip_prefix("# ") {
            Some(code)
                if code.starts_with("[[") || code.contains(" = ") && !code.starts_with(' ') =>
            {
                code
            }
            _ => line,
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    let config = parse(&uncommented).map_err(|e| e.render("probes.toml", &uncommented));
    let config = config.unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(config.parameters.region.as_deref(), Some("usgovvirginia"));
    assert_eq!(config.probes.len(), 1);
}

#[test]
fn a_full_configuration_is_read() {
    let config = parse(include_str!("../../tests/good-config/full.toml")).unwrap();
    assert_eq!(config.parameters.compute_instances, ["ci-alice", "ci-bob"]);
    assert!(config.parameters.features.contains(&Feature::Hbi));
    assert_eq!(config.network.endpoint_addresses.len(), 1);
    assert_eq!(config.settings.dns_reference, None);
    assert_eq!(config.settings.dns_servers, [SocketAddr::from(([10, 0, 0, 4], 53))]);
    assert_eq!(config.settings.timeouts.dns, Duration::from_millis(500));
    assert_eq!(config.settings.timeouts.tls, Duration::from_secs(4));
    assert!(config.excludes("vs-code-server") && !config.excludes("tag-entra"));
    let probe = &config.probes[0];
    assert_eq!((probe.id.as_str(), probe.expect), ("artifact-mirror", Expect::Private));
    assert_eq!((probe.target.kind, probe.target.path.as_str()), (Kind::Https, "/simple/"));
}

#[test]
fn settings_replace_values_of_the_file() {
    let text = "[workspace]\nregion = 'Bad Region'\n[schedule]\ntimeout = { dns = '1s' }\n";
    let config = parse_with(
        text,
        &[
            set("region", "usgovarizona"),
            set("workspace.name", "2024-11-01"),
            set("schedule.timeout.tls", "7s"),
            set("schedule.concurrency", "8"),
            set("private_endpoint", "false"),
            set("dns.servers", "[\"10.0.0.4\"]"),
            set("dns.reference", ""),
            set("features", "['hbi']"),
            set("network.endpoint_addresses.a.contoso.mil", "['10.0.0.9']"),
        ],
    )
    .unwrap();
    assert_eq!(config.parameters.region.as_deref(), Some("usgovarizona"));
    assert_eq!(config.parameters.name.as_deref(), Some("2024-11-01"));
    assert!(!config.parameters.private_endpoint);
    assert_eq!(config.settings.timeouts.dns, Duration::from_secs(1));
    assert_eq!(config.settings.timeouts.tls, Duration::from_secs(7));
    assert_eq!(config.settings.concurrency, 8);
    assert_eq!(config.settings.dns_reference, None);
    assert!(config.network.endpoint_addresses.contains_key(&Host::Name("a.contoso.mil".into())));
}

#[test]
fn mistakes_in_settings_name_the_setting() {
    for (key, value, expected) in [
        (
            "region",
            "US Gov Virginia",
            "--set region=US Gov Virginia: `US Gov Virginia` is not the name of a region\n  \
             = help: did you mean `usgovvirginia`? Lower-case letters and digits only\n",
        ),
        (
            "regoin",
            "x",
            "--set regoin=x: `[workspace]` has no key `regoin`\n  = help: did you mean `region`? \
             Known: cloud, region, name, id, storage_account, key_vault, container_registry, \
             compute_instances, online_endpoints, private_endpoint, features, vantage\n",
        ),
        (
            "interval",
            "5s",
            "--set interval=5s: `[workspace]` has no key `interval`\n  \
             = help: `interval` belongs in `[schedule]`\n",
        ),
        (
            "schedul.interval",
            "5s",
            "--set schedul.interval=5s: there is no table `schedul`\n  \
             = help: did you mean `schedule`? Known: workspace, network, dns, proxy, tls, \
             schedule, web, history, catalog, probe\n",
        ),
        (
            "schedule.interval",
            "60",
            "--set schedule.interval=60: `60` has no unit\n  = help: for seconds write \"60s\"\n",
        ),
        (
            "dns.servers",
            "10.0.0.4",
            "--set dns.servers=10.0.0.4: `dns.servers` must be a list of strings, not a string\n  \
             = help: write it in brackets: [\"10.0.0.4\"]\n",
        ),
        (
            "proxy.url",
            "http://bob:hunter2@proxy:0",
            "--set proxy.url=***: the proxy's port is not between 1 and 65535\n  \
             = help: write `http://proxy.contoso.mil:3128`\n",
        ),
    ] {
        assert_eq!(rendered("", &[set(key, value)]), expected);
    }
}

#[test]
fn passwords_appear_in_no_error() {
    for text in [
        "[proxy]\nurl = \"http://bob:hunter2@proxy:0\"\n",
        "[proxy]\nurl = \"bob:hunter2@proxy\"\n",
        "[proxy]\nurl = http://bob:hunter2@proxy:3128\n",
        "[dns]\nservers = [\"http://bob:hunter2@proxy\"]\n",
        "[dns]\nservers = \"http://bob:hunter2@proxy\"\n",
        "[workspace]\nkey_vault = \"http://bob:hunter2@proxy\"\n",
        "[proxy]\nurl = \"http://bob:hunter2\"\n",
        "[proxy]\nurl = \"http://bob:hunter2@proxy\n",
        "[proxy]\nulr = \"http://bob:hunter2@proxy\"\n",
        "proxy = { url = \"http://bob:hunter2@proxy\", port = 1 }\n",
        "[proxy]\nurl = [\"http://bob:hunter2@proxy\"]\n",
        "[[probe]]\nname = \"a\"\ntarget = \"https://bob:hunter2@mirror\"\n",
    ] {
        let errors = parse(text).unwrap_err();
        let all = format!("{errors} {errors:?} {}", errors.render("probes.toml", text));
        assert!(!all.contains("hunter2"), "{all}");
    }
}

#[test]
fn errors_are_bounded_and_the_rest_is_counted() {
    let lines: Vec<String> = (0..250).map(|i| format!("unknown_{i} = 1\n")).collect();
    let text = lines.concat();
    let errors = parse(&text).unwrap_err();
    assert_eq!((errors.errors.len(), errors.more), (limits::CONFIG_ERRORS, 150));
    assert!(errors.render("probes.toml", &text).ends_with("\nand 150 more\n"));
    let first = &errors.errors[0];
    assert_eq!(first.offending, "unknown_0");
    assert_eq!(first.place, ErrorPlace::File { span: 0..9, line: 1, column: 1 });
}

#[test]
fn deep_and_endless_inputs_end() {
    for text in [
        format!("a = {}", "[".repeat(100_000)),
        format!("{} = 1", vec!["a"; 100_000].join(".")),
        format!("[dns]\nservers = [{}]", "'10.0.0.4',".repeat(100_000)),
        "[[probe]]\n".repeat(50_000),
        "x = 1\n".repeat(50_000),
    ] {
        let errors = parse(&text).unwrap_err();
        assert!(errors.errors.len() <= limits::CONFIG_ERRORS);
        assert!(errors.render("probes.toml", &text).len() < 200_000);
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,200}") {
        if let Err(errors) = parse(&text) {
            prop_assert!(!errors.render("probes.toml", &text).is_empty());
        }
    }

    #[test]
    fn no_damage_to_a_good_file_makes_the_parser_panic(
        at in 0_usize..2_000,
        length in 0_usize..40,
        instead in "[\\[\\]{}\"'=.,#\n\ta-z0-9@:/ü漢\u{1b}]{0,6}",
    ) {
        let good = include_str!("../../tests/good-config/full.toml");
        let chars: Vec<char> = good.chars().collect();
        let at = at.min(chars.len());
        let end = (at + length).min(chars.len());
        let text: String =
            chars[..at].iter().copied().chain(instead.chars()).chain(chars[end..].iter().copied()).collect();
        if let Err(errors) = parse(&text) {
            prop_assert!(!errors.render("probes.toml", &text).is_empty());
            for error in &errors.errors {
                prop_assert!(!error.message.chars().any(char::is_control), "{}", error.message);
            }
        }
    }

    #[test]
    fn no_setting_makes_the_parser_panic(key in "[a-z_.\"]{0,20}", value in "\\PC{0,40}") {
        let _ = parse_with("", &[(key, value)]);
    }
}
