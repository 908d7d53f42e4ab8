//! Probes on request over HTTP: reports, progress, the form, what is refused, and what ends when.
#![expect(clippy::unwrap_used, reason = "a test stops where its world is not as it says")]

mod process;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};

use process::daemon::Daemon;
use process::loopback::{
    Answer, get, listener, mute_dns_server, post, refusing_port, send, web_server,
};
use process::{alone, folder, until};
use serde_json::{Value, json};

const PATH: &str = "/api/v1/probe";
const JSON: &str = "application/json";

/// A daemon whose plan has these targets.
fn config(targets: &[String]) -> String {
    let probes = targets
        .iter()
        .enumerate()
        .map(|(at, target)| format!("\n[[probe]]\nname = \"{at}\"\ntarget = \"{target}\"\n"));
    let more: String = probes.collect();
    format!("[workspace]\ncloud = \"none\"\n\n[schedule]\ninterval = \"1h\"\n{more}")
}

fn asked(daemon: &Daemon, body: &Value) -> Answer {
    post(daemon.address, PATH, JSON, &body.to_string()).unwrap()
}

#[test]
fn a_report_at_once() {
    alone(|| {
        let (_listening, open) = listener();
        let (refusing, web) = (refusing_port(), web_server());
        let planned = [open, refusing, web].map(|port| format!("tcp://127.0.0.1:{port}"));
        let daemon = Daemon::start(&config(&planned));
        let targets =
            [planned[0].clone(), planned[1].clone(), format!("http://127.0.0.1:{web}/any")];
        let answer = asked(&daemon, &json!({"targets": targets, "expect": "any"}));
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(answer.head.contains("\ncontent-type: application/json"), "{}", answer.head);
        let report: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(report["schema"], "vnetprobe.report/v1");
        assert_eq!(report["complete"], true);
        assert_eq!(
            report["summary"],
            json!({"pass": 2, "warn": 0, "fail": 1, "unknown": 0, "uncovered": 0})
        );
        assert_eq!(report["findings"][0]["cause"], "tcp_refused");
        assert_eq!(report["vantage"], daemon.json("/api/v1/report")["vantage"]);
        // What was measured on request is no part of the daemon's own picture.
        assert_eq!(daemon.json("/api/v1/report")["checks"].as_array().map(Vec::len), Some(3));
        daemon.stopped().expect(0);
    });
}

#[test]
fn the_settings_are_the_daemons() {
    alone(|| {
        let server = process::loopback::dns_server([10, 9, 8, 7].into());
        let daemon = Daemon::start(&format!(
            "{}\n[web]\nprobe_suffixes = [\".contoso.mil\"]\n[dns]\nservers = [\"{server}\"]\n",
            config(&[])
        ));
        let cause = |more: Value| {
            let mut body = json!({"targets": ["dns://a.contoso.mil"], "expect": "private"});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let report: Value = serde_json::from_str(&asked(&daemon, &body).body).unwrap();
            assert_eq!(report["vantage"]["dns_servers"], json!([server]));
            report["checks"][0]["cause"].clone()
        };
        assert_eq!(cause(json!({})), Value::Null);
        assert_eq!(cause(json!({"subnets": ["172.16.0.0/24"]})), "private_outside_subnet");
        assert_eq!(cause(json!({"expect": "public"})), "public_expected_but_private");
        daemon.stopped().expect(0);
    });
}

#[test]
fn progress_line_by_line() {
    alone(|| {
        let targets = [(); 3].map(|()| format!("tcp://127.0.0.1:{}", refusing_port()));
        let daemon = Daemon::start(&config(&targets));
        let body = json!({ "targets": targets }).to_string();
        let answer = send(
            daemon.address,
            &format!(
                "POST {PATH} HTTP/1.0\r\nhost: {}\r\naccept: application/x-ndjson\r\ncontent-type: {JSON}\r\ncontent-length: {}\r\n\r\n{body}",
                daemon.address,
                body.len()
            ),
        );
        let answer = answer.unwrap();
        assert!(answer.head.contains("\ncontent-type: application/x-ndjson"), "{}", answer.head);
        let lines: Vec<Value> =
            answer.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[0], json!({"progress": {"measured": 0, "of": 3}}));
        let (last, before) = lines.split_last().unwrap();
        assert_eq!(last["report"]["summary"]["fail"], 3);
        let measured: Vec<u64> =
            before.iter().map(|line| line["progress"]["measured"].as_u64().unwrap()).collect();
        assert!(measured.is_sorted(), "{measured:?}");
        daemon.stopped().expect(0);
    });
}

#[test]
fn what_cannot_be_says_why() {
    alone(|| {
        let (_listening, open) = listener();
        let planned = format!("tcp://127.0.0.1:{open}");
        let daemon = Daemon::start(&config(std::slice::from_ref(&planned)));
        let many = vec![planned.clone(); 65];
        for (kind, body, status, part) in [
            (JSON, String::new(), 400, "EOF"),
            (JSON, "{\"targets\": 1}".to_owned(), 400, "expected a sequence"),
            (JSON, "{\"targets\": [], \"x\": 1}".to_owned(), 400, "unknown field"),
            (JSON, "\u{0}\u{ff}".to_owned(), 400, "expected value"),
            ("text/plain", json!({"targets": [planned]}).to_string(), 415, "application/json"),
            (JSON, json!({"targets": []}).to_string(), 422, "no target"),
            (JSON, json!({"targets": many}).to_string(), 422, "64 at most"),
            (JSON, json!({"targets": ["a b", "ftp://x"]}).to_string(), 422, "not a known scheme"),
            (JSON, json!({"targets": [planned, "127.0.0.1:22"]}).to_string(), 403, "127.0.0.1:22"),
            (JSON, json!({"targets": ["evil.example"]}).to_string(), 403, "web.probe_suffixes"),
            (JSON, "x".repeat(70_000), 413, "too large"),
        ] {
            let answer = post(daemon.address, PATH, kind, &body).unwrap();
            let start: String = body.chars().take(60).collect();
            assert_eq!(answer.status, status, "{start}: {}", answer.body);
            assert!(answer.body.contains(part), "{start}: {}", answer.body);
            assert!(answer.head.contains("application/problem+json"), "{}", answer.head);
        }
        assert_eq!(daemon.get(PATH).status, 405);
        for odd in ["/checks/%ff", "/api/v1/checks/%ff"] {
            let answer = daemon.get(odd);
            assert_eq!(answer.status, 400, "{}", answer.body);
            assert!(answer.head.contains("application/problem+json"), "{}", answer.head);
        }
        let elsewhere = |line: &str| {
            let body = json!({ "targets": [planned] }).to_string();
            let request = format!(
                "POST {PATH} HTTP/1.0\r\nhost: {}\r\n{line}\r\ncontent-type: {JSON}\r\ncontent-length: {}\r\n\r\n{body}",
                daemon.address,
                body.len()
            );
            send(daemon.address, &request).unwrap().status
        };
        assert_eq!(elsewhere("origin: https://evil.example"), 403);
        assert_eq!(elsewhere("origin: null"), 403);
        assert_eq!(elsewhere("sec-fetch-site: cross-site"), 403);
        assert_eq!(elsewhere(&format!("origin: http://{}", daemon.address)), 200);
        daemon.stopped().expect(0);
    });
}

#[test]
fn the_role_probe_may_probe_any_host() {
    alone(|| {
        let elsewhere = format!("tcp://127.0.0.1:{}", refusing_port());
        let daemon = Daemon::start(&format!(
            "{}\n[web]\nprobe_users = [\"ops\"]\n[web.bearer_tokens]\nops = \"f5b8221f952b0fd34964e3812afb5758afe04d8a8dc6d2b4ddec17fa40dd6200\"\nreader = \"f9e36f90379bbb3c10c8874dde93c9c078b38316c1d9d076ea507844b76d2278\"\n",
            config(&[])
        ));
        let status = |path: &str, line: &str| {
            let body = json!({ "targets": [elsewhere] }).to_string();
            let method = if path == PATH { "POST" } else { "GET" };
            let request = format!(
                "{method} {path} HTTP/1.0\r\nhost: {}\r\n{line}content-type: {JSON}\r\ncontent-length: {}\r\n\r\n{body}",
                daemon.address,
                body.len()
            );
            send(daemon.address, &request).unwrap().status
        };
        let scrape = format!("/probe?module=tcp_connect&target={}", &elsewhere[6..]);
        for (line, expected) in [
            ("authorization: Bearer token-of-ops\r\n", 200),
            ("authorization: Bearer token-of-reader\r\n", 403),
            ("", 401),
        ] {
            assert_eq!(status(PATH, line), expected, "{line}");
            assert_eq!(status(&scrape, line), expected, "{line}");
        }
        daemon.stopped().expect(0);
    });
}

#[test]
fn strangers_may_not_probe_while_nobody_has_to_say_who_they_are() {
    alone(|| {
        let target = format!("tcp://127.0.0.1:{}", refusing_port());
        let folder = folder(&[("probes.toml", &config(std::slice::from_ref(&target)))]);
        let file = folder.path().join("probes.toml");
        let file = file.to_str().unwrap();
        let daemon = Daemon::start_with(&["--config", file, "--listen", "0.0.0.0:0"]);
        let address = (Ipv4Addr::LOCALHOST, daemon.address.port()).into();
        let answer = post(address, PATH, JSON, &json!({ "targets": [target] }).to_string());
        assert_eq!(answer.unwrap().status, 403);
        assert_eq!(get(address, &format!("/probe?target={}", &target[6..])).unwrap().status, 403);
        assert_eq!(get(address, "/api/v1/report").unwrap().status, 200);
        daemon.stopped().expect(0);
    });
}

/// A run that waits for an answer from DNS until its reader goes away.
fn endless(daemon: &Daemon) -> TcpStream {
    let mut stream = TcpStream::connect(daemon.address).unwrap();
    let body = json!({"targets": ["a.contoso.mil"]}).to_string();
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nhost: {}\r\naccept: application/x-ndjson\r\ncontent-type: {JSON}\r\ncontent-length: {}\r\n\r\n",
        daemon.address,
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).unwrap();
    // It has begun when it tells of its progress.
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    while !line.contains("progress") {
        line.clear();
        assert_ne!(reader.read_line(&mut line).unwrap(), 0, "closed");
    }
    stream
}

#[test]
fn runs_are_few_and_end_with_their_reader() {
    alone(|| {
        let (questions, server) = mute_dns_server();
        let web = web_server();
        let daemon = Daemon::start(&format!(
            "{}\n[web]\nprobe_suffixes = [\"contoso.mil\"]\n[dns]\nservers = [\"{server}\"]\n[schedule.timeout]\ndns = \"60s\"\n",
            config(&[format!("tcp://127.0.0.1:{web}")])
        ));
        let quick = json!({"targets": [format!("tcp://127.0.0.1:{web}")]});
        assert_eq!(asked(&daemon, &quick).status, 200);
        let mut busy: Vec<TcpStream> = (0..4).map(|_| endless(&daemon)).collect();
        let full = asked(&daemon, &quick);
        assert_eq!(full.status, 503, "{}", full.body);
        assert!(full.head.contains("\nretry-after: 5"), "{}", full.head);
        assert!(full.body.contains("4 ad hoc runs are under way"), "{}", full.body);
        // Others are not kept waiting by that.
        assert_eq!(daemon.get("/api/v1/report").status, 200);
        drop(busy.pop());
        until("a place is free", || (asked(&daemon, &quick).status == 200).then_some(()));
        // The same for a reader of a whole report, who gets nothing before its end.
        let mut whole = TcpStream::connect(daemon.address).unwrap();
        let body = json!({"targets": ["whole.contoso.mil"]}).to_string();
        write!(
            whole,
            "POST {PATH} HTTP/1.1\r\nhost: {}\r\ncontent-type: {JSON}\r\ncontent-length: {}\r\n\r\n{body}",
            daemon.address,
            body.len()
        )
        .unwrap();
        // It has begun when its question comes; those of the others may still be waiting.
        let mut question = [0; 512];
        while !question.windows(5).any(|part| part == b"whole") {
            questions.recv_from(&mut question).unwrap();
        }
        assert_eq!(asked(&daemon, &quick).status, 503);
        drop(whole);
        until("a place is free", || (asked(&daemon, &quick).status == 200).then_some(()));
        // A stopping daemon does not wait for them either.
        daemon.stopped().expect(0);
        for mut stream in busy {
            let _ = stream.read_to_end(&mut Vec::new());
        }
    });
}

#[test]
fn the_form_for_people() {
    alone(|| {
        let refusing = refusing_port();
        let planned = format!("tcp://127.0.0.1:{refusing}");
        let daemon = Daemon::start(&config(std::slice::from_ref(&planned)));
        let blank = daemon.get("/probe-form?targets=ml.azure.us%3A443%3Cb%3E");
        assert_eq!(blank.status, 200);
        assert!(blank.body.contains("ml.azure.us:443&lt;b&gt;</textarea>"), "{}", blank.body);
        assert!(blank.head.contains("form-action 'self'"), "{}", blank.head);
        assert!(daemon.get("/").body.contains("href=\"./probe-form\""));
        let filled = |body: &str| {
            post(daemon.address, "/probe-form", "application/x-www-form-urlencoded", body).unwrap()
        };
        let encoded = planned.replace(':', "%3A").replace('/', "%2F");
        let done = filled(&format!("targets={encoded}&expect=any&subnets="));
        assert_eq!(done.status, 200, "{}", done.body);
        for part in ["Measured once, just now: 1 check", "tcp_refused", "1 fault"] {
            assert!(done.body.contains(part), "no {part:?} in {}", done.body);
        }
        for (body, status, part) in [
            ("targets=", 422, "no target is named"),
            ("targets=%3Cscript%3E", 422, "&lt;script&gt;"),
            ("targets=a.example&expect=odd", 422, "is not one of"),
            ("targets=127.0.0.1%3A22", 403, "may not be probed from here"),
        ] {
            let answer = filled(body);
            assert_eq!(answer.status, status, "{body}: {}", answer.body);
            assert!(answer.body.contains(part), "{body}: {}", answer.body);
            let own = format!("<script>{}</script>", vnetprobe::render::page::SCRIPT);
            let strangers = answer.body.replace(&own, "");
            assert!(!strangers.contains("<script"), "{strangers}");
        }
        assert_eq!(post(daemon.address, "/probe-form", JSON, "{}").unwrap().status, 415);
        daemon.stopped().expect(0);
    });
}

#[test]
fn the_configuration_without_its_secrets() {
    alone(|| {
        let daemon = Daemon::start(&format!(
            "{}\n[proxy]\nurl = \"http://bob:hunter2@10.0.0.1:3128\"\n",
            config(&[])
        ));
        let shown = daemon.json("/config");
        assert_eq!(shown["proxy"]["url"], "http://<secret>@10.0.0.1:3128");
        assert_eq!(shown["schedule"]["interval"], "3600s");
        assert!(!shown.to_string().contains("hunter2"));
        daemon.stopped().expect(0);
    });
}
