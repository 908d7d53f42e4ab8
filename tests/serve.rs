//! The daemon from outside: what it answers, how a change reaches its readers, how it ends.

#![expect(clippy::unwrap_used, reason = "writing to memory does not fail")]

mod process;

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use process::daemon::{Daemon, check_path};
use process::loopback::{
    half_a_request, listener, listener_at, mute_dns_server, refusing_port, web_server,
};
use process::{alone, run};
use serde_json::{Value, json};

/// A daemon that looks every second at these targets, named in this order.
fn config(targets: &[(&str, String)]) -> String {
    let mut config = "[workspace]\ncloud = \"none\"\n\n[schedule]\ninterval = \"1s\"\n".to_owned();
    for (name, target) in targets {
        write!(
            config,
            "\n[[probe]]\nname = \"{name}\"\ntarget = \"{target}\"\nscenarios = [\"work\"]\n"
        )
        .unwrap();
    }
    config
}

/// Names that nobody answers for, for longer than a test waits.
fn never_ready(server: &std::net::SocketAddr) -> String {
    config(&[("silent", "tcp://silent.example:443".to_owned())])
        + &format!("\n[dns]\nservers = [\"{server}\"]\n\n[schedule.timeout]\ndns = \"60s\"\n")
}

#[test]
fn every_path_answers() {
    alone(|| {
        let (_listening, port) = listener();
        let refusing = refusing_port();
        let daemon = Daemon::start(&config(&[
            ("listening", format!("tcp://127.0.0.1:{port}")),
            ("refusing", format!("tcp://127.0.0.1:{refusing}")),
            ("web", format!("http://127.0.0.1:{}/", web_server())),
        ]));
        daemon.is_ready();
        assert_eq!(daemon.get("/-/ready").body, "ready");
        let healthy = daemon.get("/-/healthy");
        assert_eq!((healthy.status, healthy.body.as_str()), (200, "ok"));

        let page = daemon.get("/");
        assert_eq!(page.status, 200);
        assert!(page.head.contains("\ncontent-type: text/html"), "{}", page.head);
        let refusing = format!("refusing@127.0.0.1:{refusing}");
        let its_page = check_path(&refusing).replace("/api/v1/", "./");
        for text in ["1 fault blocks 1 of 1 scenario", "tcp_refused", &its_page] {
            assert!(page.body.contains(text), "no {text:?} on the page");
        }

        let report = daemon.json("/api/v1/report");
        assert_eq!(report["complete"], true);
        assert_eq!(
            report["summary"],
            json!({"pass": 2, "warn": 0, "fail": 1, "unknown": 0, "uncovered": 0})
        );
        let ids: Vec<&Value> =
            report["checks"].as_array().unwrap().iter().map(|check| &check["id"]).collect();
        for id in ids {
            let check = daemon.json(&check_path(id.as_str().unwrap()));
            assert_eq!(&check["id"], id);
        }
        assert_eq!(daemon.json(&check_path(&refusing))["cause"], "tcp_refused");
        let findings = daemon.json("/api/v1/findings");
        assert_eq!(findings.as_array().map(Vec::len), Some(1));
        assert_eq!(findings[0]["explains"], json!([refusing]));
        assert_eq!(daemon.get(&check_path("nothing@127.0.0.1:1")).status, 404);
        assert_eq!(daemon.get("/nowhere").status, 404);

        let metrics = daemon.get("/metrics");
        assert!(metrics.head.contains("\ncontent-type: text/plain; version=0.0.4"));
        assert!(metrics.body.contains("vnetprobe_checks{status=\"fail\"} 1\n"), "{}", metrics.body);
        daemon.stopped().expect(0);
    });
}

#[test]
fn a_change_reaches_the_readers_and_goes_again() {
    alone(|| {
        let (listening, port) = listener();
        let daemon = Daemon::start(&config(&[("server", format!("tcp://127.0.0.1:{port}"))]));
        let id = format!("server@127.0.0.1:{port}");
        let before = daemon.has_status(&id, "pass");
        daemon.is_ready();

        drop(listening);
        let broken = daemon.has_status(&id, "fail");
        assert_eq!(broken["cause"], "tcp_refused");
        assert_ne!(broken["since"], before["since"], "the change has its own time");
        assert_ne!(broken["last_success_at"], Value::Null);
        // One snapshot is behind every answer, so all of them say it now.
        assert_eq!(daemon.json("/api/v1/findings")[0]["cause"], "tcp_refused");
        assert_eq!(daemon.json("/api/v1/report")["scenarios"][0]["status"], "blocked");
        assert!(daemon.get("/").body.contains("1 fault blocks 1 of 1 scenario"));
        assert!(
            daemon.get("/metrics").body.contains("vnetprobe_scenario_ready{scenario=\"work\"} 0")
        );
        daemon.process.says("1 fault blocks 1 of 1 scenario");

        let _listening = listener_at((Ipv4Addr::LOCALHOST, port));
        let mended = daemon.has_status(&id, "pass");
        assert_eq!(mended["cause"], Value::Null);
        assert_eq!(daemon.json("/api/v1/findings"), json!([]));
        assert_eq!(daemon.json("/api/v1/report")["scenarios"][0]["status"], "ready");
        daemon.stopped().expect(0);
    });
}

#[test]
fn before_the_first_round_nothing_is_claimed() {
    alone(|| {
        let (questions, server) = mute_dns_server();
        let daemon = Daemon::start(&never_ready(&server));
        // It has begun, and has no result yet.
        questions.recv_from(&mut [0; 512]).unwrap();
        let ready = daemon.get("/-/ready");
        assert_eq!(ready.status, 503);
        assert!(ready.body.contains("0 of 1 checks have a result"), "{}", ready.body);
        assert_eq!(daemon.get("/-/healthy").status, 200);
        assert!(daemon.get("/").body.contains("First round is running"));
        let report = daemon.json("/api/v1/report");
        assert_eq!((&report["complete"], &report["finished_at"]), (&json!(false), &Value::Null));
        assert_eq!(report["findings"], json!([]));
        assert_eq!(report["scenarios"][0]["status"], "unknown");
        assert_eq!(report["checks"][0]["summary"], "not measured yet");
        // Every series is there from the start, and none says that something failed.
        let metrics = daemon.get("/metrics").body;
        for line in [
            "vnetprobe_probe_attempts_total{",
            "vnetprobe_probe_failures_total{",
            "vnetprobe_probe_success{",
            "vnetprobe_probe_duration_seconds{",
            "vnetprobe_checks{status=\"unknown\"} 1\n",
            "vnetprobe_checks{status=\"fail\"} 0\n",
        ] {
            assert!(metrics.contains(line), "no {line:?} in:\n{metrics}");
        }
        // What is in flight when it stops is given up, whatever its timeouts.
        daemon.stopped().expect(0);
    });
}

#[test]
fn a_signal_stops_it_cleanly() {
    alone(|| {
        for signal in ["TERM", "INT"] {
            let (_listening, port) = listener();
            let daemon = Daemon::start(&config(&[("a", format!("tcp://127.0.0.1:{port}"))]));
            daemon.is_ready();
            let address = daemon.address;
            daemon.process.signal(signal);
            let ended = daemon.process.ended().expect(0);
            assert_eq!(ended.stdout, "");
            assert!(ended.stderr.ends_with("stopping\n"), "{}", ended.stderr);
            // The port is free for the next one.
            drop(listener_at(address));
        }
    });
}

#[test]
fn a_second_signal_does_not_wait() {
    alone(|| {
        let (_questions, server) = mute_dns_server();
        let [mut patient, hasty] = [0, 1].map(|_| Daemon::start(&never_ready(&server)));
        let clients = [&patient, &hasty].map(|daemon| {
            let client = half_a_request(daemon.address);
            // Connections are taken in turn: when this is answered, the other one is there.
            daemon.get("/-/healthy");
            client
        });
        // Both wait for a client that does not end its request, the patient one begins before.
        for daemon in [&patient, &hasty] {
            daemon.process.signal("TERM");
            daemon.process.says("stopping\n");
        }
        hasty.process.signal("TERM");
        hasty.process.ended().expect(0);
        assert!(patient.process.is_running(), "a second signal ends the waiting");
        patient.process.ended().expect(0);
        drop(clients);
    });
}

#[test]
fn a_second_daemon_says_who_is_in_the_way() {
    alone(|| {
        let first = Daemon::start(&config(&[]));
        let address = first.address.to_string();
        let second = run(&["serve", "--listen", &address]).expect(3);
        assert!(second.stderr.contains(&address) && second.stderr.contains("--listen"));
        assert_eq!(first.get("/-/healthy").status, 200);
        first.stopped().expect(0);
    });
}

#[test]
fn the_default_configuration_tells_the_truth_of_a_machine_without_a_network() {
    alone(|| {
        // The shipped file, only in more of a hurry.
        let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/probes.toml");
        let hurry = ["--set", "schedule.interval=2s", "--listen", "127.0.0.1:0"];
        let daemon = Daemon::start_with(&[&["--config", shipped], &hurry[..]].concat());
        daemon.is_ready();
        let report = daemon.json("/api/v1/report");
        let findings = report["findings"].as_array().unwrap();
        assert_eq!(findings.len(), 1, "one machine without a network: {findings:#?}");
        let cause = findings[0]["cause"].as_str().unwrap();
        assert!(["local_no_network", "local_no_resolver"].contains(&cause), "{cause}");
        assert_eq!(report["summary"]["fail"], 0);
        assert!(daemon.get("/").body.contains(cause));
        daemon.stopped().expect(0);
    });
}

#[test]
fn other_machines_are_warned_of() {
    alone(|| {
        let daemon = Daemon::start_with(&["--set", "cloud=none", "--listen", "0.0.0.0:0"]);
        let said = daemon.process.says("without TLS or authentication");
        assert!(said.contains("WARN 0.0.0.0:"), "{said}");
        daemon.stopped().expect(0);
    });
}
