//! Handshakes with real TLS servers: what the stores say of good and bad certificates.

use rcgen::{IsCa, KeyPair, date_time_ymd};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use vnetprobe::model::Host;
use vnetprobe::observation::{
    HttpOutcome, TlsFailure, TlsObservation, TlsOutcome, Trust, TrustResult,
};
use vnetprobe::probe::http::{self, Request};
use vnetprobe::probe::tls::Alpn;

use crate::pki::{
    Authority, Clients, HOST, RSA_KEY, ca, client, issuer_at, listen, listen_12, listen_13, params,
    self_signed, server, shake,
};
use crate::world::{PLENTY, connect};

/// What the configured store says; neither this machine nor Mozilla may know the authority.
fn configured(observation: &TlsObservation) -> TrustResult {
    let Trust { host, configured, mozilla } = observation.trust.clone().unwrap();
    assert!(matches!(host, TrustResult::UnknownIssuer | TrustResult::EmptyStore), "{host:?}");
    assert_eq!(mozilla, TrustResult::UnknownIssuer);
    configured.unwrap()
}

fn version_and_cipher(observation: &TlsObservation) -> (&str, &str) {
    match &observation.outcome {
        TlsOutcome::Established { version, cipher, then: None } => (version, cipher),
        other => panic!("{other:?}"),
    }
}

fn failure(observation: &TlsObservation) -> &TlsFailure {
    match &observation.outcome {
        TlsOutcome::Failed(failure) => failure,
        established @ TlsOutcome::Established { .. } => panic!("{established:?}"),
    }
}

#[tokio::test]
async fn a_good_chain_over_both_versions() {
    let authority = Authority::new("Good");
    let client = client(&[authority.pem()]);
    for (address, expected) in [
        (listen_13(authority.issue(&server())).await, ("TLSv1.3", "TLS_AES_")),
        (listen_12(authority.issue(&server())).await, ("TLSv1.2", "TLS_ECDHE_ECDSA_WITH_")),
    ] {
        let (observation, session) = shake(&client, address, HOST).await;
        let (version, cipher) = version_and_cipher(&observation);
        assert_eq!(version, expected.0);
        assert!(cipher.starts_with(expected.1), "{cipher}");
        assert_eq!(configured(&observation), TrustResult::Trusted);
        assert!(session.is_some());
        assert!(!observation.client_certificate_asked);

        let [leaf, issuing] = &observation.chain[..] else { panic!("{:?}", observation.chain) };
        assert_eq!(leaf.subject, "CN=Contoso Files");
        assert_eq!(leaf.issuer, "CN=Good Issuing");
        assert_eq!(leaf.names, [HOST, "*.contoso.test", "127.0.0.1"]);
        assert_eq!(leaf.more_names, 0);
        assert_eq!(leaf.not_before.to_string(), "2020-01-01T00:00:00Z");
        assert_eq!(leaf.not_after.to_string(), "2120-01-01T00:00:00Z");
        assert!(!leaf.self_signed && !issuing.self_signed);
        assert_eq!((&*issuing.subject, &*issuing.issuer), ("CN=Good Issuing", "CN=Good Root"));
    }
}

#[tokio::test]
async fn an_rsa_certificate() {
    let authority = Authority::new("Rsa");
    let client = client(&[authority.pem()]);
    let key = || KeyPair::from_pem(RSA_KEY).unwrap();
    for address in [
        listen_13(authority.issue_for(&server(), key())).await,
        listen_12(authority.issue_for(&server(), key())).await,
    ] {
        let (observation, _) = shake(&client, address, HOST).await;
        version_and_cipher(&observation);
        assert_eq!(configured(&observation), TrustResult::Trusted);
    }
}

#[tokio::test]
async fn an_address_and_a_wildcard_are_names_too() {
    let authority = Authority::new("Names");
    let client = client(&[authority.pem()]);
    let address = listen_13(authority.issue(&server())).await;
    for (host, expected) in [
        ("127.0.0.1", TrustResult::Trusted),
        ("127.0.0.2", TrustResult::WrongName),
        ("mirror.contoso.test", TrustResult::Trusted),
        ("deep.mirror.contoso.test", TrustResult::WrongName),
        ("login.microsoftonline.us", TrustResult::WrongName),
    ] {
        let (observation, session) = shake(&client, address, host).await;
        version_and_cipher(&observation);
        assert_eq!(session.is_some(), expected == TrustResult::Trusted, "{host}");
        assert_eq!(configured(&observation), expected, "{host}");
    }
}

#[tokio::test]
async fn certificates_out_of_their_time() {
    let authority = Authority::new("Time");
    let client = client(&[authority.pem()]);
    let mut expired = server();
    expired.not_after = date_time_ymd(2021, 1, 1);
    let mut early = server();
    early.not_before = date_time_ymd(2119, 1, 1);
    for (params, expected) in [(expired, TrustResult::Expired), (early, TrustResult::NotYetValid)] {
        let address = listen_13(authority.issue(&params)).await;
        let (observation, session) = shake(&client, address, HOST).await;
        version_and_cipher(&observation);
        assert_eq!(configured(&observation), expected);
        assert!(session.is_none());
    }
}

#[tokio::test]
async fn an_unknown_authority() {
    let client = client(&[Authority::new("Known").pem()]);
    let address = listen_12(Authority::new("Unknown").issue(&server())).await;
    let (observation, session) = shake(&client, address, HOST).await;
    assert_eq!(version_and_cipher(&observation).0, "TLSv1.2");
    assert_eq!(configured(&observation), TrustResult::UnknownIssuer);
    assert!(session.is_none());
}

#[tokio::test]
async fn another_authority_of_the_same_name_is_unknown() {
    let client = client(&[Authority::new("Twin").pem()]);
    let address = listen_13(Authority::new("Twin").issue(&server())).await;
    let (observation, _) = shake(&client, address, HOST).await;
    assert_eq!(configured(&observation), TrustResult::UnknownIssuer);
}

#[tokio::test]
async fn an_expired_extra_certificate_does_not_hide_that_the_authority_is_unknown() {
    let client = client(&[Authority::new("Elsewhere").pem()]);
    let mut old = ca("Extra Root");
    old.not_after = date_time_ymd(2021, 1, 1);
    let mut identity = Authority::new("Extra").issue(&server());
    identity.chain.extend(self_signed(&old).chain);
    let (observation, _) = shake(&client, listen_13(identity).await, HOST).await;
    assert_eq!(configured(&observation), TrustResult::UnknownIssuer);
    assert_eq!(observation.chain.len(), 3);
}

#[tokio::test]
async fn a_missing_intermediate() {
    let authority = Authority::new("Gap");
    let client = client(&[authority.pem()]);
    let mut params = server();
    params.custom_extensions.push(issuer_at("http://pki.contoso.test/issuing.crt"));
    let mut identity = authority.issue(&params);
    identity.chain.truncate(1);
    let (observation, _) = shake(&client, listen_13(identity).await, HOST).await;
    assert_eq!(configured(&observation), TrustResult::UnknownIssuer);
    let [leaf] = &observation.chain[..] else { panic!("{:?}", observation.chain) };
    assert_eq!(leaf.issuer_url.as_deref(), Some("http://pki.contoso.test/issuing.crt"));
    assert!(!leaf.self_signed);
}

#[tokio::test]
async fn self_signed_certificates_and_the_same_declared_as_trusted() {
    let mut as_ca = server();
    as_ca.is_ca = ca("").is_ca;
    let mut plain = server();
    plain.is_ca = IsCa::NoCa;
    let mut old = as_ca.clone();
    old.not_after = date_time_ymd(2021, 1, 1);
    for (params, declared) in
        [(as_ca, TrustResult::Trusted), (plain, TrustResult::Trusted), (old, TrustResult::Expired)]
    {
        let identity = self_signed(&params);
        let pem = identity.pem.clone();
        let address = listen_13(identity).await;

        let stranger = client(&[Authority::new("Other").pem()]);
        let (observation, session) = shake(&stranger, address, HOST).await;
        assert_eq!(configured(&observation), TrustResult::UnknownIssuer);
        assert!(observation.chain[0].self_signed && session.is_none());

        let namesake = client(&[self_signed(&params).pem]);
        let (observation, session) = shake(&namesake, address, HOST).await;
        assert!(session.is_none());
        assert_ne!(configured(&observation), TrustResult::Trusted);

        let friend = client(&[pem]);
        let (observation, session) = shake(&friend, address, HOST).await;
        assert_eq!(session.is_some(), declared == TrustResult::Trusted);
        assert_eq!(configured(&observation), declared);
        let (observation, _) = shake(&friend, address, "elsewhere.test").await;
        assert_ne!(configured(&observation), TrustResult::Trusted);
    }
}

#[tokio::test]
async fn long_chains_are_verified_whole_and_kept_in_part() {
    let authority = Authority::new("Long");
    let mut identity = authority.issue(&server());
    let issuing = identity.chain.pop().unwrap();
    for n in 0..20 {
        identity.chain.extend(self_signed(&ca(&format!("Ballast {n}"))).chain);
    }
    identity.chain.push(issuing);
    let (observation, _) =
        shake(&client(&[authority.pem()]), listen_13(identity).await, HOST).await;
    assert_eq!(observation.chain.len(), vnetprobe::limits::CHAIN_CERTIFICATES);
    assert_eq!(configured(&observation), TrustResult::Trusted);
}

#[tokio::test]
async fn a_client_certificate_is_required() {
    let authority = Authority::new("Choosy");
    let client = client(&[authority.pem()]);
    for version in [&TLS12, &TLS13] {
        let address = listen(authority.issue(&server()), version, Clients::Known).await;
        let (observation, session) = shake(&client, address, HOST).await;
        let name = "certificate_required".to_owned();
        assert_eq!(failure(&observation), &TlsFailure::Alert { code: 116, name });
        assert!(observation.client_certificate_asked && session.is_none());
        assert_eq!(configured(&observation), TrustResult::Trusted);
    }
}

#[tokio::test]
async fn a_client_certificate_is_welcome() {
    let authority = Authority::new("Curious");
    let client = client(&[authority.pem()]);
    for version in [&TLS12, &TLS13] {
        let address = listen(authority.issue(&server()), version, Clients::Asked).await;
        let (observation, session) = shake(&client, address, HOST).await;
        version_and_cipher(&observation);
        assert!(observation.client_certificate_asked);
        let mut session = session.unwrap();
        let then = http::exchange(&mut session, HOST, "/", PLENTY, Request::Get).await;
        assert!(matches!(then.outcome, HttpOutcome::Answer { status: 200, .. }), "{then:?}");
    }
}

#[tokio::test]
async fn a_request_over_a_trusted_session() {
    let authority = Authority::new("Request");
    let client = client(&[authority.pem()]);
    let host = Host::parse(HOST).unwrap();
    for address in
        [listen_13(authority.issue(&server())).await, listen_12(authority.issue(&server())).await]
    {
        let (_, session) =
            client.handshake(connect(address).await, &host, Alpn::Http1, PLENTY).await;
        let mut session = session.unwrap();
        assert_eq!(session.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        let then = http::exchange(&mut session, HOST, "/", PLENTY, Request::Get).await;
        let HttpOutcome::Answer { status: 200, body, .. } = then.outcome else {
            panic!("{then:?}")
        };
        assert_eq!(body, "hello");
    }
    let address = listen_13(authority.issue(&server())).await;
    let (_, session) = client.handshake(connect(address).await, &host, Alpn::None, PLENTY).await;
    assert_eq!(session.unwrap().get_ref().1.alpn_protocol(), None);
}

#[tokio::test]
async fn a_hostile_certificate() {
    let authority = Authority::new("Hostile");
    let subject = "<script>alert(1)</script>\u{1b}[31m\r\nx\u{202e}";
    let mut hostile = params(subject, &[HOST]);
    hostile.distinguished_name.push(rcgen::DnType::OrganizationName, "x".repeat(2000));
    let (observation, _) =
        shake(&client(&[authority.pem()]), listen_13(authority.issue(&hostile)).await, HOST).await;
    assert_eq!(configured(&observation), TrustResult::Trusted);
    let shown = &observation.chain[0].subject;
    assert!(shown.starts_with("CN=<script>alert(1)</script>\u{fffd}[31m\u{fffd}\u{fffd}x\u{fffd}"));
    assert!(shown.chars().count() <= vnetprobe::limits::TEXT_CHARS + 1);
}
