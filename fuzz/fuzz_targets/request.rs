//! What is asked for over HTTP: probes as JSON or as a form, a module and its target, the history.
//! The first byte chooses. What was understood means the same when it is written out again.
#![no_main]

use std::fmt::Write as _;

use libfuzzer_sys::fuzz_target;
use vnetprobe::adhoc::Request;
use vnetprobe::blackbox::{Hop, MODULES, Prober, Sight, hop};
use vnetprobe::inquiry::{Inquiry, Which};
use vnetprobe::limits;
use vnetprobe::model::authority;
use vnetprobe::render::blackbox;
use vnetprobe::target::parse_target;
use vnetprobe_fuzz::{assert_plain, now};

/// Stands where a password does, and must never be seen again.
const SECRET: &str = "hunter2-hunter2";

fn probes(request: &Request) {
    match request.probes() {
        Ok(probes) => {
            assert!((1..=limits::ADHOC_TARGETS).contains(&probes.len()));
            for probe in &probes {
                assert!(probe.subnets.len() <= limits::LIST_ENTRIES);
                assert!(!probe.target.path.contains(|c: char| c.is_control() || c == ' '));
                assert_plain("an id", &probe.id);
            }
        }
        Err(wrong) => {
            assert!((1..=limits::CONFIG_ERRORS).contains(&wrong.len()));
            for why in &wrong {
                assert_plain("a complaint", why);
                assert!(why.len() <= 64 * limits::TEXT_CHARS, "{} bytes", why.len());
            }
        }
    }
    for text in &request.targets {
        for secret in [format!("https://bob:{SECRET}@{text}"), format!("bob:{SECRET}@{text}")] {
            let why = parse_target(&secret).expect_err("it has a user");
            assert!(text.contains(SECRET) || !why.contains(SECRET), "{why}");
        }
    }
}

fn json_of(request: &Request) -> Vec<u8> {
    let Request { targets, expect, subnets } = request;
    let expect = expect.to_string();
    serde_json::json!({ "targets": targets, "expect": expect, "subnets": subnets })
        .to_string()
        .into_bytes()
}

fn asked(read: Result<Request, String>) {
    match read {
        Ok(request) => {
            assert_eq!(Request::of_json(&json_of(&request)), Ok(request.clone()));
            probes(&request);
        }
        Err(why) => assert_plain("a complaint", &why),
    }
}

/// The target of a module that leads to this hop.
fn target_of(prober: Prober, hop: &Hop) -> String {
    match prober {
        Prober::Http => hop.url(),
        Prober::Tcp { .. } | Prober::Dns { .. } => authority(&hop.host, hop.port),
    }
}

/// A module's target, and where an answer there would lead it.
fn probed(choice: u8, text: &str) {
    let (text, location) = text.split_once('\n').unwrap_or((text, ""));
    let (_, _, prober) = MODULES[usize::from(choice) % MODULES.len()];
    match hop(prober, text) {
        Ok(found) => {
            assert_eq!(hop(prober, &target_of(prober, &found)), Ok(found.clone()));
            if prober == Prober::Http
                && let Ok(next) = found.redirected(location)
            {
                assert!(!next.path.contains(|c: char| c.is_control() || c == ' '));
                assert_plain("a URL", &next.url());
                assert_eq!(hop(prober, &next.url()), Ok(next));
            }
        }
        Err(why) => {
            let sight = Sight::unreadable(prober, &why);
            sight.log.iter().for_each(|line| assert_plain("a line of the log", line));
            assert_plain("metrics", &blackbox::text(&sight));
        }
    }
}

/// A text as it stands in a URL.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "%{byte:02x}");
        out
    })
}

fn past(query: &str) {
    match Inquiry::of_query(query, now()) {
        Ok(inquiry) => {
            assert!((1..=limits::HISTORY_ANSWER_EVENTS).contains(&inquiry.limit));
            assert!(inquiry.from.zip(inquiry.to).is_none_or(|(from, to)| from <= to));
            let mut again = format!("limit={}", inquiry.limit);
            for (name, at) in [("from", inquiry.from), ("to", inquiry.to)] {
                if let Some(at) = at {
                    let _ = write!(again, "&{name}={at}");
                }
            }
            if let Some(Which::Like(pattern)) = &inquiry.check {
                let _ = write!(again, "&check={}", escaped(&pattern.to_string()));
                let _ = pattern.matches(query);
            }
            assert_eq!(Inquiry::of_query(&again, now()), Ok(inquiry));
        }
        Err(why) => assert_plain("a complaint", &why),
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(data);
    match choice % 4 {
        0 => asked(Request::of_json(data)),
        1 => asked(Request::of_form(data)),
        2 => probed(choice / 4, &text),
        _ => past(&text),
    }
});
