//! Whole checks of kinds `https` and `websocket`, from the connection to the verdict, against TLS
//! servers that answer as services, firewalls and proxies do.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use vnetprobe::cause::Cause;
use vnetprobe::check::{Check, Expectation, Target};
use vnetprobe::engine::Prober;
use vnetprobe::machine::Machine;
use vnetprobe::model::{Cloud, Expect, Host, Kind, Proof, Service, Status};
use vnetprobe::observation::{HttpOutcome, Observation, TlsOutcome, WEBSOCKET_ACCEPT};
use vnetprobe::parameters::NetworkFacts;
use vnetprobe::probe::Live;
use vnetprobe::probe::dns::Servers;
use vnetprobe::probe::experiments::FollowUps;
use vnetprobe::probe::tls::TlsClient;
use vnetprobe::probe::turns::Turns;
use vnetprobe::proxy::Routes;
use vnetprobe::schedule::Repeat;
use vnetprobe::settings::Timeouts;
use vnetprobe::verdict::{Context, Verdict, judge};

use crate::pki::{Authority, Identity, client, server};
use crate::world::{BRIEF, PLENTY, serve};

/// What a server does after the handshake.
#[derive(Clone)]
enum Manner {
    /// Hears a request, answers with this, and closes.
    Answers(String),
    /// Answers with the first, and with the second for ever.
    Repeats(String, String),
    /// Hears a request and closes.
    Closes,
    /// Hears, and says nothing.
    Mute,
}

/// A TLS server; what it heard of each connection comes through the channel.
async fn listen(
    identity: Identity,
    manner: Manner,
) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(identity.key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(identity.chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (tell, told) = mpsc::unbounded_channel();
    let address = serve(move |stream| {
        let (acceptor, manner, tell) = (acceptor.clone(), manner.clone(), tell.clone());
        async move {
            let Ok(mut session) = acceptor.accept(stream).await else { return };
            let mut bytes = vec![0; 4096];
            let length = session.read(&mut bytes).await.unwrap_or(0);
            let _ = tell.send(String::from_utf8_lossy(&bytes[..length]).into_owned());
            match manner {
                Manner::Answers(answer) => {
                    let _ = session.write_all(answer.as_bytes()).await;
                    let _ = session.shutdown().await;
                }
                Manner::Repeats(first, again) => {
                    let mut spoken = session.write_all(first.as_bytes()).await;
                    while spoken.is_ok() {
                        spoken = session.write_all(again.as_bytes()).await;
                    }
                }
                Manner::Closes => {}
                Manner::Mute => while session.read(&mut bytes).await.is_ok_and(|n| n > 0) {},
            }
        }
    })
    .await;
    (address, told)
}

fn live(tls: Arc<TlsClient>, http: Duration) -> Live {
    Live {
        servers: Servers { configured: Vec::new(), upstreams: Vec::new(), reference: None },
        hosts_file: BTreeMap::new(),
        network: Arc::new(network()),
        tls,
        timeouts: Timeouts { dns: PLENTY, connect: PLENTY, tls: PLENTY, http },
        routes: Routes::default(),
        follow_ups: FollowUps::new(Cloud::None, Repeat::Once).into(),
        turns: Turns::default(),
    }
}

/// Loopback is the private side here.
fn network() -> NetworkFacts {
    NetworkFacts {
        private_ranges: vec!["127.0.0.0/8".parse().unwrap(), "10.0.0.0/8".parse().unwrap()],
        endpoint_subnets: Vec::new(),
        endpoint_addresses: BTreeMap::new(),
    }
}

/// A check of what listens there.
struct Asked {
    kind: Kind,
    path: &'static str,
    service: Option<Service>,
}

const HTTPS: Asked = Asked { kind: Kind::Https, path: "/", service: None };
const WEBSOCKET: Asked = Asked { kind: Kind::Websocket, path: "/ws", service: None };
const STORAGE: Asked =
    Asked { kind: Kind::Https, path: "/vnetprobe/check", service: Some(Service::Storage) };
const VAULT: Asked =
    Asked { kind: Kind::Https, path: "/healthstatus", service: Some(Service::KeyVault) };
const REGISTRY: Asked =
    Asked { kind: Kind::Https, path: "/v2/", service: Some(Service::ContainerRegistry) };

impl Asked {
    fn check(&self, address: SocketAddr) -> Check {
        let host = Host::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        Check {
            id: String::new(),
            requirement: String::new(),
            target: Arc::new(Target {
                host,
                port: Some(address.port()),
                kind: self.kind,
                path: self.path.to_owned(),
            }),
            expectation: Expectation {
                expect: Expect::Private,
                zone: None,
                declared: Vec::new(),
                subnets: Vec::new(),
            },
            proof: Proof::Exact,
            pattern: String::new(),
            scenarios: Vec::new(),
            required: true,
            public_service: false,
            service: self.service,
            service_tag: None,
            purpose: String::new(),
        }
    }

    /// Probes and judges.
    async fn of(&self, live: &Live, address: SocketAddr) -> (Observation, Verdict) {
        let check = self.check(address);
        let seen = live.probe(&check.target, true).await;
        let (network, machine) = (network(), Machine::default());
        let context = Context { network: &network, machine: &machine, now: Timestamp::now() };
        let verdict = judge(&check, context, &seen);
        (seen, verdict)
    }
}

fn outcome(seen: &Observation) -> Option<&HttpOutcome> {
    match &seen.tls().unwrap().outcome {
        TlsOutcome::Established { then, .. } => then.as_ref().map(|http| &http.outcome),
        TlsOutcome::Failed(_) => None,
    }
}

fn reply(status: &str, headers: &[&str], body: &str) -> String {
    let headers = [headers, &[""]].concat().join("\r\n");
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

const FORBIDDEN: &str = "403 Forbidden";

/// What is asked, what answers, and what must be concluded: a cause, or none, and some words.
fn table() -> Vec<(Asked, String, Option<Cause>, &'static str)> {
    let upgraded = |accept: &str| {
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        )
    };
    let denied = Some(Cause::HttpResourceFirewallDeny);
    let stranger = Some(Cause::HttpUnexpectedStatus);
    let blocked = Some(Cause::WebsocketBlocked);
    let id = "x-ms-request-id: 7";
    let info =
        "x-ms-keyvault-network-info: conn_type=Ipv4;addr=10.9.9.9;act_addr_fam=InterNetwork;";
    let nat = "x-ms-keyvault-network-info: conn_type=Ipv4;addr=203.0.113.9;";
    let storage_denies =
        "\u{feff}<?xml version=\"1.0\"?><Error><Code>AuthorizationFailure</Code></Error>";
    let registry_denies = r#"{"errors":[{"code":"DENIED","message":"client with IP '52.1.2.3' is not allowed access"}]}"#;
    let firewall_denies = "Action: Deny. Reason: No rule matched. Proceeding with default action.";
    vec![
        (HTTPS, reply("200 OK", &[], "hello"), None, "answers HTTPS"),
        (HTTPS, reply("401 Unauthorized", &["WWW-Authenticate: Bearer"], ""), None, "HTTPS"),
        (
            HTTPS,
            reply("470 status code 470", &[], firewall_denies),
            Some(Cause::HttpFirewallDeny),
            "470",
        ),
        (HTTPS, reply("407 x", &[], ""), Some(Cause::ProxyAuthRequired), "credentials"),
        (HTTPS, reply("503 Busy", &[id], ""), Some(Cause::HttpServerError), "request 7"),
        (HTTPS, reply(FORBIDDEN, &["X-Squid-Error: ERR_ACCESS_DENIED 0"], ""), stranger, "squid"),
        (
            STORAGE,
            reply("404 x", &[id], "<Error><Code>ResourceNotFound</Code></Error>"),
            None,
            "HTTPS",
        ),
        (STORAGE, reply(FORBIDDEN, &[id], storage_denies), denied, "AuthorizationFailure"),
        (STORAGE, reply("200 OK", &["Content-Type: text/html"], "<html>Hi"), stranger, "web page"),
        (VAULT, reply("200 OK", &[info], "{}"), None, "come from 10.9.9.9"),
        (VAULT, reply("200 OK", &[nat], "{}"), None, "public address 203.0.113.9"),
        (VAULT, reply("200 OK", &[id], "{}"), stranger, "x-ms-keyvault-network-info"),
        (REGISTRY, reply("401 x", &["WWW-Authenticate: Bearer realm=x"], ""), None, "HTTPS"),
        (REGISTRY, reply(FORBIDDEN, &[], registry_denies), denied, "come from 52.1.2.3"),
        (WEBSOCKET, upgraded(WEBSOCKET_ACCEPT), None, "WebSocket"),
        (WEBSOCKET, upgraded("c29tZXRoaW5nIGVsc2UgZW50aXJlbHk="), blocked, "the answer to its key"),
        (WEBSOCKET, reply("401 Unauthorized", &[], ""), None, "asks for credentials"),
        (WEBSOCKET, reply(FORBIDDEN, &[], ""), None, "asks for credentials"),
        (WEBSOCKET, reply("200 OK", &[], "hello"), blocked, "HTTP 200"),
        (
            WEBSOCKET,
            reply("426 Upgrade Required", &["Upgrade: websocket"], ""),
            blocked,
            "HTTP 426",
        ),
        (WEBSOCKET, reply("502 Bad Gateway", &["Via: 1.1 gate"], ""), blocked, "via: 1.1 gate"),
        (WEBSOCKET, reply("503 x", &[], ""), Some(Cause::HttpServerError), "HTTP 503"),
    ]
}

#[tokio::test]
async fn every_answer_is_told_for_what_it_is() {
    let authority = Authority::new("Services");
    let live = live(client(&[authority.pem()]), PLENTY);
    for (asked, answer, cause, words) in table() {
        let (address, mut told) =
            listen(authority.issue(&server()), Manner::Answers(answer.clone())).await;
        let (_, verdict) = asked.of(&live, address).await;
        assert_eq!(verdict.cause, cause, "{answer}\n{}", verdict.summary);
        assert_eq!(verdict.status == Status::Pass, cause.is_none(), "{answer}");
        assert!(verdict.summary.contains(words), "{words}: {}", verdict.summary);
        let sent = told.recv().await.unwrap();
        let request = format!("GET {} HTTP/1.1\r\nHost: {address}\r\n", asked.path);
        assert!(sent.starts_with(&request), "{sent}");
        let upgrade = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        assert_eq!(sent.contains(upgrade), asked.kind == Kind::Websocket, "{sent}");
        assert!(!sent.to_lowercase().contains("authorization"), "{sent}");
        assert!(told.try_recv().is_err(), "one request, once");
    }
}

#[tokio::test]
async fn nothing_is_sent_to_whom_nobody_trusts() {
    let answer = Manner::Answers(reply("200 OK", &[], ""));
    let (address, mut told) = listen(Authority::new("Unknown").issue(&server()), answer).await;
    let live = live(client(&[]), PLENTY);
    for asked in [HTTPS, WEBSOCKET] {
        let (seen, verdict) = asked.of(&live, address).await;
        assert_eq!(outcome(&seen), None);
        assert_eq!(verdict.cause, Some(Cause::TlsUntrustedIssuer), "{}", verdict.summary);
        // The connection ended without a word.
        assert_eq!(told.recv().await.unwrap(), "");
    }
}

#[tokio::test]
async fn silence_and_a_cut_after_the_handshake() {
    let authority = Authority::new("Quiet");
    for (manner, limit, cause) in [
        (Manner::Closes, PLENTY, Cause::HttpClosed),
        (Manner::Mute, BRIEF, Cause::HttpTimeout),
        (Manner::Answers("HTTP/1.1 200 OK\r\nServer: half".to_owned()), PLENTY, Cause::HttpClosed),
        (Manner::Answers("SSH-2.0-OpenSSH_9.2".to_owned()), PLENTY, Cause::HttpUnexpectedStatus),
    ] {
        let (address, _told) = listen(authority.issue(&server()), manner).await;
        let live = live(client(&[authority.pem()]), limit);
        for asked in [HTTPS, WEBSOCKET, VAULT] {
            let (_, verdict) = asked.of(&live, address).await;
            assert_eq!(verdict.cause, Some(cause), "{}", verdict.summary);
        }
    }
}

#[tokio::test]
async fn endless_answers_end() {
    let authority = Authority::new("Endless");
    let live = live(client(&[authority.pem()]), PLENTY);
    let ok = "HTTP/1.1 200 OK\r\n";
    for (first, again) in [
        (format!("{ok}x-ms-request-id: 7\r\n\r\n"), "x".repeat(8192)),
        (format!("{ok}x-ms-request-id: 7\r\n"), "Cookie: a\r\n".repeat(400)),
        (format!("{ok}x-ms-request-id: 7\r\nCookie: "), "a".repeat(8192)),
    ] {
        let manner = Manner::Repeats(first, again);
        let (address, _told) = listen(authority.issue(&server()), manner).await;
        let (seen, verdict) = STORAGE.of(&live, address).await;
        assert_eq!(verdict.status, Status::Pass, "{}", verdict.summary);
        assert!(matches!(outcome(&seen), Some(HttpOutcome::Answer { status: 200, .. })));
    }
}
