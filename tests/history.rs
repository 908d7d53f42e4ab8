//! The history of a daemon from outside: over restarts, on bad files and disks, and what is asked
//! of it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test stops where its world is not as it says, and it makes that world"
)]

mod process;

use std::fs;
use std::path::Path;
use std::process::Command;

use process::daemon::Daemon;
use process::loopback::{listener, listener_at, refusing_port};
use process::{Process, alone, folder, run, until, vnetprobe};
use serde_json::Value;

/// A daemon that looks at this port every second and keeps its history there.
fn config(port: u16, path: &Path) -> String {
    format!(
        "[workspace]\ncloud = \"none\"\n[schedule]\ninterval = \"1s\"\n[history]\npath = \"{}\"\nmax_size = \"4MiB\"\n\
         [[probe]]\nname = \"one\"\ntarget = \"tcp://127.0.0.1:{port}\"\n",
        path.display()
    )
}

fn metric(daemon: &Daemon, name: &str) -> f64 {
    let text = daemon.get("/metrics").body;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

fn is_written(daemon: &Daemon) {
    until("the file is written", || {
        (daemon.json("/api/v1/report")["history"]["kept"] == "file").then_some(())
    });
}

fn is_degraded(daemon: &Daemon, part: &str) {
    let history = until("the daemon says that it keeps no file", || {
        Some(daemon.json("/api/v1/report")["history"].clone()).filter(|h| h["kept"] == "degraded")
    });
    let warning = history["warning"].as_str().unwrap();
    assert!(warning.contains(part), "{warning}");
    assert!(metric(daemon, "vnetprobe_history_writable").abs() < 0.1);
    assert!(daemon.get("/").body.contains("History is kept in memory only"));
    daemon.process.says("History is kept in memory only");
    // And probing goes on.
    let runs = metric_of_the_probe(daemon);
    until("another measurement", || (metric_of_the_probe(daemon) > runs).then_some(()));
}

fn metric_of_the_probe(daemon: &Daemon) -> f64 {
    let text = daemon.get("/metrics").body;
    let line = text.lines().find(|line| line.starts_with("vnetprobe_probe_attempts_total{"));
    line.unwrap().rsplit(' ').next().unwrap().parse().unwrap()
}

fn sh(script: &str) {
    let done = Command::new("sh").args(["-ec", script]).status().unwrap();
    assert!(done.success(), "{script}");
}

#[test]
fn what_changed_is_known_after_a_restart_and_to_who_asks_beside_the_daemon() {
    alone(|| {
        let files = folder(&[]);
        let path = files.path().join("history.sqlite");
        let (listening, port) = listener();
        let config = config(port, &path);
        let id = format!("one@127.0.0.1:{port}");
        let first = Daemon::start(&config);
        first.has_status(&id, "pass");
        drop(listening);
        let failed = first.has_status(&id, "fail");
        let file = path.to_str().unwrap();
        let ask = |arguments: &[&str]| run(&[&["history", "--file", file], arguments].concat());
        // The daemon writes it meanwhile.
        let json = until("the change is in the file", || {
            let json = ask(&["--format", "json", "--check", "one@*"]).expect(0).json();
            (json["events"].as_array().unwrap().len() == 1).then_some(json)
        });
        assert_eq!(
            (&json["schema"], &json["more"]),
            (&"vnetprobe.history/v1".into(), &false.into())
        );
        let event = &json["events"][0];
        assert_eq!(
            (&event["what"], &event["to"]["cause"]),
            (&"check".into(), &"tcp_refused".into())
        );
        assert!(event["observation"]["climbs"].is_array(), "{event}");
        assert_eq!(first.json("/api/v1/history?check=one@*&from=1h&limit=5")["events"][0], *event);
        first.stopped().expect(0);
        assert!(!path.with_extension("sqlite-wal").exists(), "closed in order");

        let second = Daemon::start(&config);
        let again = second.has_status(&id, "fail");
        assert_eq!(again["since"], failed["since"], "it failed all the time");
        let events = second.json("/api/v1/history");
        assert_eq!(events["kept"], "file");
        let whats: Vec<&str> = events["events"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["what"].as_str().unwrap())
            .collect();
        assert_eq!((whats[0], whats[1]), ("started", "check"));
        assert_eq!(whats.iter().filter(|what| **what == "check").count(), 1, "no news: {whats:?}");
        assert_eq!(whats.iter().filter(|what| **what == "started").count(), 2, "{whats:?}");
        let numbers: Vec<u64> = events["events"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["number"].as_u64().unwrap())
            .collect();
        assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
        let _listening = listener_at(([127, 0, 0, 1], port));
        second.has_status(&id, "pass");
        second.stopped().expect(0);
        let table = ask(&["--from", "1h"]).expect(0).stdout;
        let lines: Vec<&str> = table.lines().filter(|line| line.contains(&id)).collect();
        assert!(
            lines[0].contains("from pass to fail (tcp_refused)")
                || lines[0].contains("pass to fail"),
            "{table}"
        );
        assert!(table.contains("vnetprobe 0.1.0 started with 1 check"), "{table}");
        assert!(lines.last().unwrap().contains("to pass"), "{table}");
        assert_eq!(ask(&["--to", "1d"]).expect(0).stdout, "Nothing happened that matches.\n");
    });
}

#[test]
fn wrong_questions_are_refused_with_what_to_write() {
    alone(|| {
        let daemon = Daemon::start("[workspace]\ncloud = \"none\"\n");
        for query in [
            "from=yesterday",
            "from=1h&to=2h",
            "limit=0",
            "limit=x",
            "limit=1001",
            "since=1h",
            "from=1h&from=2h",
            "check=",
            "to=%ff%00",
        ] {
            let answer = daemon.get(&format!("/api/v1/history?{query}"));
            assert_eq!(answer.status, 400, "{query}: {}", answer.body);
            assert!(answer.head.contains("application/problem+json"), "{query}: {}", answer.head);
            let problem: Value = serde_json::from_str(&answer.body).unwrap();
            assert_eq!(problem["status"], 400, "{query}");
        }
        // Without a file the answer is what memory has.
        let answer = daemon.json("/api/v1/history");
        assert_eq!(
            (&answer["kept"], &answer["events"][0]["what"]),
            (&"memory".into(), &"started".into())
        );
        assert_eq!(daemon.json("/api/v1/report")["history"]["kept"], "memory");
        assert!((metric(&daemon, "vnetprobe_history_writable") - 1.0).abs() < 0.1);
        daemon.stopped().expect(0);
    });
    let nowhere = run(&["history", "--set", "cloud=none"]).expect(2);
    assert!(nowhere.stderr.contains("--file"), "{}", nowhere.stderr);
    let wrong = run(&["history", "--from", "yesterday"]).expect(2);
    assert!(wrong.stderr.contains("--from: `yesterday` is not a moment"), "{}", wrong.stderr);
    let missing = run(&["history", "--file", "/nowhere/h.sqlite"]).expect(3);
    assert!(missing.stderr.contains("/nowhere/h.sqlite"), "{}", missing.stderr);
}

#[test]
fn the_state_directory_of_a_unit_is_where_the_file_is() {
    alone(|| {
        let state = folder(&[]);
        let config = folder(&[("probes.toml", "[workspace]\ncloud = \"none\"\n")]);
        let mut command = vnetprobe(&["serve", "--listen", "127.0.0.1:0"]);
        command.env("STATE_DIRECTORY", state.path()).current_dir(config.path());
        let daemon = Process::start(&mut command);
        daemon.says("  metrics: ");
        let path = state.path().join("history.sqlite");
        until("the file is there", || path.exists().then_some(()));
        daemon.signal("TERM");
        daemon.ended().expect(0);
        let told = run(&["history", "--file", path.to_str().unwrap()]).expect(0);
        assert!(told.stdout.contains("started with 0 checks"), "{}", told.stdout);
    });
}

#[test]
fn a_full_disk_is_told_and_survived() {
    alone(|| {
        let disk = folder(&[]);
        let at = disk.path().display();
        sh(&format!("mount -t tmpfs -o size=512k tmpfs {at}"));
        let path = disk.path().join("history.sqlite");
        // Full before the start.
        let fill_it = format!("cat /dev/zero > {at}/filler 2>/dev/null || true");
        sh(&fill_it);
        let port = refusing_port();
        let daemon = Daemon::start(&config(port, &path));
        is_degraded(&daemon, "free some space");
        sh(&format!("rm {at}/filler"));
        is_written(&daemon);
        daemon.process.says("the history file is in use again");
        assert!(metric(&daemon, "vnetprobe_history_bytes") > 0.0);
        // And full while it runs.
        sh(&fill_it);
        is_degraded(&daemon, "disk is full");
        sh(&format!("rm {at}/filler"));
        is_written(&daemon);
        assert!(metric(&daemon, "vnetprobe_history_events_lost_total").abs() < 0.1);
        let told = daemon.json("/api/v1/history");
        assert_eq!(told["kept"], "file");
        daemon.stopped().expect(0);
        let read = run(&["history", "--format", "json", "--file", path.to_str().unwrap()])
            .expect(0)
            .json();
        let events = told["events"].as_array().unwrap();
        assert_eq!(&read["events"].as_array().unwrap()[..events.len()], events.as_slice());
        sh(&format!("umount {at}"));
    });
}

#[test]
fn a_folder_that_cannot_be_written_is_told_and_survived() {
    alone(|| {
        let disk = folder(&[]);
        let at = disk.path().display();
        sh(&format!("mount -t tmpfs -o size=4m tmpfs {at}"));
        let path = disk.path().join("history.sqlite");
        let port = refusing_port();
        let first = Daemon::start(&config(port, &path));
        is_written(&first);
        first.stopped().expect(0);
        sh(&format!("mount -o remount,ro {at}"));
        // Who asks needs no right to write.
        let told = run(&["history", "--file", path.to_str().unwrap()]).expect(0);
        assert!(told.stdout.contains("started with 1 check"), "{}", told.stdout);
        let second = Daemon::start(&config(port, &path));
        is_degraded(&second, "right to write");
        assert_eq!(second.json("/api/v1/history")["kept"], "memory");
        sh(&format!("mount -o remount,rw {at}"));
        is_written(&second);
        let whats = second.json("/api/v1/history")["events"].clone();
        let starts = whats.as_array().unwrap().iter().filter(|e| e["what"] == "started").count();
        assert_eq!(starts, 2, "both runs are in the file: {whats}");
        second.stopped().expect(0);
        sh(&format!("umount {at}"));
    });
}

#[test]
fn another_program_that_locks_the_file_is_told_and_waited_for() {
    alone(|| {
        let files = folder(&[]);
        let path = files.path().join("history.sqlite");
        let port = refusing_port();
        let daemon = Daemon::start(&config(port, &path));
        is_written(&daemon);
        let mut other = rusqlite::Connection::open(&path).unwrap();
        other.busy_timeout(std::time::Duration::from_secs(20)).unwrap();
        let lock =
            other.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
        is_degraded(&daemon, "another program has locked it");
        lock.rollback().unwrap();
        is_written(&daemon);
        daemon.stopped().expect(0);
    });
}

#[test]
fn a_damaged_file_is_kept_aside_and_told_of() {
    alone(|| {
        let files = folder(&[]);
        let path = files.path().join("history.sqlite");
        let port = refusing_port();
        let first = Daemon::start(&config(port, &path));
        is_written(&first);
        first.stopped().expect(0);
        let mut bytes = fs::read(&path).unwrap();
        bytes.truncate(9_000);
        fs::write(&path, &bytes).unwrap();
        let second = Daemon::start(&config(port, &path));
        is_written(&second);
        let note = second.json("/api/v1/report")["history"]["warning"].clone();
        assert!(note.as_str().unwrap().contains("history.sqlite.damaged-"), "{note}");
        assert!(second.get("/").body.contains("history begins anew"));
        second.process.says("history begins anew");
        second.stopped().expect(0);
        let aside = fs::read_dir(files.path()).unwrap().map(|entry| entry.unwrap().path());
        let aside = aside.filter(|path| path.to_str().unwrap().contains(".damaged-"));
        assert_eq!(aside.map(|path| fs::read(path).unwrap()).collect::<Vec<_>>(), [bytes]);
    });
}
