//! The closed list of causes: stable codes, blame, and what to say about each.

use crate::model::{Blame, Layer, Status};

/// What is known of a cause once and for all.
#[derive(Debug, Clone, Copy)]
pub struct CauseInfo {
    /// Where it shows.
    pub layer: Layer,
    /// Whose fault it is.
    pub blame: Blame,
    /// The status it leads to.
    pub status: Status,
    /// One line.
    pub title: &'static str,
    /// What was seen and what it means, in plain words.
    pub meaning: &'static str,
    /// How to fix it and whom to ask.
    pub fix: &'static str,
    /// The command that shows it without vnetprobe; `{host}`, `{port}`, `{address}` and `{server}` are filled in.
    pub prove: &'static str,
}

macro_rules! causes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $layer:ident, $blame:ident, $status:ident,
       $title:literal, $meaning:literal, $fix:literal, $prove:literal;)+) => {
        crate::model::words! {
            /// Why a check does not plainly pass. The code is the same in JSON, metrics, page and documents.
            Cause { $($(#[$doc])* #[doc = $title] $variant = $code),+ }
        }

        impl Cause {
            /// Everything said about it.
            pub const fn info(self) -> &'static CauseInfo {
                match self {
                    $(Self::$variant => &CauseInfo {
                        layer: Layer::$layer, blame: Blame::$blame, status: Status::$status,
                        title: $title, meaning: $meaning, fix: $fix, prove: $prove,
                    }),+
                }
            }
        }
    };
}

causes! {
    DnsNxdomain = "dns_nxdomain", Dns, Dns, Fail,
        "dns_nxdomain",
        "meaning",
        "fix",
        "prove";
    DnsNodata = "dns_nodata", Dns, Dns, Fail,
        "dns_nodata",
        "meaning",
        "fix",
        "prove";
    DnsServfail = "dns_servfail", Dns, Dns, Fail,
        "dns_servfail",
        "meaning",
        "fix",
        "prove";
    DnsRefused = "dns_refused", Dns, Dns, Fail,
        "dns_refused",
        "meaning",
        "fix",
        "prove";
    DnsTimeout = "dns_timeout", Dns, Dns, Fail,
        "dns_timeout",
        "meaning",
        "fix",
        "prove";
    DnsUnreachable = "dns_unreachable", Dns, Dns, Fail,
        "dns_unreachable",
        "meaning",
        "fix",
        "prove";
    DnsTcpBlocked = "dns_tcp_blocked", Dns, Path, Fail,
        "dns_tcp_blocked",
        "meaning",
        "fix",
        "prove";
    DnsCnameLoop = "dns_cname_loop", Dns, Dns, Fail,
        "dns_cname_loop",
        "meaning",
        "fix",
        "prove";
    DnsCnameDangling = "dns_cname_dangling", Dns, Dns, Fail,
        "dns_cname_dangling",
        "meaning",
        "fix",
        "prove";
    DnsServersDisagree = "dns_servers_disagree", Dns, Dns, Warn,
        "dns_servers_disagree",
        "meaning",
        "fix",
        "prove";
    DnsServerDown = "dns_server_down", Dns, Dns, Warn,
        "dns_server_down",
        "meaning",
        "fix",
        "prove";
    DnsSinkhole = "dns_sinkhole", Dns, Dns, Fail,
        "dns_sinkhole",
        "meaning",
        "fix",
        "prove";
    HostsFileOverride = "hosts_file_override", Dns, Us, Warn,
        "hosts_file_override",
        "meaning",
        "fix",
        "prove";
    PrivateZoneNotLinked = "private_zone_not_linked", Dns, Dns, Fail,
        "private_zone_not_linked",
        "meaning",
        "fix",
        "prove";
    PrivateForwarderMissing = "private_forwarder_missing", Dns, Dns, Fail,
        "private_forwarder_missing",
        "meaning",
        "fix",
        "prove";
    PrivateEndpointMissing = "private_endpoint_missing", Dns, Dns, Fail,
        "private_endpoint_missing",
        "meaning",
        "fix",
        "prove";
    PrivateRecordMissing = "private_record_missing", Dns, Dns, Fail,
        "private_record_missing",
        "meaning",
        "fix",
        "prove";
    PrivateMixed = "private_mixed", Dns, Dns, Fail,
        "private_mixed",
        "meaning",
        "fix",
        "prove";
    PrivateOutsideSubnet = "private_outside_subnet", Dns, Dns, Fail,
        "private_outside_subnet",
        "meaning",
        "fix",
        "prove";
    PrivateAddressMismatch = "private_address_mismatch", Dns, Dns, Fail,
        "private_address_mismatch",
        "meaning",
        "fix",
        "prove";
    PublicExpectedButPrivate = "public_expected_but_private", Dns, Dns, Fail,
        "public_expected_but_private",
        "meaning",
        "fix",
        "prove";
    DockerBridgeOverlap = "docker_bridge_overlap", Tcp, Us, Fail,
        "docker_bridge_overlap",
        "meaning",
        "fix",
        "prove";
    TcpTimeout = "tcp_timeout", Tcp, Path, Fail,
        "tcp_timeout",
        "meaning",
        "fix",
        "prove";
    TcpRefused = "tcp_refused", Tcp, Path, Fail,
        "tcp_refused",
        "meaning",
        "fix",
        "prove";
    TcpProhibited = "tcp_prohibited", Tcp, Path, Fail,
        "tcp_prohibited",
        "meaning",
        "fix",
        "prove";
    TcpUnreachable = "tcp_unreachable", Tcp, Path, Fail,
        "tcp_unreachable",
        "meaning",
        "fix",
        "prove";
    TcpClosedOnAccept = "tcp_closed_on_accept", Tcp, Path, Fail,
        "tcp_closed_on_accept",
        "meaning",
        "fix",
        "prove";
    TcpSynLoss = "tcp_syn_loss", Tcp, Path, Warn,
        "tcp_syn_loss",
        "meaning",
        "fix",
        "prove";
    AddressPartial = "address_partial", Tcp, Path, Warn,
        "address_partial",
        "meaning",
        "fix",
        "prove";
    Ipv6Broken = "ipv6_broken", Tcp, Path, Warn,
        "ipv6_broken",
        "meaning",
        "fix",
        "prove";
    TlsSniBlocked = "tls_sni_blocked", Tls, Path, Fail,
        "tls_sni_blocked",
        "meaning",
        "fix",
        "prove";
    TlsClosed = "tls_closed", Tls, Path, Fail,
        "tls_closed",
        "meaning",
        "fix",
        "prove";
    TlsTimeout = "tls_timeout", Tls, Path, Fail,
        "tls_timeout",
        "meaning",
        "fix",
        "prove";
    TlsMtuBlackhole = "tls_mtu_blackhole", Tls, Path, Fail,
        "tls_mtu_blackhole",
        "meaning",
        "fix",
        "prove";
    TlsIntercepted = "tls_intercepted", Tls, Path, Fail,
        "tls_intercepted",
        "meaning",
        "fix",
        "prove";
    TlsUntrustedIssuer = "tls_untrusted_issuer", Tls, Target, Fail,
        "tls_untrusted_issuer",
        "meaning",
        "fix",
        "prove";
    TlsSelfSigned = "tls_self_signed", Tls, Target, Fail,
        "tls_self_signed",
        "meaning",
        "fix",
        "prove";
    TlsMissingIntermediate = "tls_missing_intermediate", Tls, Target, Fail,
        "tls_missing_intermediate",
        "meaning",
        "fix",
        "prove";
    TlsExpired = "tls_expired", Tls, Target, Fail,
        "tls_expired",
        "meaning",
        "fix",
        "prove";
    TlsNotYetValid = "tls_not_yet_valid", Tls, Target, Fail,
        "tls_not_yet_valid",
        "meaning",
        "fix",
        "prove";
    TlsNameMismatch = "tls_name_mismatch", Tls, Target, Fail,
        "tls_name_mismatch",
        "meaning",
        "fix",
        "prove";
    TlsVersionUnsupported = "tls_version_unsupported", Tls, Target, Fail,
        "tls_version_unsupported",
        "meaning",
        "fix",
        "prove";
    TlsUnrecognizedName = "tls_unrecognized_name", Tls, Target, Fail,
        "tls_unrecognized_name",
        "meaning",
        "fix",
        "prove";
    TlsClientCertificateRequired = "tls_client_certificate_required", Tls, Target, Fail,
        "tls_client_certificate_required",
        "meaning",
        "fix",
        "prove";
    TlsAlert = "tls_alert", Tls, Target, Fail,
        "tls_alert",
        "meaning",
        "fix",
        "prove";
    NotTls = "not_tls", Tls, Path, Fail,
        "not_tls",
        "meaning",
        "fix",
        "prove";
    TlsSlow = "tls_slow", Tls, Path, Warn,
        "tls_slow",
        "meaning",
        "fix",
        "prove";
    TlsCertificateExpiring = "tls_certificate_expiring", Tls, Target, Warn,
        "tls_certificate_expiring",
        "meaning",
        "fix",
        "prove";
    HttpFirewallDeny = "http_firewall_deny", Application, Path, Fail,
        "http_firewall_deny",
        "meaning",
        "fix",
        "prove";
    HttpResourceFirewallDeny = "http_resource_firewall_deny", Application, Target, Fail,
        "http_resource_firewall_deny",
        "meaning",
        "fix",
        "prove";
    HttpServerError = "http_server_error", Application, Target, Fail,
        "http_server_error",
        "meaning",
        "fix",
        "prove";
    HttpUnexpectedStatus = "http_unexpected_status", Application, Target, Fail,
        "http_unexpected_status",
        "meaning",
        "fix",
        "prove";
    HttpTimeout = "http_timeout", Application, Path, Fail,
        "http_timeout",
        "meaning",
        "fix",
        "prove";
    HttpClosed = "http_closed", Application, Path, Fail,
        "http_closed",
        "meaning",
        "fix",
        "prove";
    WebsocketBlocked = "websocket_blocked", Application, Path, Fail,
        "websocket_blocked",
        "meaning",
        "fix",
        "prove";
    NotSmb = "not_smb", Application, Path, Fail,
        "not_smb",
        "meaning",
        "fix",
        "prove";
    ProxyUnreachable = "proxy_unreachable", Proxy, Path, Fail,
        "proxy_unreachable",
        "meaning",
        "fix",
        "prove";
    ProxyDenied = "proxy_denied", Proxy, Path, Fail,
        "proxy_denied",
        "meaning",
        "fix",
        "prove";
    ProxyAuthRequired = "proxy_auth_required", Proxy, Path, Fail,
        "proxy_auth_required",
        "meaning",
        "fix",
        "prove";
    ProxyBackendUnreachable = "proxy_backend_unreachable", Proxy, Path, Fail,
        "proxy_backend_unreachable",
        "meaning",
        "fix",
        "prove";
    LocalNoNetwork = "local_no_network", Local, Us, Unknown,
        "local_no_network",
        "meaning",
        "fix",
        "prove";
    LocalNoResolver = "local_no_resolver", Local, Us, Unknown,
        "local_no_resolver",
        "meaning",
        "fix",
        "prove";
    LocalExhausted = "local_exhausted", Local, Us, Unknown,
        "local_exhausted",
        "meaning",
        "fix",
        "prove";
    Overdue = "overdue", Local, Us, Unknown,
        "overdue",
        "meaning",
        "fix",
        "prove";
    UdpNoEvidence = "udp_no_evidence", Application, Path, Unknown,
        "udp_no_evidence",
        "meaning",
        "fix",
        "prove";
}
