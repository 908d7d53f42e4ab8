//! The real binary as people and pipelines call it: what is refused and how, what each exit code
//! means, and how a run ends before its time.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "reads the cases that the library is tested with"
)]

mod process;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use process::loopback::{dns_server, listener, listener_at, mute_dns_server, refusing_port};
use process::{Process, alone, cover, folder, must_be_alone, needs, run, run_with, vnetprobe};

fn tests(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder)
}

/// Names of the configurations in a folder.
fn configurations(folder: &str) -> Vec<String> {
    let names = std::fs::read_dir(tests(folder)).unwrap().flatten();
    let mut names: Vec<String> =
        names.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.retain(|name| Path::new(name).extension().is_some_and(|end| end == "toml"));
    names.sort();
    assert!(!names.is_empty());
    names
}

// --------------------------------------------------------------------------------- what is refused

#[test]
fn wrong_usage_is_explained() {
    alone(|| {
        let cases: &[(&[&str], &[&str])] = &[
            (&[], &["Usage: vnetprobe <COMMAND>"]),
            (&["chek"], &["unrecognized subcommand 'chek'", "'check'"]),
            (&["check", "--host"], &["a value is required", "--host"]),
            (&["check", "--kind", "tpc"], &["`tpc` is not one of dns, tcp, tls"]),
            (&["check", "--format", "xml"], &["'xml'", "table, json, markdown, junit"]),
            (&["check", "--scenario", "nothing"], &["`nothing` is not a scenario", "studio"]),
            (&["check", "--host", "*.example"], &["no check matches", "vnetprobe plan"]),
            (&["plan", "--set", "region"], &["key=value", "region=usgovvirginia"]),
            (&["plan", "--set", "regoin=x"], &["--set regoin=x", "did you mean `region`?"]),
            (&["plan", "--set", "schedule.interval=0s"], &["--set schedule.interval=0s", "1s"]),
            (&["probe"], &["<TARGET>..."]),
            (&["probe", "htps://contoso.mil"], &["htps://contoso.mil", "did you mean `https`?"]),
            (&["probe", "127.0.0.1:1", "a..b:443"], &["`a..b:443`", "empty label"]),
            (&["probe", "a.example:0"], &["a.example:0", "between 1 and 65535"]),
            (&["probe", "tls://me:hunter2@a.example"], &["no user or password"]),
            (&["probe", "a.example", "--expect", "x"], &["`x` is not one of private, public, any"]),
            (&["probe", "a.example", "--subnet", "10.0.0.1"], &["--subnet", "10.0.0.0/24"]),
            (&["probe", "a.example", "--dns-server", "ns1"], &["--dns-server", "IP:PORT"]),
            (&["serve", "--listen", "localhost"], &["--listen", "127.0.0.1:19115"]),
            (&["explain", "tcp_refusd"], &["`tcp_refusd` is not a cause", "`tcp_refused`"]),
            (&["explain", "weather"], &["`weather` is not a cause", "vnetprobe explain"]),
            (&["validate", "--config", "/nowhere/probes.toml"], &["/nowhere/probes.toml"]),
            (&["validate", "--config", "/"], &["failed to read /:", "folder"]),
        ];
        for (arguments, wanted) in cases {
            let answer = run(arguments).expect(2);
            assert_eq!(answer.stdout, "", "{arguments:?}");
            assert!(!answer.stderr.contains("hunter2"), "{}", answer.stderr);
            for text in *wanted {
                let told = &answer.stderr;
                assert!(told.contains(text), "{arguments:?}: no {text:?} in:\n{told}");
            }
        }
    });
}

#[test]
fn every_bad_configuration_is_refused_with_its_places() {
    for name in configurations("bad-config") {
        let mut command = vnetprobe(&["validate", "--config", &name]);
        let answer = Process::start(command.current_dir(tests("bad-config"))).ended().expect(2);
        assert_eq!(answer.stdout, "", "{name}");
        let expected = tests("bad-config").join(&name).with_extension("expected");
        let expected = std::fs::read_to_string(expected).unwrap();
        assert_eq!(answer.stderr, format!("{}\n", expected.trim_end()), "{name}");
        assert!(expected.starts_with(&format!("{name}:")), "{expected}");
    }
}

#[test]
fn good_configurations_are_ok() {
    // Certificate, key and roots that one of them names; `validate` reads them.
    let own = rcgen::generate_simple_self_signed(["probe.contoso.mil".to_owned()]).unwrap();
    let (certificate, key) = (own.cert.pem(), own.signing_key.serialize_pem());
    let files =
        folder(&[("server.pem", &certificate), ("server.key", &key), ("ca.pem", &certificate)]);
    for name in configurations("good-config") {
        std::fs::copy(tests("good-config").join(&name), files.path().join(&name)).unwrap();
        let mut command = vnetprobe(&["validate", "--config", &name]);
        // One names a CA file of a machine that is not this one.
        command.args(["--set", "tls.ca_files=[]"]);
        let answer = Process::start(command.current_dir(files.path())).ended().expect(0);
        assert_eq!((answer.stdout.as_str(), answer.stderr.as_str()), ("ok\n", ""), "{name}");
    }
}

#[test]
fn the_configuration_of_the_folder_is_found() {
    run_with("", &["validate"]).expect(0);
    let refused = run_with("[schedule]\ninterval = \"0s\"\n", &["validate"]).expect(2);
    assert!(refused.stderr.contains("probes.toml:2:12: "), "{}", refused.stderr);
    let refused = run_with("not toml", &["plan"]).expect(2);
    assert!(refused.stderr.contains("probes.toml:1:"), "{}", refused.stderr);
}

#[test]
fn unusable_ca_files_are_named_with_the_remedy() {
    alone(|| {
        let files = folder(&[("empty.pem", ""), ("notes.pem", "no certificate here\n")]);
        let place = files.path().to_str().unwrap();
        for (file, reason, remedy) in [
            ("missing.pem", "No such file", "correct tls.ca_files"),
            (".", "folder", "correct tls.ca_files"),
            ("empty.pem", "no certificate", "BEGIN CERTIFICATE"),
            ("notes.pem", "no certificate", "BEGIN CERTIFICATE"),
        ] {
            let path = format!("{place}/{file}");
            let setting = format!("tls.ca_files=[\"{path}\"]");
            for arguments in [
                &["validate", "--set", &setting][..],
                &["check", "--set", &setting],
                &["serve", "--listen", "127.0.0.1:0", "--set", &setting],
                &["probe", "127.0.0.1:1", "--ca-file", &path],
            ] {
                let told = run(arguments).expect(2).stderr;
                for text in [path.as_str(), reason, remedy] {
                    assert!(told.contains(text), "{arguments:?}: no {text:?} in:\n{told}");
                }
            }
        }
    });
}

#[test]
fn help_is_an_answer() {
    for command in ["", "check", "probe", "serve", "plan", "validate", "explain"] {
        let mut arguments = vec![command, "--help"];
        arguments.retain(|argument| !argument.is_empty());
        // Help sends nothing, whatever the command would do.
        let mut process = Command::new(env!("CARGO_BIN_EXE_vnetprobe"));
        let help = Process::start(process.args(arguments)).ended().expect(0);
        assert_eq!(help.stderr, "");
        assert!(help.stdout.contains("Examples:\n  vnetprobe"), "{}", help.stdout);
    }
    assert!(run(&["--version"]).expect(0).stdout.starts_with("vnetprobe "));
}

#[test]
fn every_cause_is_explained() {
    let all = run(&["explain"]).expect(0).stdout;
    for cause in vnetprobe::cause::Cause::ALL {
        assert!(all.contains(cause.as_str()), "{cause} is not listed");
        let one = run(&["explain", cause.as_str()]).expect(0).stdout;
        assert!(one.starts_with(&format!("{cause}: ")), "{one}");
    }
}

// ------------------------------------------------------------------------------------ exit codes

#[test]
fn exit_codes_of_a_run() {
    alone(|| {
        let (_listener, port) = listener();
        let reachable = format!("tcp://127.0.0.1:{port}");
        let refused = format!("tcp://127.0.0.1:{}", refusing_port());
        run(&["probe", &reachable]).expect(0);
        run(&["probe", &refused]).expect(1);
        run(&["probe", &reachable, &refused]).expect(1);
        // Nobody knows whether the name is there: no server can be reached.
        run(&["probe", "tcp://a.example:443", "--dns-server", "192.0.2.53"]).expect(4);
        // A failure is worse than something unknown.
        run(&["probe", "tcp://a.example:443", &refused, "--dns-server", "192.0.2.53"]).expect(1);
    });
}

#[test]
fn strict_counts_a_warning_as_a_failure() {
    alone(|| {
        cover("/etc/hosts", "127.0.0.1 localhost\n");
        let address = Ipv4Addr::new(10, 20, 30, 40);
        let added =
            Command::new("ip").args(["address", "add", "10.20.30.40", "dev", "lo"]).status();
        assert!(added.unwrap().success());
        let _listener = listener_at((address, 7001));
        let good = dns_server(address).to_string();
        let down = format!("127.0.0.1:{}", refusing_port());
        let target = "tcp://mirror.contoso.mil:7001";
        run(&["probe", target, "--dns-server", &good, "--strict"]).expect(0);
        let both = ["probe", target, "--dns-server", &good, "--dns-server", &down];
        let warned = run(&both).expect(0).stdout;
        assert!(warned.contains("dns_server_down"), "{warned}");
        let mut strict = both.to_vec();
        strict.push("--strict");
        run(&strict).expect(1);
    });
}

#[test]
fn without_a_network_or_a_resolver_one_finding_says_so() {
    alone(|| {
        for (resolver, cause) in [
            ("nameserver 192.0.2.53\nnameserver 192.0.2.54\n", "local_no_network"),
            ("# none\n", "local_no_resolver"),
        ] {
            cover("/etc/resolv.conf", resolver);
            let report = run(&["check", "--format", "json"]).expect(4).json();
            let findings = report["findings"].as_array().unwrap();
            assert_eq!(findings.len(), 1, "{findings:#?}");
            assert_eq!(findings[0]["cause"], cause);
            assert_eq!(findings[0]["status"], "unknown");
            let checks = report["checks"].as_array().unwrap();
            assert!(checks.len() > 50, "the default catalog has more than {}", checks.len());
            assert_eq!(report["summary"]["unknown"], checks.len());
            assert_eq!(report["summary"]["fail"], 0);
            assert!(checks.iter().all(|check| check["cause"] == cause));
            let scenarios = report["scenarios"].as_array().unwrap();
            assert!(!scenarios.is_empty() && scenarios.iter().all(|s| s["status"] == "unknown"));
        }
    });
}

#[test]
fn an_address_in_use_is_named_with_the_remedy() {
    alone(|| {
        let (_taken, port) = listener();
        let address = format!("127.0.0.1:{port}");
        let told = run(&["serve", "--listen", &address]).expect(3).stderr;
        for text in [address.as_str(), "in use", "--listen", "web.listen"] {
            assert!(told.contains(text), "no {text:?} in:\n{told}");
        }
        // An address that this machine does not have.
        let told = run(&["serve", "--listen", "192.0.2.1:19115"]).expect(3).stderr;
        assert!(told.contains("192.0.2.1:19115") && told.contains("--listen"), "{told}");
    });
}

// -------------------------------------------------------------------------- ends before its time

/// More than a test waits for: a run that ended did not wait for its timeouts.
const SLOW: &str = "[workspace]\ncloud = \"none\"\n\n\
     [schedule]\ntimeout = { dns = \"60s\", connect = \"60s\", tls = \"60s\", http = \"60s\" }\n\n\
     [[probe]]\nname = \"a\"\ntarget = \"tcp://a.example:443\"\n\n\
     [[probe]]\nname = \"b\"\ntarget = \"tcp://b.example:443\"\n";

#[test]
fn an_interrupted_check_reports_no_failure() {
    alone(|| {
        for signal in ["INT", "TERM"] {
            let (questions, server) = mute_dns_server();
            let files = folder(&[("probes.toml", SLOW)]);
            let servers = format!("dns.servers=[\"{server}\"]");
            let mut command = vnetprobe(&["check", "--format", "json", "--set", &servers]);
            let check = Process::start(command.current_dir(files.path()));
            // The first question is the sign that the round is under way.
            questions.recv_from(&mut [0; 512]).unwrap();
            check.signal(signal);
            let ended = check.ended().expect(3);
            assert!(ended.stderr.contains("interrupted before every check had a result"));
            let report = ended.json();
            assert_eq!(report["complete"], false);
            assert_eq!(report["finished_at"], serde_json::Value::Null);
            assert_eq!(report["summary"]["fail"], 0);
            assert_eq!(report["summary"]["unknown"], 2);
            assert_eq!(report["findings"], serde_json::json!([]));
            for check in report["checks"].as_array().unwrap() {
                assert_eq!(check["cause"], serde_json::Value::Null, "{check:#}");
                assert_eq!(check["summary"], "not measured yet");
            }
        }
    });
}

#[test]
fn a_reader_that_went_away_is_no_error() {
    // The pipe is closed before a byte is written, so every write meets a closed pipe.
    for arguments in [&["explain"][..], &["plan"], &["plan", "--format", "json"], &["--help"]] {
        let mut command = vnetprobe(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(0), "{arguments:?}");
        assert_eq!(String::from_utf8_lossy(&ended.stderr), "", "{arguments:?}");
    }
    let mut shell = Command::new("bash");
    shell.args(["-c", "set -o pipefail; \"$0\" plan --format json | head -1"]);
    shell.arg(env!("CARGO_BIN_EXE_vnetprobe")).current_dir(env!("CARGO_TARGET_TMPDIR"));
    let ended = Process::start(&mut shell).ended().expect(0);
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("{\n", ""));
}

// -------------------------------------------------------------------------------------- terminals

/// What a command prints on a terminal, with these variables set.
fn on_a_terminal(command: &str, variables: &[(&str, &str)]) -> String {
    needs("script", "bsdutils");
    command.split(' ').for_each(must_be_alone);
    let mut script = Command::new("script");
    let quoted = format!("'{}' {command}", env!("CARGO_BIN_EXE_vnetprobe"));
    script.args(["--quiet", "--return", "--command", &quoted, "/dev/null"]);
    script.current_dir(env!("CARGO_TARGET_TMPDIR")).env_remove("NO_COLOR").env("TERM", "xterm");
    script.envs(variables.iter().copied());
    Process::start(&mut script).ended().expect(0).stdout
}

#[test]
fn colors_are_for_terminals_that_want_them() {
    let escape = '\u{1b}';
    assert!(!run(&["plan"]).expect(0).stdout.contains(escape), "a pipe is no terminal");
    assert!(on_a_terminal("plan", &[]).contains(escape));
    // no-color.org: an empty value does not count.
    assert!(on_a_terminal("plan", &[("NO_COLOR", "")]).contains(escape));
    assert!(!on_a_terminal("plan", &[("NO_COLOR", "1")]).contains(escape));
    assert!(!on_a_terminal("plan", &[("TERM", "dumb")]).contains(escape));
}

#[test]
fn progress_is_shown_on_a_terminal_only() {
    alone(|| {
        let (_listener, port) = listener();
        let target = format!("tcp://127.0.0.1:{port}");
        let piped = run(&["probe", &target]).expect(0);
        assert_eq!(piped.stderr, "");
        // A terminal on standard error alone: the answer in the file stays clean.
        let files = folder(&[]);
        let answer = files.path().join("answer");
        let shown =
            on_a_terminal(&format!("probe {target} > '{}'", answer.display()), &[("LANG", "C")]);
        let answer = std::fs::read_to_string(&answer).unwrap();
        assert!(!answer.contains('\u{1b}') && answer.contains("1 pass"), "{answer}");
        assert!(!shown.contains("1 pass"), "{shown}");
    });
}
