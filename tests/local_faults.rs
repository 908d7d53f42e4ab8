//! Faults of our own machine while the daemon runs: files, ports, clock, processor, memory, names
//! and interfaces. Nothing is reported as the network's fault, and all recovers by itself.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test stops where its world is not as it says, and it makes that world"
)]

mod process;
#[path = "local_faults/world.rs"]
mod world;

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use process::daemon::Daemon;
use process::loopback::{dns_server, refusing_port};
use process::{alone, cover, folder, until, vnetprobe};
use serde_json::Value;
use world::{Clock, Group, Line, config, do_as_root, echo_at, sysctl, tls_server};

/// Asks until the report is so.
fn sees(line: &mut Line, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let mut before = String::new();
    until(what, || {
        let report = line.json("/api/v1/report");
        let causes: Vec<&Value> =
            report["checks"].as_array().unwrap().iter().map(|check| &check["cause"]).collect();
        // Who reads of a failed test wants to know what it was instead.
        let now = format!("{} {causes:?}", report["summary"]);
        if now != before {
            eprintln!("{now}");
            before = now;
        }
        Some(report).filter(|report| holds(report))
    })
}

/// The same, and never sees a failure meanwhile.
fn comes_to(line: &mut Line, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    sees(line, what, |report| {
        nothing_fails(report);
        holds(report)
    })
}

fn nothing_fails(report: &Value) {
    assert_eq!(report["summary"]["fail"], 0, "{report:#}");
    assert_eq!(report["summary"]["warn"], 0, "{report:#}");
}

fn all_are(status: &'static str, cause: Option<&'static str>) -> impl Fn(&Value) -> bool {
    move |report| {
        let checks = report["checks"].as_array().unwrap();
        checks.iter().all(|check| check["status"] == status && check["cause"].as_str() == cause)
    }
}

const WELL: (&str, Option<&str>) = ("pass", None);

/// No event of this run blames the network.
fn nobody_was_blamed(line: &mut Line) {
    let history = line.json("/api/v1/history?limit=1000");
    for event in history["events"].as_array().unwrap() {
        let cause = event["to"]["cause"].as_str().or(event["cause"].as_str()).unwrap_or("local_");
        assert!(cause.starts_with("local_") || cause == "overdue", "{event:#}");
    }
    let metrics = line.get("/metrics").body;
    for failures in world::values(&metrics, "vnetprobe_dns_server_failures_total") {
        assert_eq!(failures.to_bits(), 0.0_f64.to_bits(), "no DNS server is to blame");
    }
}

/// Checks of every layer on this machine: connections, requests and a name.
fn everything() -> String {
    let port = echo_at((Ipv4Addr::UNSPECIFIED, 0).into()).port();
    let server = dns_server(Ipv4Addr::LOCALHOST);
    let mut targets: Vec<String> = (1..=20).map(|n| format!("tcp://127.0.1.{n}:{port}")).collect();
    targets.extend((1..=10).map(|n| format!("http://127.0.1.{n}:{port}/")));
    targets.extend((1..=10).map(|n| format!("tcp://s{n}.localhost:{port}")));
    config(&targets, "1s") + &format!("[dns]\nservers = [\"{server}\"]\n")
}

#[test]
fn without_files_nothing_is_known_until_there_are_some() {
    alone(|| {
        let daemon = Daemon::start(&everything());
        let mut line = Line::to(daemon.address);
        comes_to(&mut line, "all is well", all_are(WELL.0, WELL.1));
        let clients: Vec<TcpStream> =
            (0..40).map(|_| TcpStream::connect(daemon.address).unwrap()).collect();
        let id = daemon.process.id();
        // Descriptors that are open stay open; nobody gets another one.
        do_as_root(&format!("prlimit --pid {id} --nofile=3:"));
        let exhausted = all_are("unknown", Some("local_exhausted"));
        let report = comes_to(&mut line, "all checks are exhausted", exhausted);
        assert_eq!(report["findings"].as_array().unwrap().len(), 1, "{:#}", report["findings"]);
        do_as_root(&format!("prlimit --pid {id} --nofile=1024:"));
        comes_to(&mut line, "all is well again", all_are(WELL.0, WELL.1));
        assert_eq!(daemon.get("/-/ready").status, 200, "new clients are answered, too");
        nobody_was_blamed(&mut line);
        drop(clients);
        daemon.stopped().expect(0);
    });
}

#[test]
fn without_files_what_is_known_of_the_machine_stays() {
    alone(|| {
        cover("/etc/resolv.conf", "nameserver 127.0.0.9\n");
        // The built-in configuration needs no file.
        let daemon = Daemon::start_with(&["--set", "cloud=none", "--listen", "127.0.0.1:0"]);
        let mut line = Line::to(daemon.address);
        let servers =
            |line: &mut Line| line.json("/api/v1/report")["vantage"]["dns_servers"].clone();
        assert_eq!(servers(&mut line)[0], "127.0.0.9:53");
        let id = daemon.process.id();
        do_as_root(&format!("prlimit --pid {id} --nofile=3:"));
        let answer = line.ask("POST", "/-/reload");
        assert_eq!(answer.status, 500, "{}", answer.body);
        assert!(answer.body.contains("Too many open files"), "{}", answer.body);
        assert_eq!(servers(&mut line)[0], "127.0.0.9:53");
        do_as_root(&format!("prlimit --pid {id} --nofile=1024:"));
        assert_eq!(line.ask("POST", "/-/reload").status, 200);
        assert_eq!(servers(&mut line)[0], "127.0.0.9:53");
        daemon.stopped().expect(0);
    });
}

#[test]
fn without_ports_nothing_is_known_until_there_are_some() {
    alone(|| {
        let daemon = Daemon::start(&everything());
        let mut line = Line::to(daemon.address);
        comes_to(&mut line, "all is well", all_are(WELL.0, WELL.1));
        sysctl("net.ipv4.ip_local_reserved_ports", "40000");
        sysctl("net.ipv4.ip_local_port_range", "40000 40000");
        let exhausted = all_are("unknown", Some("local_exhausted"));
        comes_to(&mut line, "all checks are exhausted", exhausted);
        sysctl("net.ipv4.ip_local_reserved_ports", "");
        sysctl("net.ipv4.ip_local_port_range", "32768 60999");
        comes_to(&mut line, "all is well again", all_are(WELL.0, WELL.1));
        nobody_was_blamed(&mut line);
        daemon.stopped().expect(0);
    });
}

#[test]
fn an_interface_that_goes_down_is_no_fault_of_the_network() {
    alone(|| {
        let _far = world::far_server();
        let daemon = Daemon::start(&config(&["tcp://10.9.0.2:8000".to_owned()], "1s"));
        let mut line = Line::to(daemon.address);
        for _ in 0..2 {
            comes_to(&mut line, "all is well", all_are(WELL.0, WELL.1));
            do_as_root("ip link set here down");
            let cut_off = all_are("unknown", Some("local_no_network"));
            comes_to(&mut line, "there is no network", cut_off);
            do_as_root("ip link set here up");
        }
        comes_to(&mut line, "all is well again", all_are(WELL.0, WELL.1));
        nobody_was_blamed(&mut line);
        daemon.stopped().expect(0);
    });
}

// -------------------------------------------------------------------------------------- names

#[test]
fn names_are_looked_up_by_what_the_files_say_now() {
    alone(|| {
        let port = echo_at((Ipv4Addr::UNSPECIFIED, 0).into()).port();
        world::dns_server_at(Ipv4Addr::new(127, 0, 0, 3), Ipv4Addr::new(127, 0, 2, 3));
        cover("/etc/hosts", "127.0.2.1 one.localhost\n");
        // Nobody listens there.
        cover("/etc/resolv.conf", "nameserver 127.0.0.2\n");
        let targets = ["one", "two"].map(|name| format!("tcp://{name}.localhost:{port}"));
        let daemon = Daemon::start(&config(&targets, "1s"));
        let mut line = Line::to(daemon.address);
        let status = |report: &Value| [0, 1].map(|n| report["checks"][n]["status"].clone());
        sees(&mut line, "only the hosts file helps", |report| status(report) == ["pass", "fail"]);
        // An empty file is no DNS server, and a fault of this machine.
        cover("/etc/resolv.conf", "");
        cover("/etc/hosts", "");
        assert_eq!(line.ask("POST", "/-/reload").status, 200);
        let none = all_are("unknown", Some("local_no_resolver"));
        sees(&mut line, "there is no server", none);
        // Nobody asks for a reload any more.
        cover("/etc/resolv.conf", "nameserver 127.0.0.3\n");
        cover("/etc/hosts", "127.0.2.2 two.localhost\n");
        // That DNS says something else than the hosts file is told.
        let both = |report: &Value| status(report) == ["pass", "warn"];
        let report = sees(&mut line, "both are found", both);
        let ips = [0, 1].map(|n| report["checks"][n]["addresses"][0]["ip"].clone());
        assert_eq!(ips, ["127.0.2.3", "127.0.2.2"]);
        daemon.stopped().expect(0);
    });
}

// --------------------------------------------------------------------------------------- time

/// A daemon whose wall clock is ours to set, and what it looks at: one listener, one certificate
/// that is good from ten minutes ago for half an hour, and one thing that is broken.
fn clocked(clock: &Clock, history: &std::path::Path) -> (Daemon, u16) {
    let (port, roots) = tls_server(10 * 60, 20 * 60);
    let open = echo_at((Ipv4Addr::LOCALHOST, 0).into());
    let targets = [
        format!("tcp://{open}"),
        format!("tls://localhost:{port}"),
        format!("tcp://127.0.0.1:{}", refusing_port()),
    ];
    let mut command = vnetprobe(&["serve", "--listen", "127.0.0.1:0"]);
    clock.rules(&mut command);
    let folder = folder(&[("probes.toml", ""), ("roots.pem", &roots)]);
    command.env("SSL_CERT_FILE", folder.path().join("roots.pem"));
    let keep = format!("[history]\npath = \"{}\"\n", history.display());
    let text = config(&targets, "1s").replace("[[probe]]", "\n[[probe]]") + &keep;
    std::fs::write(folder.path().join("probes.toml"), text).unwrap();
    cover("/etc/hosts", "127.0.0.1 localhost\n");
    (Daemon::start_as(command, folder), port)
}

/// What a certificate is worth that ends in less than an hour.
const SOON: &str = "tls_certificate_expiring";

fn a_step_of_the_clock(seconds: i64, cause: &str) {
    let clock = Clock::new();
    let kept = folder(&[]);
    let (daemon, _) = clocked(&clock, &kept.path().join("history.sqlite"));
    let mut line = Line::to(daemon.address);
    let states = |report: &Value| {
        let checks = report["checks"].as_array().unwrap();
        checks.iter().map(|c| c["cause"].as_str().unwrap_or("").to_owned()).collect::<Vec<_>>()
    };
    let usual = |report: &Value| states(report) == ["", SOON, "tcp_refused"];
    sees(&mut line, "all is as it should be", usual);
    let told = |line: &mut Line, what: &str| -> Vec<Value> {
        let history = line.json("/api/v1/history?limit=1000");
        let events = history["events"].as_array().unwrap().iter();
        events.filter(|event| event["what"] == what).map(|event| event["cause"].clone()).collect()
    };
    until("the findings are told", || (told(&mut line, "opened").len() == 2).then_some(()));
    clock.set(seconds);
    // Old results stay good: only what a certificate is worth depends on the hour.
    let report = sees(&mut line, "the certificate is judged by the new clock", |report| {
        let states = states(report);
        assert!(!states.contains(&"overdue".to_owned()), "{report:#}");
        states[1] == cause
    });
    let taken: jiff::Timestamp = report["finished_at"].as_str().unwrap().parse().unwrap();
    let off = taken.duration_since(jiff::Timestamp::now()).as_secs();
    assert!((seconds - 60..seconds + 60).contains(&off), "the daemon's clock is {off} s off");
    for check in report["checks"].as_array().unwrap() {
        for key in ["last_run_at", "last_success_at", "since"] {
            let Some(at) = check[key].as_str() else { continue };
            let age = taken.duration_since(at.parse().unwrap()).as_secs();
            assert!((0..120).contains(&age), "{key} is {age} s ago: {check:#}");
        }
    }
    let took = report["duration_seconds"].as_f64().unwrap();
    assert!((0.0..120.0).contains(&took), "{took}");
    let metrics = line.get("/metrics").body;
    for value in world::values(&metrics, "vnetprobe_probe_duration_seconds") {
        assert!((0.0..10.0).contains(&value), "{value}");
    }
    // The finding about the certificate stands for an interval by any clock, and is told.
    until("the new finding is told", || {
        told(&mut line, "opened").contains(&Value::from(cause)).then_some(())
    });
    assert_eq!(told(&mut line, "closed"), [SOON]);
    assert_eq!(told(&mut line, "clock_set").len(), 1);
    // What is measured now is kept.
    let batches = || world::batches(&kept.path().join("history.sqlite"));
    let before = batches();
    until("the file has more measurements", || (batches() > before).then_some(()));
    clock.set(0);
    sees(&mut line, "all is as it was", usual);
    daemon.stopped().expect(0);
}

#[test]
fn a_clock_that_is_set_forward_makes_nothing_old() {
    alone(|| a_step_of_the_clock(3_600, "tls_expired"));
}

#[test]
fn a_clock_that_is_set_back_makes_nothing_young() {
    alone(|| a_step_of_the_clock(-3_600, "tls_not_yet_valid"));
}

#[test]
fn a_pause_is_told_and_made_up_for_without_a_burst() {
    alone(|| {
        let at = echo_at((Ipv4Addr::UNSPECIFIED, 0).into());
        let targets: Vec<String> =
            (1..=50).map(|n| format!("tcp://127.0.1.{n}:{}", at.port())).collect();
        let hurry = "[schedule.timeout]\ndns = \"100ms\"\nconnect = \"100ms\"\ntls = \"100ms\"\nhttp = \"100ms\"\n";
        let daemon = Daemon::start(&(config(&targets, "1s") + hurry));
        let mut line = Line::to(daemon.address);
        comes_to(&mut line, "all is well", all_are(WELL.0, WELL.1));
        let skipped = |line: &mut Line| -> f64 {
            let metrics = line.get("/metrics").body;
            let mut lines = metrics.lines();
            let value = lines.find_map(|line| line.strip_prefix("vnetprobe_probes_skipped_total "));
            value.unwrap().parse().unwrap()
        };
        let before = skipped(&mut line);
        daemon.process.signal("STOP");
        // Only time makes results old: three intervals, and what a check may take.
        thread::sleep(Duration::from_secs(8));
        line.send("GET", "/api/v1/report");
        daemon.process.signal("CONT");
        let first: Value = serde_json::from_str(&line.answer().body).unwrap();
        nothing_fails(&first);
        let overdue = |report: &Value| {
            let checks = report["checks"].as_array().unwrap();
            checks.iter().filter(|check| check["cause"] == "overdue").count()
        };
        assert!(overdue(&first) > 0, "nobody was told: {first:#}");
        comes_to(&mut line, "all is well again", all_are(WELL.0, WELL.1));
        // The rounds that were lost, eight or so, are counted and not made up for.
        let lost = skipped(&mut line) - before;
        assert!(lost >= 6.0 * 50.0, "{lost} measurements were left out");
        nobody_was_blamed(&mut line);
        daemon.stopped().expect(0);
    });
}

// ---------------------------------------------------------------------- processor and memory

#[test]
fn a_starved_processor_is_told_and_blames_nobody() {
    let group = Group::of("cpu", "starved");
    alone(|| {
        let (port, roots) = tls_server(3_600, 90 * 86_400);
        let open = echo_at((Ipv4Addr::UNSPECIFIED, 0).into()).port();
        let server = dns_server(Ipv4Addr::LOCALHOST);
        let mut targets: Vec<String> =
            (1..=40).map(|n| format!("tls://s{n}.localhost:{port}")).collect();
        targets.extend((1..=20).map(|n| format!("http://127.0.1.{n}:{open}/")));
        let text = config(&targets, "1s")
            + &format!("[dns]\nservers = [\"{server}\"]\n")
            // In so much time, one fiftieth of a processor does little.
            + "[schedule.timeout]\ndns = \"300ms\"\nconnect = \"300ms\"\ntls = \"300ms\"\nhttp = \"300ms\"\n";
        let folder = folder(&[("probes.toml", &text), ("roots.pem", &roots)]);
        let mut command = vnetprobe(&["serve", "--listen", "127.0.0.1:0"]);
        command.env("SSL_CERT_FILE", folder.path().join("roots.pem"));
        let daemon = Daemon::start_as(command, folder);
        let mut line = Line::to(daemon.address);
        sees(&mut line, "all is well", all_are(WELL.0, WELL.1));
        group.take(daemon.process.id());
        group.allow_cpu(2);
        comes_to(&mut line, "much is unknown", |report| {
            report["summary"]["unknown"].as_u64() > Some(5)
        });
        until("the page tells", || line.get("/").body.contains("The daemon lags").then_some(()));
        group.allow_cpu(100);
        comes_to(&mut line, "all is well again", all_are(WELL.0, WELL.1));
        nobody_was_blamed(&mut line);
        daemon.stopped().expect(0);
    });
}

#[test]
fn a_thousand_checks_live_in_64_mib() {
    const CHECKS: usize = 1_000;
    let group = Group::of("memory", "small");
    alone(|| {
        let port = echo_at((Ipv4Addr::UNSPECIFIED, 0).into()).port();
        let targets: Vec<String> = (0..CHECKS)
            .map(|n| format!("http://127.0.{}.{}:{port}/", 1 + n / 200, 1 + n % 200))
            .collect();
        let folder = folder(&[]);
        let text = config(&targets, "3s") + "[history]\npath = \"history.sqlite\"\n";
        std::fs::write(folder.path().join("probes.toml"), text).unwrap();
        group.allow_memory(64 << 20);
        let mut command = group.within(&vnetprobe(&["serve", "--listen", "127.0.0.1:0"]));
        command.current_dir(folder.path());
        let daemon = Daemon::start_as(command, folder);
        let mut line = Line::to(daemon.address);
        let address: SocketAddr = daemon.address;
        let mut streams: Vec<Line> = (0..20).map(|_| Line::to(address)).collect();
        for stream in &mut streams {
            stream.send("GET", "/api/v1/events");
        }
        for path in ["/", "/metrics", "/api/v1/report"] {
            assert_eq!(line.get(path).status, 200, "{path}");
        }
        let twice = |metrics: &str| {
            let runs = world::values(metrics, "vnetprobe_probe_attempts_total");
            runs.len() == CHECKS && runs.iter().all(|runs| *runs >= 2.0)
        };
        until("every check ran twice", || {
            for path in ["/", "/api/v1/report"] {
                assert_eq!(line.get(path).status, 200, "{path}");
            }
            twice(&line.get("/metrics").body).then_some(())
        });
        comes_to(&mut line, "all is well", all_are(WELL.0, WELL.1));
        assert!(group.has(daemon.process.id()), "it is in the group with the limit");
        drop(streams);
        daemon.stopped().expect(0);
    });
}
