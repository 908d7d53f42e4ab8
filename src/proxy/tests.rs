use proptest::prelude::*;

use super::*;
use crate::target::parse_target;

fn routes(environment: &Environment) -> Routes {
    Routes::new(None, &[], environment).0
}

fn environment(no_proxy: &str) -> Environment {
    let proxy = |name| Some(Variable { name, value: Secret::new("http://proxy:3128") });
    Environment {
        https: proxy("HTTPS_PROXY"),
        http: proxy("HTTP_PROXY"),
        exceptions: Some(("NO_PROXY", no_proxy.to_owned())),
        ..Environment::default()
    }
}

#[test]
fn no_proxy_decides_as_curl_and_go_do() {
    // The list, the target, and the entry that makes it direct.
    for (list, target, exception) in [
        ("", "ml.azure.us", None),
        ("*", "ml.azure.us", Some("*")),
        ("*", "10.0.0.4", Some("*")),
        ("ml.azure.us", "ml.azure.us", Some("ml.azure.us")),
        ("ml.azure.us", "studio.ml.azure.us", Some("ml.azure.us")),
        ("ml.azure.us", "notml.azure.us", None),
        ("ml.azure.us", "azure.us", None),
        ("ML.Azure.US.", "ml.azure.us", Some("ML.Azure.US.")),
        (".azure.us", "ml.azure.us", Some(".azure.us")),
        (".azure.us", "azure.us", None),
        ("*.azure.us", "ml.azure.us", Some("*.azure.us")),
        ("*.azure.us", "azure.us", None),
        ("azure.us", "azure.us", Some("azure.us")),
        ("a.example, .azure.us", "ml.azure.us", Some(".azure.us")),
        ("a.example .azure.us", "ml.azure.us", Some(".azure.us")),
        ("ml.azure.us:443", "ml.azure.us", Some("ml.azure.us:443")),
        ("ml.azure.us:443", "ml.azure.us:8443", None),
        ("ml.azure.us:0", "ml.azure.us", None),
        (".azure.us:8443", "ml.azure.us:8443", Some(".azure.us:8443")),
        ("10.0.0.4", "10.0.0.4", Some("10.0.0.4")),
        ("10.0.0.4", "10.0.0.5", None),
        ("10.0.0.4:8443", "10.0.0.4:8443", Some("10.0.0.4:8443")),
        ("10.0.0.4:8443", "10.0.0.4:443", None),
        ("10.0.0.0/8", "10.200.0.4", Some("10.0.0.0/8")),
        ("10.0.0.0/8", "11.0.0.4", None),
        // Names are compared as written and never looked up.
        ("10.0.0.0/8", "ml.azure.us", None),
        ("fd00::/8", "[fd00::4]:443", Some("fd00::/8")),
        ("fd00::4", "[fd00::4]:443", Some("fd00::4")),
        ("[fd00::4]", "[fd00::4]:443", Some("[fd00::4]")),
        ("[fd00::4]:443", "[fd00::4]:443", Some("[fd00::4]:443")),
        ("[fd00::4]:443", "[fd00::4]:8443", None),
        ("fd00::4", "[fd00::5]:443", None),
        ("10.0.0.4", "[::ffff:10.0.0.4]:443", Some("10.0.0.4")),
        // Rubbish matches nothing and hides nothing.
        ("http://x/, ,,a..b,10.0.0.0/99,ml.azure.us", "ml.azure.us", Some("ml.azure.us")),
        ("azure", "ml.azure.us", None),
        ("us", "ml.azure.us", Some("us")),
    ] {
        let routes = routes(&environment(list));
        let target_read = parse_target(target).unwrap();
        match (routes.decide(&target_read), exception) {
            (Decision::Direct(why), Some(exception)) => {
                assert_eq!(why, format!("`{exception}` in NO_PROXY of the environment matches"));
            }
            (Decision::Through(proxy, why), None) => {
                assert_eq!(proxy.to_string(), "http://proxy:3128");
                assert!(why.starts_with("HTTPS_PROXY of the environment; "), "{why}");
            }
            (decision, _) => panic!("{list} | {target}: {decision:?}"),
        }
    }
}

#[test]
fn this_machine_and_kinds_without_proxies_are_direct() {
    let routes = routes(&environment(""));
    for (target, why) in [
        ("https://localhost", "this machine itself"),
        ("http://a.localhost", "this machine itself"),
        ("127.9.9.9:443", "this machine itself"),
        ("[::1]:443", "this machine itself"),
        ("[::ffff:127.0.0.1]:443", "this machine itself"),
        ("tcp://ml.azure.us:22", "tcp does not go through an HTTP proxy"),
        ("smb://ml.azure.us", "smb does not go through an HTTP proxy"),
        ("udp://ml.azure.us:53", "udp does not go through an HTTP proxy"),
        ("dns://ml.azure.us", "dns does not go through an HTTP proxy"),
    ] {
        match routes.decide(&parse_target(target).unwrap()) {
            Decision::Direct(told) => assert!(told.contains(why), "{target}: {told}"),
            decision @ Decision::Through(..) => panic!("{target}: {decision:?}"),
        }
    }
    for target in ["ml.azure.us", "https://ml.azure.us", "wss://ml.azure.us", "http://ml.azure.us"]
    {
        let target = parse_target(target).unwrap();
        assert!(matches!(routes.decide(&target), Decision::Through(..)), "{target:?}");
    }
}

#[test]
fn what_is_named_goes_before_the_environment() {
    let proxy = |text| Proxy::parse(text).unwrap();
    let decided =
        |routes: &Routes, target: &str| match routes.decide(&parse_target(target).unwrap()) {
            Decision::Direct(why) => format!("direct: {why}"),
            Decision::Through(proxy, why) => format!("{proxy}: {why}"),
        };
    let environment = environment("ml.azure.us");
    let named = |by| Named { proxy: proxy("http://named:8080"), by };
    let from_file = named(Source::Configuration);
    let own = [Exception::parse("portal.azure.us").unwrap()];

    let (routes, _) = Routes::new(Some(&from_file), &[], &environment);
    assert_eq!(
        decided(&routes, "portal.azure.us"),
        "http://named:8080: [proxy] url of the configuration; no exception in NO_PROXY of the \
         environment matches"
    );
    assert!(decided(&routes, "ml.azure.us").starts_with("direct: `ml.azure.us` in NO_PROXY"));

    let (routes, _) = Routes::new(Some(&from_file), &own, &environment);
    assert!(
        decided(&routes, "portal.azure.us").starts_with("direct: `portal.azure.us` in [proxy]")
    );
    assert!(decided(&routes, "ml.azure.us").starts_with("http://named:8080"));

    // Whoever writes --proxy means these targets.
    let (routes, _) = Routes::new(Some(&named(Source::CommandLine)), &[], &environment);
    assert_eq!(
        decided(&routes, "ml.azure.us"),
        "http://named:8080: --proxy of the command line; there are no exceptions"
    );

    let (routes, _) = Routes::new(None, &own, &environment);
    assert!(decided(&routes, "ml.azure.us").starts_with("http://proxy:3128: HTTPS_PROXY"));
    assert!(decided(&routes, "http://ml.azure.us").starts_with("http://proxy:3128: HTTP_PROXY"));

    let (routes, _) = Routes::new(None, &[], &Environment::default());
    assert_eq!(decided(&routes, "ml.azure.us"), "direct: no proxy is configured");
    assert!(!routes.has_proxy());
}

#[test]
fn a_proxy_of_the_environment_that_cannot_be_used_is_told_without_its_password() {
    for (value, part) in [
        ("https://bob:hunter2@proxy", "speak TLS"),
        ("socks5://bob:hunter2@proxy", "begins with http://"),
        ("bob:hunter2@proxy:0", "port"),
    ] {
        let variable = |name| Some(Variable { name, value: Secret::new(value) });
        let environment = Environment {
            https: variable("ALL_PROXY"),
            http: variable("ALL_PROXY"),
            ..Environment::default()
        };
        let (routes, troubles) = Routes::new(None, &[], &environment);
        assert!(!routes.has_proxy());
        assert_eq!(troubles.len(), 1, "{troubles:?}");
        let trouble = format!("{troubles:?} {environment:?} {routes:?}");
        assert!(trouble.contains(part) && !trouble.contains("hunter"), "{trouble}");
    }
}

#[test]
fn proxies_are_shown_without_credentials() {
    for (text, shown, header) in [
        ("http://proxy", "http://proxy:80", None),
        ("HTTP://Proxy.Contoso.mil:3128/", "http://proxy.contoso.mil:3128", None),
        // RFC 7617 section 2.
        (
            "http://Aladdin:open%20sesame@proxy:8080",
            "http://proxy:8080",
            Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ),
        ("http://bob@[fd00::4]:3128", "http://[fd00::4]:3128", Some("Basic Ym9iOg==")),
        ("http://a:b%zz%@proxy", "http://proxy:80", Some("Basic YTpiJXp6JQ==")),
        ("http://@proxy", "http://proxy:80", None),
    ] {
        let proxy = Proxy::parse(text).unwrap();
        assert_eq!(proxy.to_string(), shown, "{text}");
        assert_eq!(
            proxy.credentials.as_ref().map(Credentials::header).as_deref(),
            header,
            "{text}"
        );
        let debug = format!("{proxy:?}");
        assert!(!debug.contains("sesame") && !debug.contains("QWxh"), "{debug}");
    }
}

#[test]
fn credentials_are_taken_out_of_what_strangers_say() {
    let proxy = Proxy::parse("http://bob:hunt%20er2@proxy").unwrap();
    let credentials = proxy.credentials.unwrap();
    let token = credentials.header().replace("Basic ", "");
    for (said, clean) in [
        ("nothing of it".to_owned(), "nothing of it"),
        (format!("a {token} b {token}"), "a *** b ***"),
        ("user bob:hunt er2, hunt er2!".to_owned(), "user ***, ***!"),
        ("http://bob:hunt%20er2@proxy".to_owned(), "http://***@proxy"),
        // Cut in the middle.
        (format!("Basic {}", token.get(..7).unwrap()), "Basic ***"),
        ("password hunt e".to_owned(), "password ***"),
        ("ü bob:hunt er2 ü".to_owned(), "ü *** ü"),
    ] {
        assert_eq!(credentials.scrub_text(&said), clean);
    }
}

/// A text with every byte as a percent escape.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |text, byte| format!("{text}%{byte:02X}"))
}

proptest! {
    /// Whatever the password is, the proxy hears it and nobody else.
    #[test]
    fn no_password_is_shown(user in "\\PC{1,12}", password in "\\PC{8,20}", said in "\\PC{0,40}") {
        let url = format!("http://{}:{}@proxy:3128", escaped(&user), escaped(&password));
        let proxy = Proxy::parse(&url).unwrap();
        prop_assert_eq!(proxy.to_string(), "http://proxy:3128");
        let credentials = proxy.credentials.clone().unwrap();
        let header = credentials.header();
        for said in [format!("{said}{header}{said}"), format!("{said} {user}:{password}"), url] {
            let clean = credentials.scrub_text(&said);
            for secret in [header.strip_prefix("Basic ").unwrap(), &password, &escaped(&password)] {
                prop_assert!(!clean.contains(secret), "{}", clean);
            }
        }
        let debug = format!("{proxy:?}");
        prop_assert!(!debug.contains(&password));
    }

    /// A name is an exception for itself and what is below it, and for nothing else.
    #[test]
    fn an_exception_is_for_its_own_names(
        name in "[a-z]{1,8}\\.[a-z]{2,5}",
        sub in "[a-z0-9]{1,8}",
        other in "[a-z]{1,8}\\.[a-z]{2,5}",
        noise in "[a-z0-9.:\\[\\]/*-]{0,20}",
    ) {
        let target = |host: &str| parse_target(&format!("https://{host}")).unwrap();
        let exception = Exception::parse(&name).unwrap();
        let below = Exception::parse(&format!(".{name}")).unwrap();
        let own = target(&name);
        let deeper = target(&format!("{sub}.{name}"));
        prop_assert!(exception.matches(&own) && exception.matches(&deeper));
        prop_assert!(!below.matches(&own) && below.matches(&deeper));
        let longer = target(&format!("{sub}{name}"));
        prop_assert!(!exception.matches(&longer));
        prop_assert_eq!(exception.matches(&target(&other)), other == name);
        for exception in Exception::list(&noise) {
            prop_assert_eq!(Exception::parse(&exception.to_string()), Some(exception));
        }
    }
}
