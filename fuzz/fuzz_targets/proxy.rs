//! Any proxy and any exceptions, as variables name them or as Windows keeps them. The first byte
//! chooses. Nobody sees a password, and what is shown means the same when it is read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vnetprobe::limits;
use vnetprobe::proxy::windows::{Values, internet, winhttp};
use vnetprobe::proxy::{Decision, Environment, Exception, Named, Proxy, Routes, Source, System};
use vnetprobe::target::parse_target;
use vnetprobe_fuzz::assert_plain;

const TARGETS: [&str; 5] =
    ["ml.azure.us", "http://mlstore.contoso.mil:8080", "10.1.2.3", "[fd00::4]:443", "mlstore"];

fn url(text: &str) {
    let (text, said) = text.split_once('\n').unwrap_or((text, ""));
    match Proxy::parse(text) {
        Ok(proxy) => {
            let shown = proxy.to_string();
            assert_plain("a proxy", &shown);
            let again = Proxy::parse(&shown).expect("what is shown is a proxy");
            assert_eq!(
                (&again.host, again.port, again.credentials),
                (&proxy.host, proxy.port, None)
            );
            let Some(credentials) = &proxy.credentials else { return };
            let header = credentials.header();
            let token = header.strip_prefix("Basic ").expect("basic authentication");
            for said in [said.to_owned(), format!("{said}{header}{said}"), header.clone()] {
                assert!(!credentials.scrub_text(&said).contains(token));
            }
            assert!(!format!("{proxy:?}").contains(token));
        }
        Err(why) => assert_plain("a complaint", &why.to_string()),
    }
}

/// What a machine with these settings does with each target.
fn follow(exceptions: &[Exception], system: Option<System>) {
    assert!(exceptions.len() <= limits::LIST_ENTRIES);
    let named = Named {
        proxy: Proxy::parse("http://proxy.contoso.mil:3128").expect("a proxy"),
        by: Source::Configuration,
    };
    let named = system.is_none().then_some(&named);
    let environment = Environment { system, ..Environment::default() };
    let (routes, troubles) = Routes::new(named, exceptions, &environment);
    troubles.iter().for_each(|trouble| assert_plain("a trouble", trouble));
    for target in TARGETS {
        match routes.decide(&parse_target(target).expect("a target")) {
            Decision::Direct(why) => assert_plain("a reason", &why),
            Decision::Through(proxy, why) => {
                assert_plain("a reason", &why);
                assert_plain("a proxy", &proxy.to_string());
                let everything = exceptions.iter().any(|exception| exception.to_string() == "*");
                assert!(!everything, "{target} goes through a proxy in spite of `*`");
            }
        }
    }
}

fn no_proxy(text: &str) {
    let exceptions = Exception::list(text);
    for exception in &exceptions {
        let shown = exception.to_string();
        assert_plain("an exception", &shown);
        // A longer one is cut where it is shown.
        if shown.chars().count() <= limits::TEXT_CHARS {
            assert_eq!(Exception::parse(&shown).as_ref(), Some(exception));
        }
    }
    follow(&exceptions, None);
    for target in TARGETS {
        let host = parse_target(target).expect("a target").host;
        let with = Exception::list(&format!("{host},{text}"));
        let found = with.first().expect("a host is an exception");
        assert_eq!(found.to_string(), host.to_string());
    }
}

fn windows(system: Option<System>) {
    let Some(system) = system else { return };
    system.notes.iter().for_each(|note| assert_plain("a note", note));
    assert!(system.exceptions.len() <= limits::LIST_ENTRIES);
    system.exceptions.iter().for_each(|e| assert_plain("an exception", &e.to_string()));
    follow(&[], Some(system));
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(data);
    match choice % 4 {
        0 => url(&text),
        1 => no_proxy(&text),
        2 => windows(winhttp(data)),
        _ => {
            let (server, exceptions) = text.split_once('\n').unwrap_or((&text, ""));
            let script = choice & 4 != 0;
            windows(internet(Values { enabled: true, server, exceptions, script }));
        }
    }
});
