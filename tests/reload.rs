//! A new configuration while the daemon runs, and what the daemon says of itself.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where its world is not as it says"
)]
#![expect(clippy::disallowed_methods, reason = "a test changes files")]

mod process;

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::process::Command;
use std::thread;

use process::daemon::Daemon;
use process::loopback::{listener, refusing_port};
use process::{alone, cover, folder, until, vnetprobe};
use serde_json::Value;

/// A daemon that looks once a minute, after a hurried first round, at these ports.
fn config(ports: &[u16]) -> String {
    let mut config = "[workspace]\ncloud = \"none\"\n".to_owned();
    for port in ports {
        let target = format!("tcp://127.0.0.1:{port}");
        write!(config, "\n[[probe]]\nname = \"p{port}\"\ntarget = \"{target}\"\n").unwrap();
    }
    config
}

/// Ids of the checks, and how often each was measured.
fn checks(daemon: &Daemon) -> Vec<(String, Value)> {
    let report = daemon.json("/api/v1/report");
    let checks = report["checks"].as_array().unwrap().clone();
    checks.iter().map(|c| (c["id"].as_str().unwrap().to_owned(), c["since"].clone())).collect()
}

fn metric(daemon: &Daemon, line: &str) -> bool {
    daemon.get("/metrics").body.lines().any(|l| l == line)
}

#[test]
fn a_new_plan_is_in_use_at_once_and_what_is_the_same_keeps_its_state() {
    alone(|| {
        let (_one, a) = listener();
        let (_two, b) = listener();
        let daemon = Daemon::start(&config(&[a]));
        daemon.is_ready();
        let before = checks(&daemon);
        daemon.configure(&config(&[a, b]));
        let answer = daemon.ask("POST", "/-/reload", "");
        assert_eq!((answer.status, answer.body.as_str()), (200, "reloaded: 2 checks\n"));
        let after =
            until("both are in the report", || Some(checks(&daemon)).filter(|c| c.len() == 2));
        assert_eq!(after[0], before[0]);
        daemon.is_ready();
        daemon.process.says("configuration reloaded");
        assert!(metric(&daemon, "vnetprobe_config_last_reload_successful 1"));
        daemon.stopped().expect(0);
    });
}

#[test]
fn a_signal_reloads_and_a_storm_of_them_stops_nothing() {
    alone(|| {
        let (_one, a) = listener();
        let (_two, b) = listener();
        let daemon = Daemon::start(&config(&[a]));
        daemon.configure(&config(&[a, b]));
        for _ in 0..200 {
            daemon.process.signal("HUP");
        }
        until("both are in the report", || Some(checks(&daemon)).filter(|c| c.len() == 2));
        daemon.is_ready();
        assert_eq!(daemon.json("/api/v1/report")["summary"]["pass"], 2);
        daemon.stopped().expect(0);
    });
}

#[test]
fn a_bad_configuration_is_refused_as_a_whole_and_told_everywhere() {
    alone(|| {
        let (_one, a) = listener();
        let daemon = Daemon::start(&config(&[a]));
        daemon.is_ready();
        daemon.configure("[schedule]\ninterval = \"soon\"\n");
        let answer = daemon.ask("POST", "/-/reload", "");
        assert_eq!(answer.status, 500);
        assert!(answer.head.contains("application/problem+json"), "{}", answer.head);
        assert!(answer.body.contains("probes.toml:2:12"), "{}", answer.body);
        daemon.process.says("configuration not reloaded");
        assert_eq!(checks(&daemon).len(), 1);
        until("the metric tells", || {
            metric(&daemon, "vnetprobe_config_last_reload_successful 0").then_some(())
        });
        assert!(daemon.get("/").body.contains("The last reload was refused"));
        daemon.configure(&config(&[a]));
        assert_eq!(daemon.ask("POST", "/-/reload", "").status, 200);
        until("the metric tells", || {
            metric(&daemon, "vnetprobe_config_last_reload_successful 1").then_some(())
        });
        daemon.stopped().expect(0);
    });
}

#[test]
fn a_changed_file_is_noticed() {
    alone(|| {
        let (_one, a) = listener();
        let (_two, b) = listener();
        let daemon = Daemon::start(&config(&[a]));
        daemon.configure(&config(&[a, b]));
        let said = daemon.process.says("configuration reloaded");
        assert!(said.contains("the configuration file changed"), "{said}");
        assert_eq!(checks(&daemon).len(), 2);
        daemon.stopped().expect(0);
    });
}

#[test]
fn a_file_that_changes_while_the_daemon_starts_is_noticed() {
    alone(|| {
        let (_one, a) = listener();
        let (_two, b) = listener();
        let files = folder(&[("next.toml", &config(&[a, b]))]);
        let path = files.path().join("probes.toml");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let command = vnetprobe(&["serve", "--listen", "127.0.0.1:0", "--config", "probes.toml"]);
        // Whoever opens the pipe reads of one port, and who opens the file later reads of two.
        let writer = thread::spawn(move || {
            let mut pipe = File::options().write(true).open(&path).unwrap();
            std::fs::rename(path.with_file_name("next.toml"), &path).unwrap();
            pipe.write_all(config(&[a]).as_bytes()).unwrap();
        });
        let daemon = Daemon::start_as(command, files);
        writer.join().unwrap();
        let said = daemon.process.says("configuration reloaded");
        assert!(said.contains("the configuration file changed"), "{said}");
        assert_eq!(checks(&daemon).len(), 2);
        daemon.stopped().expect(0);
    });
}

#[test]
fn a_ca_file_that_was_missing_is_noticed_when_it_is_there() {
    alone(|| {
        let daemon = Daemon::start(&config(&[]));
        let files = folder(&[]);
        let path = files.path().join("ca.pem");
        daemon.configure(&format!("{}\n[tls]\nca_files = [{path:?}]\n", config(&[])));
        let answer = daemon.ask("POST", "/-/reload", "");
        assert!(answer.body.contains("failed to read the CA file"), "{}", answer.body);
        let root = rcgen::generate_simple_self_signed(["ca.example".to_owned()]).unwrap();
        std::fs::write(&path, root.cert.pem()).unwrap();
        let said = daemon.process.says("configuration reloaded");
        assert!(said.contains("a CA file changed"), "{said}");
        daemon.stopped().expect(0);
    });
}

#[test]
fn changed_dns_servers_of_the_machine_are_noticed() {
    alone(|| {
        cover("/etc/resolv.conf", "nameserver 127.0.0.1\n");
        let daemon = Daemon::start(&config(&[]));
        cover("/etc/resolv.conf", "nameserver 127.0.0.2\n");
        let said = daemon.process.says("configuration reloaded");
        assert!(said.contains("network changed"), "{said}");
        let servers = daemon.json("/api/v1/report")["vantage"]["dns_servers"].clone();
        assert_eq!(servers, serde_json::json!(["127.0.0.2:53"]));
        daemon.stopped().expect(0);
    });
}

#[test]
fn what_a_reload_cannot_do_is_told_by_its_name() {
    alone(|| {
        let daemon = Daemon::start(&config(&[]));
        let history = config(&[]) + "\n[history]\nretention = \"30d\"\n";
        let both = history.clone() + "\n[web]\nlisten = \"127.0.0.1:1\"\n";
        // As long as it differs from what is in use, and no longer.
        for config in [&config(&[]), &history, &both, &config(&[])] {
            daemon.configure(config);
            assert_eq!(daemon.ask("POST", "/-/reload", "").status, 200);
        }
        let said = daemon.stopped().expect(0).stderr;
        assert_eq!(said.matches("the settings of [history] need a restart").count(), 2, "{said}");
        assert_eq!(said.matches("web.listen and the settings of TLS need").count(), 1, "{said}");
    });
}

#[test]
fn only_a_post_reloads() {
    alone(|| {
        let daemon = Daemon::start(&config(&[]));
        let answer = daemon.get("/-/reload");
        assert_eq!(answer.status, 405);
        assert!(answer.head.contains("\nallow: post"), "{}", answer.head);
        daemon.stopped().expect(0);
    });
}

// ------------------------------------------------------------------------------------------- logs

#[test]
fn lines_are_objects_on_request_and_one_per_change() {
    alone(|| {
        let refusing = refusing_port();
        let config = config(&[refusing]) + "\n[schedule]\ninterval = \"1s\"\n";
        let daemon = Daemon::start_so(&config, &["--log-format", "json"]);
        daemon.process.says("tcp_refused");
        until("it was measured often", || {
            let check = &daemon.json("/api/v1/report")["checks"][0];
            check["last_run_at"].as_str().filter(|at| *at > check["since"].as_str().unwrap())?;
            Some(())
        });
        let ended = daemon.stopped().expect(0);
        let lines: Vec<Value> =
            ended.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let about: Vec<&Value> = lines.iter().filter(|line| line.get("check").is_some()).collect();
        assert_eq!(about.len(), 1, "{lines:#?}");
        assert_eq!(about[0]["level"], "WARN");
        assert_eq!(about[0]["cause"], "tcp_refused");
        assert_eq!(about[0]["was"], "unknown");
    });
}

#[test]
fn the_level_can_change_while_it_runs() {
    alone(|| {
        let daemon = Daemon::start(&config(&[]));
        assert_eq!(daemon.get("/-/log-level").body, "info\n");
        assert_eq!(daemon.ask("PUT", "/-/log-level", "error").status, 200);
        assert_eq!(daemon.get("/-/log-level").body, "error\n");
        assert_eq!(daemon.ask("POST", "/-/reload", "").status, 200);
        daemon.configure("mistake");
        assert_eq!(daemon.ask("POST", "/-/reload", "").status, 500);
        // Lines come in the order of what happened, and the first reload was no error.
        let said = daemon.process.says("configuration not reloaded");
        assert!(!said.contains("configuration reloaded"), "{said}");
        daemon.configure(&config(&[]));
        assert_eq!(daemon.ask("PUT", "/-/log-level", "debug").status, 200);
        assert_eq!(daemon.ask("POST", "/-/reload", "").status, 200);
        daemon.process.says("configuration reloaded");
        let refused = daemon.ask("PUT", "/-/log-level", "loud");
        assert_eq!(refused.status, 400);
        assert!(refused.body.contains("write error, warn, info"), "{}", refused.body);
        daemon.stopped().expect(0);
    });
}
