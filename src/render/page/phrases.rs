//! Outcomes of every layer as short phrases.

use crate::model::printable;
use crate::observation::{
    ConnectFailure, DnsFailure, HttpOutcome, LocalTrouble, NetworkError, ProxyObservation,
    ProxyOutcome, Rcode, ServerRole, SmbOutcome, TlsFailure, TrustResult, UdpOutcome,
};

pub(super) const fn role(role: ServerRole) -> &'static str {
    match role {
        ServerRole::Configured => "configured",
        ServerRole::Upstream => "upstream of the local stub",
        ServerRole::Reference => "reference, asked for comparison",
    }
}

pub(in crate::render) fn rcode(rcode: Rcode) -> String {
    match rcode {
        Rcode::NoError => "NOERROR".to_owned(),
        Rcode::NxDomain => "NXDOMAIN".to_owned(),
        Rcode::ServFail => "SERVFAIL".to_owned(),
        Rcode::Refused => "REFUSED".to_owned(),
        Rcode::Other(number) => format!("RCODE {number}"),
    }
}

pub(super) fn network(error: NetworkError) -> String {
    match error {
        NetworkError::Refused => "refused".to_owned(),
        NetworkError::Reset => "reset".to_owned(),
        NetworkError::HostUnreachable => "host unreachable (ICMP)".to_owned(),
        NetworkError::Prohibited => "forbidden by a rule".to_owned(),
        NetworkError::NetworkUnreachable => "no route".to_owned(),
        NetworkError::Other(number) => format!("operating system error {number}"),
    }
}

pub(super) const fn local(trouble: LocalTrouble) -> &'static str {
    match trouble {
        LocalTrouble::NoNetwork => "this machine has no network of that family",
        LocalTrouble::NoResolver => "this machine has no DNS server",
        LocalTrouble::Exhausted => "this machine ran out of sockets, ports or memory",
    }
}

pub(in crate::render) fn dns_failure(failure: &DnsFailure) -> String {
    match failure {
        DnsFailure::Timeout => "no answer".to_owned(),
        DnsFailure::Unreachable(error) => format!("unreachable: {}", network(*error)),
        DnsFailure::TcpFailed(failure) => {
            format!("truncated over UDP, then TCP failed: {}", connect(failure))
        }
        DnsFailure::Malformed(text) => format!("not an answer: {}", printable(text)),
        DnsFailure::Local(trouble) => local(*trouble).to_owned(),
    }
}

pub(in crate::render) fn connect(failure: &ConnectFailure) -> String {
    match failure {
        ConnectFailure::Timeout => "no answer".to_owned(),
        ConnectFailure::Network(error) => network(*error),
        ConnectFailure::Local(trouble) => local(*trouble).to_owned(),
    }
}

pub(in crate::render) fn tls_failure(failure: &TlsFailure) -> String {
    let silent = |heard: bool| if heard { "" } else { " without having sent a byte" };
    match failure {
        TlsFailure::Timeout => "no complete handshake in time".to_owned(),
        TlsFailure::Closed { heard } => format!("the other side closed{}", silent(*heard)),
        TlsFailure::Reset { heard } => format!("the other side reset{}", silent(*heard)),
        TlsFailure::Alert { code, name } => format!("alert {code} ({})", printable(name)),
        TlsFailure::NotTls(text) => format!("not TLS; it began “{}”", printable(text)),
        TlsFailure::NothingInCommon(text) => {
            format!("no version or cipher in common: {}", printable(text))
        }
        TlsFailure::Protocol(text) => format!("broke the protocol: {}", printable(text)),
    }
}

pub(super) fn trust(result: &TrustResult) -> String {
    match result {
        TrustResult::Trusted => "trusted".to_owned(),
        TrustResult::EmptyStore => "the store is empty".to_owned(),
        TrustResult::UnknownIssuer => "unknown issuer".to_owned(),
        TrustResult::Expired => "expired".to_owned(),
        TrustResult::NotYetValid => "not valid yet".to_owned(),
        TrustResult::WrongName => "made for another name".to_owned(),
        TrustResult::Other(text) => printable(text),
    }
}

pub(in crate::render) fn http(outcome: &HttpOutcome) -> String {
    match outcome {
        HttpOutcome::Answer { status, .. } => format!("status {status}"),
        HttpOutcome::Timeout => "no complete answer in time".to_owned(),
        HttpOutcome::Closed => "closed before an answer".to_owned(),
        HttpOutcome::NotHttp(text) => format!("not HTTP; it began “{}”", printable(text)),
    }
}

pub(super) fn smb(outcome: &SmbOutcome) -> String {
    match outcome {
        SmbOutcome::Negotiated { dialect } => format!("dialect {}", printable(dialect)),
        SmbOutcome::Timeout => "no answer in time".to_owned(),
        SmbOutcome::Closed => "closed before an answer".to_owned(),
        SmbOutcome::Refused { status } => format!("refused with status 0x{status:08x}"),
        SmbOutcome::NotSmb(text) => format!("not SMB; it began “{}”", printable(text)),
    }
}

pub(super) fn udp(outcome: &UdpOutcome) -> String {
    match outcome {
        UdpOutcome::Answer { bytes } => format!("{bytes} bytes came back"),
        UdpOutcome::Silence => "nothing came back, which proves nothing".to_owned(),
        UdpOutcome::Network(error) => network(*error),
        UdpOutcome::Local(trouble) => local(*trouble).to_owned(),
    }
}

pub(super) fn proxy(seen: &ProxyObservation) -> String {
    let at = seen.address.map(|address| format!(" at {address}")).unwrap_or_default();
    match &seen.outcome {
        ProxyOutcome::Bypassed => "not asked".to_owned(),
        ProxyOutcome::Open => format!("went on{at}"),
        ProxyOutcome::Unresolved => "its name does not resolve".to_owned(),
        ProxyOutcome::NotConnected(failure) => format!("no connection{at}: {}", connect(failure)),
        ProxyOutcome::Answered { status, .. } => format!("answered {status}{at}"),
        ProxyOutcome::Closed => format!("closed the connection{at}"),
        ProxyOutcome::Timeout => format!("no answer{at}"),
        ProxyOutcome::NotHttp(text) => format!("not HTTP{at}; it began “{}”", printable(text)),
        ProxyOutcome::Network(error) => format!("the connection broke{at}: {}", network(*error)),
    }
}

pub(super) const fn lives(lives: bool) -> &'static str {
    if lives {
        "it answers a request that needs nobody behind it"
    } else {
        "it does not answer a request that needs nobody behind it either"
    }
}
