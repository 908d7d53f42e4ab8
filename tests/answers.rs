//! The forms of an answer: every format of a real run is what its readers can read, and the JSON
//! has the fields of the contract.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where its world is not as it says"
)]

mod process;

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::process::Command;

use process::loopback::{listener, refusing_port, web_server};
use process::{Process, alone, folder, needs, run_with};
use serde_json::Value;

/// Something that listens, something that refuses, something that answers HTTP, and a requirement
/// of the catalog that cannot be measured here.
struct World {
    _listener: TcpListener,
    config: String,
    listening: String,
    refusing: String,
    answering: String,
}

fn world() -> World {
    let (listener, port) = listener();
    let (refusing, answering) = (refusing_port(), web_server());
    let config = format!(
        "[workspace]\ncloud = \"none\"\n\n\
         [[probe]]\nname = \"listening\"\ntarget = \"tcp://127.0.0.1:{port}\"\nscenarios = [\"packages\"]\n\n\
         [[probe]]\nname = \"refusing\"\ntarget = \"tcp://127.0.0.1:{refusing}\"\nscenarios = [\"packages\", \"sync\"]\n\n\
         [[probe]]\nname = \"answering\"\ntarget = \"http://127.0.0.1:{answering}/\"\n"
    );
    World {
        _listener: listener,
        config,
        listening: format!("listening@127.0.0.1:{port}"),
        refusing: format!("refusing@127.0.0.1:{refusing}"),
        answering: format!("answering@127.0.0.1:{answering}"),
    }
}

/// Ids of the checks of a run with these arguments.
fn checked(world: &World, arguments: &[&str]) -> BTreeSet<String> {
    let mut all = vec!["check", "--format", "json"];
    all.extend(arguments);
    let report = run_with(&world.config, &all).json();
    let checks = report["checks"].as_array().unwrap();
    checks.iter().map(|check| check["id"].as_str().unwrap().to_owned()).collect()
}

fn set<'a>(items: impl IntoIterator<Item = &'a String>) -> BTreeSet<String> {
    items.into_iter().cloned().collect()
}

// -------------------------------------------------------------------------------------- filters

#[test]
fn filters_keep_what_they_say() {
    alone(|| {
        let world = world();
        let World { listening, refusing, answering, .. } = &world;
        let all = set([listening, refusing, answering]);
        for (arguments, kept) in [
            (&[][..], all.clone()),
            (&["--scenario", "packages"], set([listening, refusing])),
            (&["--scenario", "sync"], set([refusing])),
            (&["--kind", "http"], set([answering])),
            (&["--kind", "http", "--kind", "tcp"], all.clone()),
            (&["--kind", "tcp", "--scenario", "sync"], set([refusing])),
            (&["--host", "127.*"], all.clone()),
            (&["--host", "127.0.0.?"], all),
        ] {
            assert_eq!(checked(&world, arguments), kept, "{arguments:?}");
        }
        run_with(&world.config, &["check", "--kind", "smb"]).expect(2);
        // What is not asked for does not decide either.
        run_with(&world.config, &["check"]).expect(1);
        run_with(&world.config, &["check", "--kind", "http"]).expect(0);
    });
}

#[test]
fn filters_work_on_the_catalog() {
    alone(|| {
        let hosts = |arguments: &[&str]| -> Vec<String> {
            let mut all = vec!["check", "--format", "json"];
            all.extend(arguments);
            let report = run_with("", &all).expect(4).json();
            let checks = report["checks"].as_array().unwrap();
            checks.iter().map(|check| check["host"].as_str().unwrap().to_owned()).collect()
        };
        let digicert = hosts(&["--host", "*.DigiCert.com"]);
        assert!(!digicert.is_empty());
        assert!(digicert.iter().all(|host| host.ends_with(".digicert.com")), "{digicert:?}");
        let (all, studio) = (hosts(&[]), hosts(&["--scenario", "studio"]));
        assert!(!studio.is_empty() && studio.len() < all.len(), "{studio:?}");
        assert!(studio.iter().all(|host| all.contains(host)));
    });
}

// -------------------------------------------------------------------------------------- the table

#[test]
fn the_table_says_what_is_broken_first() {
    alone(|| {
        let world = world();
        let brief = run_with(&world.config, &["check"]).expect(1);
        assert_eq!(brief.stderr, "");
        let table = &brief.stdout;
        assert!(!table.contains('\u{1b}'), "a pipe is no terminal");
        let places: Vec<usize> = [
            "1 fault blocks 2 of 2 scenarios",
            "✗ fail",
            "cause    tcp_refused",
            "Scenarios\n",
            "✗ blocked   packages",
            "Checks\n",
            "2 pass, 0 warn, 1 fail, 0 unknown, 0 uncovered",
        ]
        .iter()
        .map(|text| table.find(text).unwrap_or_else(|| panic!("no {text:?} in:\n{table}")))
        .collect();
        assert!(places.is_sorted(), "{places:?} in:\n{table}");
        let verbose = run_with(&world.config, &["check", "--verbose"]).expect(1).stdout;
        assert!(verbose.lines().count() > table.lines().count(), "{verbose}");
        assert!(verbose.contains("connected from 127.0.0.1:"), "{verbose}");
    });
}

// --------------------------------------------------------------------------------------- formats

#[test]
fn every_format_can_be_read() {
    alone(|| {
        let world = world();
        let in_format = |format| run_with(&world.config, &["check", "--format", format]).expect(1);
        let answers = ["table", "json", "markdown", "junit", "prometheus"].map(in_format);
        for answer in &answers {
            assert_eq!(answer.stderr, "");
            assert!(answer.stdout.ends_with('\n') && !answer.stdout.contains('\u{1b}'));
            assert!(answer.stdout.contains("tcp_refused"), "{}", answer.stdout);
        }
        let [_, json, markdown, junit, prometheus] = answers;
        assert_eq!(json.json()["summary"]["fail"], 1);
        assert!(markdown.stdout.starts_with('#'), "{}", markdown.stdout);
        junit_is_read(&junit.stdout);
        promtool_has_no_complaint(&prometheus.stdout);
    });
}

/// Python's parser, as pipelines use one: well-formed, and the counts are those of the elements.
fn junit_is_read(xml: &str) {
    needs("python3", "python3");
    let files = folder(&[("junit.xml", xml)]);
    let mut python = Command::new("python3");
    python.current_dir(files.path()).args([
        "-c",
        "import xml.etree.ElementTree as e\n\
         s = e.parse('junit.xml').getroot()\n\
         print(s.tag, s.get('tests'), s.get('failures'), s.get('skipped'))\n\
         print(len(s.findall('testcase')), len(s.findall('testcase/failure')))\n\
         print(s.find('testcase/failure').get('type'))",
    ]);
    let read = Process::start(&mut python).ended().expect(0);
    assert_eq!(read.stdout, "testsuite 3 1 0\n3 1\ntcp_refused\n");
}

fn promtool_has_no_complaint(metrics: &str) {
    needs("promtool", "prometheus");
    let files = folder(&[("metrics", metrics)]);
    let mut promtool = Command::new("sh");
    promtool.current_dir(files.path()).args(["-c", "promtool check metrics < metrics"]);
    let checked = Process::start(&mut promtool).ended().expect(0);
    assert_eq!((checked.stdout.as_str(), checked.stderr.as_str()), ("", ""));
}

// ------------------------------------------------------------------------------------------ JSON

/// Keys of the outermost object, in the order in which they are written.
fn top_level_keys(json: &str) -> Vec<&str> {
    json.lines()
        .filter_map(|line| line.strip_prefix("  \"")?.split_once('"'))
        .map(|(key, _)| key)
        .collect()
}

/// Every object at this place has these keys and no others.
#[track_caller]
fn has_keys<'a>(objects: impl IntoIterator<Item = &'a Value>, keys: &[&str]) {
    let expected: BTreeSet<&str> = keys.iter().copied().collect();
    let mut seen = 0;
    for object in objects {
        let keys: BTreeSet<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, expected);
        seen += 1;
    }
    assert!(seen > 0, "nothing to look at for {keys:?}");
}

/// Fields of a finding.
const FINDING: [&str; 10] = [
    "id",
    "since",
    "cause",
    "status",
    "title",
    "explains",
    "scenarios",
    "evidence",
    "fix",
    "prove",
];

#[test]
fn the_report_has_the_fields_of_its_schema() {
    alone(|| {
        let world = world();
        // The catalog adds what cannot be measured and what is not covered.
        let config = world.config.replace("\"none\"", "\"usgovernment\"");
        let answer = run_with(&config, &["check", "--format", "json"]).expect(1);
        assert_eq!(
            top_level_keys(&answer.stdout),
            [
                "schema",
                "tool",
                "vantage",
                "started_at",
                "finished_at",
                "duration_seconds",
                // Besides the contract's: whether every check has a result.
                "complete",
                "summary",
                "findings",
                "scenarios",
                "checks",
                "uncovered"
            ]
        );
        let report = answer.json();
        let all = |key: &str| report[key].as_array().unwrap();
        assert_eq!(report["schema"], "vnetprobe.report/v1");
        has_keys([&report["tool"]], &["version", "revision", "catalog"]);
        has_keys([&report["tool"]["catalog"]], &["cloud", "date"]);
        let vantage = ["hostname", "addresses", "dns_servers", "proxy", "region"];
        has_keys([&report["vantage"]], &vantage);
        let summary = ["pass", "warn", "fail", "unknown", "uncovered"];
        has_keys([&report["summary"]], &summary);
        // Besides the contract's: its id, its beginning and the scenarios it touches.
        has_keys(all("findings"), &FINDING);
        has_keys(all("scenarios"), &["id", "title", "status", "blocked_by"]);
        has_keys(
            all("checks"),
            &[
                "id",
                "requirement",
                "host",
                "port",
                "kind",
                "expect",
                "status",
                "cause",
                "layer",
                "summary",
                "warnings",
                "addresses",
                "phases",
                "evidence",
                // Besides the contract's.
                "scenarios",
                "since",
                "last_run_at",
                "last_success_at",
            ],
        );
        let addresses = all("checks").iter().flat_map(|c| c["addresses"].as_array().unwrap());
        has_keys(addresses, &["ip", "status", "cause"]);
        let phases = all("checks").iter().map(|check| &check["phases"]);
        has_keys(phases, &["dns", "connect", "tls", "http"]);
        has_keys(all("uncovered"), &["requirement", "pattern", "ports", "reason"]);
    });
}

#[test]
fn the_report_agrees_with_itself() {
    alone(|| {
        let world = world();
        let report = run_with(&world.config, &["check", "--format", "json"]).expect(1).json();
        assert_eq!(report["complete"], true);
        for time in ["started_at", "finished_at"] {
            let text = report[time].as_str().unwrap();
            assert!(text.parse::<jiff::Timestamp>().is_ok(), "{time}: {text}");
        }
        assert!(report["duration_seconds"].as_f64().unwrap() > 0.0);
        let checks = report["checks"].as_array().unwrap();
        let of = |id: &str| checks.iter().find(|check| check["id"] == id).unwrap();
        let (good, bad) = (of(&world.listening), of(&world.refusing));
        assert_eq!((&good["status"], &good["cause"]), (&"pass".into(), &Value::Null));
        assert_eq!(good["phases"]["tls"], Value::Null);
        assert!(good["phases"]["connect"].as_f64().unwrap() > 0.0);
        assert_eq!((&bad["status"], &bad["cause"]), (&"fail".into(), &"tcp_refused".into()));
        assert_eq!(bad["layer"], "tcp");
        assert_eq!(bad["addresses"][0]["ip"], "127.0.0.1");
        assert_eq!(bad["addresses"][0]["cause"], "tcp_refused");
        assert_eq!(of(&world.answering)["kind"], "http");
        assert!(of(&world.answering)["phases"]["http"].as_f64().unwrap() > 0.0);
        // Ids elsewhere are ids of checks.
        assert_eq!(report["findings"][0]["explains"], serde_json::json!([world.refusing]));
        for scenario in report["scenarios"].as_array().unwrap() {
            assert_eq!(scenario["status"], "blocked");
            assert_eq!(scenario["blocked_by"], serde_json::json!([world.refusing]));
        }
    });
}
