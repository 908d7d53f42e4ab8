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
        "DNS says the name does not exist",
        "The DNS server answered NXDOMAIN, and no alias came before it. The name is misspelled, \
         not created yet, or missing from an internal copy of its parent zone that hides the \
         public one. It is easily taken for a private zone without the record, but there an alias \
         to a privatelink name comes first and the cause is private_record_missing. The negative \
         answer is cached, so a repaired name stays missing until it expires.",
        "Check the spelling, and the parameters in probes.toml that the name is built from. If \
         they are right, ask the DNS team which zone answered (the SOA record in the reply names \
         it) and to add the record there, or to forward the public parent zone to Azure DNS at \
         168.63.129.16. A DNS server without wildcard support needs each compute instance and \
         inference endpoint name entered by hand.",
        "dig @{server} {host} A";
    DnsNodata = "dns_nodata", Dns, Dns, Fail,
        "DNS knows the name but has no address for it",
        "The server answered NOERROR with neither an A nor an AAAA record, and no alias. The name \
         exists, perhaps only because it has records of other types or names below it, but there \
         is nothing to connect to. It is easily read as working DNS because no error is shown. \
         Some DNS filters answer like this to block a name, and the reply alone does not tell.",
        "Ask the DNS team to add an A record for the name in the zone that answered, or to stop \
         serving that zone internally so that the name is resolved by forwarding. If a DNS filter \
         is in use, ask its owner whether the name is blocked.",
        "dig @{server} {host} A\n\
         dig @{server} {host} AAAA";
    DnsServfail = "dns_servfail", Dns, Dns, Fail,
        "DNS server could not obtain an answer",
        "The server was reached and answered SERVFAIL: it tried to resolve the name and failed. \
         Usually the server it forwards to is silent, or DNSSEC validation failed. A typical case \
         is an on-premises server that forwards to 168.63.129.16, an address that answers only \
         inside Azure. The fault lies behind the server, not between this machine and the server.",
        "Ask the DNS team to test, on the DNS server itself, the forwarder responsible for this \
         name. An on-premises server must forward to a resolver inside the VNet (an Azure DNS \
         Private Resolver inbound endpoint, a forwarder machine or the Azure Firewall DNS proxy), \
         never straight to 168.63.129.16. If the name resolves with `dig +cdflag`, DNSSEC \
         validation is what fails.",
        "dig @{server} {host} A\n\
         dig @{server} +cdflag {host} A";
    DnsRefused = "dns_refused", Dns, Dns, Fail,
        "DNS server refuses to answer this machine",
        "The server answered REFUSED: it is up and reachable but not willing. Either its access \
         list does not include this machine's address, or it answers only for its own zones and \
         does not resolve other names. It is easily mistaken for a firewall problem, but the \
         packets arrive.",
        "Ask the DNS team to allow queries and recursion from this machine's subnet. If the server \
         was never meant to resolve other names, correct the DNS servers of the VNet or of this \
         machine instead.",
        "dig @{server} {host} A";
    DnsTimeout = "dns_timeout", Dns, Dns, Fail,
        "DNS server does not answer",
        "The question was sent over UDP more than once and nothing came back, not even an ICMP \
         error. The server may be down, a firewall or network security group may drop UDP 53, or \
         the server may itself be waiting for a forwarder that is silent. In the last case it \
         still answers other names quickly, which is the way to tell.",
        "Ask the DNS team whether the server is up and whether its forwarder for this name \
         answers. If no name at all is answered, ask the firewall team to allow UDP and TCP 53 \
         from this machine's subnet to the server.",
        "dig @{server} +tries=1 +time=3 {host} A\n\
         dig @{server} +tries=1 +time=3 . NS";
    DnsUnreachable = "dns_unreachable", Dns, Dns, Fail,
        "DNS server is unreachable or nothing listens there",
        "An error came back instead of an answer: an ICMP message such as port unreachable, or \
         this machine's own routing table had no way to the server. The address is wrong, the DNS \
         service is stopped, or something on the way rejects port 53. A dropped packet would be \
         silent, so this is not a rule that drops without a word.",
        "Ask the DNS team whether the service runs at that address and listens on port 53. If the \
         address is wrong, correct the DNS servers of the VNet or in this machine's configuration.",
        "dig @{server} +tries=1 +time=3 {host} A\n\
         ip route get {server}";
    DnsTcpBlocked = "dns_tcp_blocked", Dns, Path, Fail,
        "DNS over TCP is blocked and the answer needs it",
        "The answer over UDP came back truncated, so it has to be fetched over TCP, and the \
         connection to port 53 of the same server failed. Short answers still work, which makes \
         this look like a fault of single names. Names with long alias chains or many addresses \
         are hit first.",
        "Ask the firewall team to allow TCP 53, besides UDP 53, from this machine's subnet to the \
         DNS server. If the path is open, ask the DNS team to have the server listen on TCP.",
        "dig @{server} +ignore +bufsize=1232 {host} A\n\
         dig @{server} +tcp {host} A";
    DnsCnameLoop = "dns_cname_loop", Dns, Dns, Fail,
        "DNS aliases lead in a circle",
        "The chain of CNAME records comes back to a name it has already passed, or is longer than \
         any sensible chain, so no address is ever reached. Some servers report this as a plain \
         NOERROR without addresses and others as SERVFAIL. A hand-made alias from a privatelink \
         name back to its public name is one way into this.",
        "Ask the DNS team to remove the alias that closes the circle; the answer section shows \
         every step. A privatelink name must end in an A record with the endpoint's address, never \
         in an alias to the public name.",
        "dig @{server} +noall +answer +comments {host} A";
    DnsCnameDangling = "dns_cname_dangling", Dns, Dns, Fail,
        "DNS alias points to a name that has no address",
        "The name is an alias, and the name it points to does not exist or has no address; no \
         privatelink name is involved. As a rule the service behind it was deleted or moved and \
         the alias stayed, or this DNS server cannot see the zone that holds the target. It is \
         easily mistaken for a missing name, although the name itself is there.",
        "Ask the owner of the service whether it still exists under that name. If it does, ask the \
         DNS team why the alias target does not resolve on this server, and to forward its zone or \
         correct the alias.",
        "dig @{server} +noall +answer +comments {host} A";
    DnsServersDisagree = "dns_servers_disagree", Dns, Dns, Warn,
        "DNS servers give different answers for this name",
        "The configured DNS servers were each asked, and their answers differ in a way that \
         matters: an address from one and none from another, or a private one and a public one. \
         Programs use whichever server replies, so the same name works at one moment and fails at \
         the next. It is easily mistaken for an unstable service. Public services that rotate \
         addresses are harmless; what counts is the kind of answer.",
        "Ask the DNS team to give all servers the same conditional forwarders and zone links; the \
         server with the odd answer is in the evidence. Until then, the server with the right \
         answer can be made the only one.",
        "for s in $(sed -n 's/^nameserver[[:space:]]*//p' /etc/resolv.conf); do echo \"$s:\"; dig \
         @\"$s\" +tries=1 +time=3 +short {host}; done";
    DnsServerDown = "dns_server_down", Dns, Dns, Warn,
        "One of several DNS servers does not answer",
        "One configured DNS server was silent or unreachable while another one answered. Names \
         still resolve, but a program that asks the dead server first waits several seconds each \
         time. That is easily mistaken for a slow network or a slow service.",
        "Ask the DNS team to bring the server back, or have it removed from the DNS servers of the \
         VNet and of this machine.",
        "dig @{server} +tries=1 +time=3 {host} A";
    DnsSinkhole = "dns_sinkhole", Dns, Dns, Fail,
        "DNS blocks this name with a dummy address",
        "The server answered with 0.0.0.0, :: or a loopback address, none of which can be the \
         service. DNS filters and block lists do this on purpose; more rarely it is a placeholder \
         record that someone forgot. Connections are then refused by this very machine, which is \
         easily mistaken for a service that is down.",
        "Ask the DNS or security team to take the name off the DNS filter for this network. If no \
         filter is in use, ask the DNS team to remove the placeholder record.",
        "dig @{server} +noall +answer {host} A";
    HostsFileOverride = "hosts_file_override", Dns, Us, Warn,
        "Hosts file overrides DNS for this name",
        "The hosts file of this machine has a line for this name, so programs here use that \
         address and never ask DNS. nslookup and dig do ask DNS and show something else, which is \
         how such lines stay unnoticed. The line may be right today and goes wrong silently when \
         the private endpoint is created anew.",
        "Ask this machine's admin to remove the line once DNS gives the right address by itself. \
         If DNS does not, ask the DNS team to fix that first and treat the line as a stopgap.",
        "grep -inwF {host} /etc/hosts\n\
         dig +short {host}";
    PrivateZoneNotLinked = "private_zone_not_linked", Dns, Dns, Fail,
        "Private DNS zone is not linked to this network",
        "The answer passes through a privatelink name, so the service has a private endpoint, and \
         then goes on to a public address. The DNS server that answered does not see the private \
         zone. A connection to the public address usually succeeds and is then denied with HTTP \
         403, which is easily mistaken for a permission problem. A missing conditional forwarder \
         gives the same answer when 168.63.129.16 cannot be asked for comparison, and so does a \
         zone link with fallback to internet (NxDomainRedirect) whose zone lacks the record.",
        "Ask the DNS team to link the private zone to the VNet in which names are resolved, which \
         is the VNet of the DNS server or firewall proxy where there is one: `az network \
         private-dns link vnet create -g GROUP -z ZONE -n LINK -v VNET_ID -e false`. The zone must \
         be named exactly as the privatelink part of the chain; in Azure Government a zone such as \
         privatelink.azurecr.io is never consulted. If the link exists, check the record.",
        "dig @{server} +noall +answer {host} A\n\
         dig @168.63.129.16 +noall +answer {host} A";
    PrivateForwarderMissing = "private_forwarder_missing", Dns, Dns, Fail,
        "DNS server does not forward this zone to Azure",
        "The configured DNS server gave a public address or none, while Azure's own resolver, \
         asked directly from this machine, gave the private one. So the private zone, its link to \
         this VNet and the record are in order, and the configured server does not pass the \
         question on to Azure. It is easily mistaken for a missing zone link, and if the server \
         stands in another VNet or forwards already, a link missing there looks the same.",
        "Ask the DNS team for a conditional forwarder for the public parent zone (for example \
         blob.core.usgovcloudapi.net, not the privatelink zone below it) to 168.63.129.16. A \
         server outside Azure must forward to a resolver inside the VNet instead, because that \
         address answers only within Azure. The VNet from which the question then reaches Azure \
         must be linked to the private zone.",
        "dig @{server} +short {host} A\n\
         dig @168.63.129.16 +short {host} A";
    PrivateEndpointMissing = "private_endpoint_missing", Dns, Target, Fail,
        "Service has no approved private endpoint",
        "The name resolves to a public address and no privatelink name appears in the chain. Azure \
         adds that name to public DNS as soon as a private endpoint is approved, so either there \
         is no endpoint, or it awaits approval, was rejected or was deleted. It is easily mistaken \
         for a missing zone link, but linking a zone changes nothing here. Two exceptions: a DNS \
         server with its own copy of the zone hides the chain, and compute instance names have no \
         private zone at all.",
        "Ask the workspace owner to create the private endpoint for this resource and sub-resource \
         or to approve the pending one; `az network private-endpoint-connection list --id \
         RESOURCE_ID` shows its state. For a compute instance name, ask the DNS team to forward \
         its zone to Azure DNS or to add a record with the workspace endpoint's address.",
        "dig @{server} +noall +answer {host} A";
    PrivateRecordMissing = "private_record_missing", Dns, Dns, Fail,
        "Private DNS zone lacks the record for this name",
        "The answer is NXDOMAIN behind an alias to a privatelink name: the private zone is linked \
         and in charge, and it has no record for this service. The endpoint was probably made \
         without a DNS zone group, or the record was removed. It also happens when the service \
         belongs to someone else who uses private endpoints, because your zone then hides its \
         public address. It is easily mistaken for a wrong or deleted host name.",
        "Ask the DNS team to attach the endpoint to the zone, which makes the record: `az network \
         private-endpoint dns-zone-group create -g GROUP --endpoint-name ENDPOINT -n default \
         --zone-name ZONE --private-dns-zone ZONE_ID`. For someone else's service, ask for a \
         record with its address, or for fallback to internet (resolution policy NxDomainRedirect) \
         on the zone's link. The negative answer stays cached for a while after the repair.",
        "dig @{server} {host} A";
    PrivateMixed = "private_mixed", Dns, Dns, Fail,
        "Name resolves to both private and public addresses",
        "Resolution gave private and public addresses for a name that should have private ones \
         only. A program picks one of them, so some connections take the private endpoint and \
         others go out to the internet and are denied. It is easily mistaken for a service that \
         fails now and then. Typical sources are a hand-made record set that lists both, or an \
         IPv6 address that is still public.",
        "Ask the DNS team to keep only the private endpoint's addresses in the record that \
         answers, and to remove the public ones.",
        "dig @{server} +noall +answer {host} A\n\
         dig @{server} +noall +answer {host} AAAA";
    PrivateOutsideSubnet = "private_outside_subnet", Dns, Dns, Fail,
        "Private address is outside the endpoint subnets",
        "The name resolves to a private address that lies in none of the subnets listed as \
         network.endpoint_subnets in probes.toml. The record may be left from an earlier endpoint, \
         or belong to an endpoint in another environment that shares the zone. It is also what an \
         incomplete list in probes.toml looks like; vnetprobe cannot tell which of the two is out \
         of date.",
        "Ask the workspace owner for the current addresses of the private endpoint. If the subnet \
         is right, add it to network.endpoint_subnets; otherwise ask the DNS team to correct the \
         record or to separate the environments into zones of their own.",
        "dig @{server} +noall +answer {host} A";
    PrivateAddressMismatch = "private_address_mismatch", Dns, Dns, Fail,
        "Private address is not that of the endpoint",
        "The name resolves to a private address other than the one network.endpoint_addresses \
         gives for it in probes.toml. Most often the endpoint was created anew and the old record \
         stayed, or two endpoints share one zone and the later one overwrote the record. A \
         connection then times out or meets the certificate of another service, and is easily \
         blamed on the firewall. If probes.toml is older than the endpoint, the record is right \
         and the file is wrong.",
        "Ask the workspace owner for the endpoint's addresses: `az network private-endpoint show \
         -g GROUP -n ENDPOINT --query customDnsConfigs`, or its network interface if that list is \
         empty. Then ask the DNS team to correct the record, or update probes.toml.",
        "dig @{server} +noall +answer {host} A";
    PublicExpectedButPrivate = "public_expected_but_private", Dns, Dns, Fail,
        "Name resolves privately but should be public",
        "The name belongs to a service that is used over its public address, and DNS gave a \
         private one. Usually an internal zone covers more than it should, for example a wildcard \
         or a whole parent zone, and catches names that belong to Microsoft or to others. A web \
         filter or proxy that answers for outside names looks the same. If your organization does \
         have a private endpoint for it, such as an Azure Monitor private link scope, the \
         expectation is what is wrong.",
        "Ask the DNS team which zone or filter produced the address and to narrow it to your own \
         resources. If the private address is intended, exclude the requirement in probes.toml and \
         add a `[[probe]]` entry that expects a private address.",
        "dig @{server} +noall +answer {host} A";
    DockerBridgeOverlap = "docker_bridge_overlap", Tcp, Us, Fail,
        "Docker bridge on this machine hides the address",
        "The service's address lies in a network that this machine routes to its own Docker \
         bridge, usually 172.17.0.0/16, so packets never leave the machine. The connection fails \
         after about three seconds with no route to host, even when the bridge is down. It is \
         easily mistaken for a firewall, and other machines are not affected.",
        "Ask this machine's admin to move Docker elsewhere: set `bip` and `default-address-pools` \
         in /etc/docker/daemon.json and restart Docker. Where Docker cannot be changed, as on \
         Azure ML compute, ask the network team to place the private endpoints outside \
         172.17.0.0/16.",
        "ip route get {address}\n\
         ip -brief address show type bridge";
    TcpTimeout = "tcp_timeout", Tcp, Path, Fail,
        "Connection attempt gets no answer",
        "Nothing came back to the connection request: no acceptance, no refusal, no ICMP error. \
         Something drops packets without a word: a network security group, a route that leads \
         nowhere, or an Azure Firewall without a matching network rule. On ports 80 and 443 that \
         firewall accepts connections by itself, so there another device or the route is likelier. \
         Toward a private endpoint, a stale address and a firewall that does not translate sources \
         (the reply then takes another way) look the same.",
        "Ask the firewall team for a rule from this machine's subnet to this address and port (an \
         Azure Firewall network rule, or an application rule for HTTPS), and to check the NSG \
         rules on the way. Ask the network team whether the route is right: `az network nic \
         show-effective-route-table -g GROUP -n NIC -o table`.",
        "nc -vz -w 5 {address} {port}";
    TcpRefused = "tcp_refused", Tcp, Path, Fail,
        "Connection is refused",
        "The connection request was answered at once with a reset or with ICMP port unreachable. \
         Either the machine at that address is up and nothing listens on the port, or a firewall \
         on the way rejects in its name. The two look alike on the wire except in time: a refusal \
         much faster than the known round trip comes from something nearer. A rule that drops \
         silently would have given a timeout.",
        "Ask the service owner whether anything listens on that port at that address, and the DNS \
         team whether the address is current. If it is, ask the firewall team to find the rule \
         that rejects this address and port, and to allow it.",
        "time nc -vz -w 5 {address} {port}";
    TcpProhibited = "tcp_prohibited", Tcp, Path, Fail,
        "Connection is rejected with an ICMP error",
        "The attempt ended with host unreachable or permission denied, so somebody said no instead \
         of staying silent. Either a device on the way sent an ICMP error, most often \
         administratively prohibited, or a firewall on this machine rejected the packet before it \
         left. A neighbor in the same subnet that does not answer also gives host unreachable, \
         after about three seconds.",
        "Look at this machine's own firewall first (`sudo nft list ruleset`). If it is not the \
         source, ask the firewall team which device rejects this address and port, and to allow it \
         from this machine's subnet.",
        "nc -vz -w 5 {address} {port}\n\
         ip route get {address}";
    TcpUnreachable = "tcp_unreachable", Tcp, Path, Fail,
        "No route to the address",
        "The attempt ended with network unreachable: this machine has no route toward the address, \
         or a router on the way said that it has none. In Azure a wrong user-defined route usually \
         drops silently, so this error most often comes from this machine's own routing table. It \
         is easily mistaken for a service that is down.",
        "Ask this machine's admin to check its routes and default gateway, and whether a VPN \
         client or container network replaced them. If the table here is right, ask the network \
         team for the route to this address.",
        "ip route get {address}\n\
         ip route show";
    TcpClosedOnAccept = "tcp_closed_on_accept", Tcp, Path, Fail,
        "Connection is closed as soon as it opens",
        "The connection was accepted and then closed by the other side without a byte, while \
         vnetprobe had not sent anything. No server name had been shown yet, so this is not a name \
         filter. A load balancer or relay with nothing behind it, a device that ends connections \
         on this port, or a service that refuses this client's address behave like this. A port \
         scan reports such a port as open.",
        "Ask the service owner whether the service behind this address is up and accepts this \
         client. If it is and does, ask the firewall team which device ends connections to this \
         address and port.",
        "time timeout 5 bash -c 'cat < /dev/tcp/{address}/{port}'";
    TcpSynLoss = "tcp_syn_loss", Tcp, Path, Warn,
        "First connection packets get lost",
        "The connection came about, but only after one or three seconds and not in the usual time. \
         Those are the intervals at which the system repeats an unanswered connection request, so \
         at least one packet was lost. A slow server is the common misreading; servers accept \
         connections without thinking. One occurrence means little, repeated ones point to \
         overload, source port exhaustion (SNAT) or one bad path among several.",
        "Ask the network team for packet loss and SNAT port use of the firewall or NAT gateway on \
         this path, and whether one of several firewall instances or tunnels is unhealthy.",
        "for i in $(seq 20); do (time nc -z -w 5 {address} {port}) 2>&1 | grep real; done";
    AddressPartial = "address_partial", Tcp, Path, Warn,
        "Some addresses of the name do not work",
        "The name has several addresses; at least one works and at least one fails. Which one a \
         program gets is chance, so the service works on one try and fails on the next, and is \
         easily called unstable. Often the firewall rule lists addresses seen once and not the \
         others, or one endpoint behind the name is down.",
        "Ask the firewall team to replace single addresses in the rule by the service tag or by \
         the name itself. If the path to the failing address is open, tell the service owner which \
         one fails; each is listed in the evidence.",
        "dig +short {host}\n\
         nc -vz -w 5 {address} {port}";
    Ipv6Broken = "ipv6_broken", Tcp, Path, Warn,
        "IPv6 does not work while IPv4 does",
        "The name has IPv6 addresses that this machine cannot reach, and IPv4 addresses that work. \
         Programs that try IPv6 first and wait for it are slow or fail; others, such as browsers, \
         hide it. It is easily mistaken for a slow service. Only the comparison of both families \
         shows it.",
        "Ask the network team either to route IPv6 to the end or not to offer it on this subnet. \
         Until then this machine's admin can prefer IPv4 with the line `precedence ::ffff:0:0/96 \
         100` in /etc/gai.conf.",
        "ip -6 route get {address}\n\
         nc -6 -vz -w 5 {host} {port}";
    TlsSniBlocked = "tls_sni_blocked", Tls, Path, Fail,
        "Firewall blocks this server name",
        "TCP stood, but the TLS handshake with the real server name was cut off or left \
         unanswered, while the same address answered when another name was shown. So a device on \
         the way reads the name in the ClientHello and filters it, as Azure Firewall does for \
         names that no application rule allows. The TCP port looks open all the while, because \
         that firewall accepts connections on 443 by itself. A server that drops unknown names is \
         possible but rare, since servers answer such names with an alert or a default \
         certificate.",
        "Ask the firewall team for an application rule from this machine's subnet to this FQDN \
         with protocol Https and this port. The denial is in the log table AZFWApplicationRule \
         under this FQDN with action Deny. If the name belongs to a private endpoint, ask the \
         network team instead why the traffic passes the firewall.",
        "openssl s_client -connect {address}:{port} -servername {host} </dev/null\n\
         openssl s_client -connect {address}:{port} -servername login.microsoftonline.us \
         </dev/null";
    TlsClosed = "tls_closed", Tls, Path, Fail,
        "Connection is cut during the TLS handshake",
        "TCP stood, and after the ClientHello the other side closed or reset the connection \
         without an alert. Azure Firewall does this for names that no application rule allows, and \
         also when it has accepted for a server it cannot reach; a server or load balancer without \
         a healthy backend can do it too. Another name on the same address did not get through \
         either, or could not be tried, so the wire alone does not say which. A TCP test on this \
         port passes and misleads.",
        "Ask the firewall team to look for this FQDN in AZFWApplicationRule and, if it is denied, \
         for an application rule with protocol Https and this port. If the log shows no denial, \
         ask the service owner whether the service is healthy.",
        "openssl s_client -connect {address}:{port} -servername {host} </dev/null\n\
         openssl s_client -connect {address}:{port} -servername login.microsoftonline.us \
         </dev/null";
    TlsTimeout = "tls_timeout", Tls, Path, Fail,
        "TLS handshake gets no answer",
        "TCP stood and the ClientHello was sent, but the handshake did not complete in time. \
         Something accepted the connection and then said nothing or too little: a firewall that \
         accepts for a server it cannot reach, an overloaded server, or a path that loses packets \
         in one direction. Lost large packets look the same; where small TCP segments get \
         through, the cause is tls_mtu_blackhole instead.",
        "Ask the firewall team whether the firewall can resolve and reach this name itself, and \
         whether both directions pass the same firewall. If traffic does not pass one, ask the \
         service owner about load.",
        "time timeout 10 openssl s_client -connect {address}:{port} -servername {host} </dev/null";
    TlsMtuBlackhole = "tls_mtu_blackhole", Tls, Path, Fail,
        "Large packets are lost on the way (MTU)",
        "TLS did not complete with packets of the usual size and was answered with small TCP \
         segments, on the same address with the same name. Some link, usually a VPN or another \
         tunnel, carries smaller packets than the ends believe, and the ICMP messages that would \
         say so are filtered. Connecting works and then everything hangs, which is easily mistaken \
         for a slow server. Two more greetings, a small and a large one that any server refuses in \
         a few bytes, tell whether packets are lost on the way here alone or both ways. A server that was overloaded for a moment looks the same, so repeat \
         the commands.",
        "Ask the network team to clamp the TCP MSS on the tunnel or gateway of this path (1350 is \
         a common value) and to let ICMP fragmentation needed messages through. As a test, this \
         machine's admin can lower the MTU: `sudo ip link set dev eth0 mtu 1350`.",
        "timeout 10 openssl s_client -connect {address}:{port} -servername {host} </dev/null\n\
         python3 -c 'import socket as n,ssl;c=ssl._create_unverified_context();\
         s=n.socket(n.getaddrinfo(\"{address}\",{port})[0][0]);s.setsockopt(6,2,536);\
         s.settimeout(10);s.connect((\"{address}\",{port}));\
         print(c.wrap_socket(s,server_hostname=\"{host}\").version())'";
    TlsIntercepted = "tls_intercepted", Tls, Path, Fail,
        "TLS is intercepted and re-signed on the way",
        "The handshake completed, but the certificate was issued by a private authority and not by \
         one that the public internet trusts. A TLS inspection device, such as Azure Firewall \
         Premium, most likely opens the traffic and signs its own certificate for the name. \
         Browsers here may accept it because the device's root is installed, while Python, conda \
         and containers with their own root lists fail. A service your organization runs with its \
         own authority looks the same.",
        "Ask the firewall team to exempt this name from TLS inspection. Otherwise ask this \
         machine's admin to install the inspection root in the system store and for the tools that \
         ignore it (REQUESTS_CA_BUNDLE, SSL_CERT_FILE, container images). If the certificate is \
         your own by intention, add its root to `ca_files` under `[tls]` in probes.toml.",
        "openssl s_client -connect {address}:{port} -servername {host} </dev/null 2>/dev/null | \
         openssl x509 -noout -subject -issuer -dates";
    TlsUntrustedIssuer = "tls_untrusted_issuer", Tls, Target, Fail,
        "Certificate issuer is not trusted here",
        "The server showed a certificate whose chain leads to no root that this machine trusts. \
         The service may use a private authority, this machine's root store may be old or empty, \
         or a TLS inspection device whose root is not installed signed the certificate. The issuer \
         in the evidence tells: for Microsoft hosts anything but DigiCert or Microsoft points to \
         inspection.",
        "If the issuer is your organization's, ask this machine's admin to install its root and \
         add it to `ca_files` under `[tls]` in probes.toml. If it is an inspection device, ask the \
         firewall team to exempt the name; if it is a public authority, update the ca-certificates \
         package.",
        "openssl s_client -connect {address}:{port} -servername {host} </dev/null 2>&1 | grep -E ' \
         [si]:|[Vv]erif'";
    TlsSelfSigned = "tls_self_signed", Tls, Target, Fail,
        "Certificate is self-signed",
        "The server's certificate is signed by its own key, so nobody vouches for it. Azure \
         services do not do this: on their names it means that something else answered, such as an \
         appliance's default page, an inspection device or another machine at a stale address. On \
         an internal service it may be intended and merely not trusted here.",
        "For an Azure name, ask the DNS team whether the address is current and the firewall team \
         which device answers for it. For an internal service, ask its owner for a certificate \
         from your authority, or add this one to `ca_files` under `[tls]` in probes.toml.",
        "openssl s_client -connect {address}:{port} -servername {host} </dev/null 2>/dev/null | \
         openssl x509 -noout -subject -issuer -fingerprint -sha256";
    TlsMissingIntermediate = "tls_missing_intermediate", Tls, Target, Fail,
        "Server does not send its intermediate certificate",
        "The server sent its certificate without the one that links it to a trusted root. Browsers \
         often fetch or remember the missing one and work; curl, Python and most services do not \
         and fail. That makes it look like a fault of the client. The root itself may well be \
         installed here.",
        "Ask the service owner, or the firewall team if an inspection device made the certificate, \
         to configure the full chain: server certificate first, then every intermediate. \
         Installing the intermediate on this machine helps only this machine.",
        "openssl s_client -connect {address}:{port} -servername {host} </dev/null 2>&1 | grep -E ' \
         [si]:|[Vv]erif'";
    TlsExpired = "tls_expired", Tls, Target, Fail,
        "Certificate has expired",
        "The certificate, or one in its chain, ended before the current time of this machine's \
         clock. Either it was not renewed, or the clock here is wrong. When many unrelated hosts \
         show this at once, suspect the clock, or an inspection device whose own certificate has \
         run out.",
        "Compare this machine's clock first. If it is right, ask the service owner, or the \
         firewall team if an inspection device issued the certificate, to renew it.",
        "date -u\n\
         openssl s_client -connect {address}:{port} -servername {host} </dev/null 2>/dev/null | \
         openssl x509 -noout -issuer -dates";
    TlsNotYetValid = "tls_not_yet_valid", Tls, Target, Fail,
        "Certificate is not valid yet",
        "The certificate, or one in its chain, begins later than the current time of this \
         machine's clock. Nearly always the clock here is behind, for example after a restore or \
         without time synchronization. A certificate that was installed too early is possible and \
         rare.",
        "Ask this machine's admin to set the clock and turn on time synchronization \
         (`timedatectl`). If the clock is right, ask the service owner to install the certificate \
         that is valid now.",
        "date -u\n\
         openssl s_client -connect {address}:{port} -servername {host} </dev/null 2>/dev/null | \
         openssl x509 -noout -issuer -dates";
    TlsNameMismatch = "tls_name_mismatch", Tls, Target, Fail,
        "Certificate is for another name",
        "The handshake completed with a certificate that does not cover this host name, so another \
         service answered. Often the address is wrong: a stale private record that now leads to \
         someone else's endpoint, or a proxy's own page. Connecting to a privatelink name directly \
         also does this, because certificates cover only the public name. It is easily mistaken \
         for a certificate fault, although the certificate is good for its own names.",
        "Compare the names in the certificate with the service meant. If they belong to another \
         service, ask the DNS team to correct the address; if they belong to this one, ask its \
         owner to add the missing name. In your own settings, always use the public name of the \
         service.",
        "openssl s_client -connect {address}:{port} -servername {host} </dev/null 2>/dev/null | \
         openssl x509 -noout -subject -ext subjectAltName -checkhost {host}";
    TlsVersionUnsupported = "tls_version_unsupported", Tls, Target, Fail,
        "No TLS version or cipher in common with the server",
        "The other side rejected the handshake because it shares no protocol version or cipher \
         suite with vnetprobe, which offers TLS 1.3 and TLS 1.2 with modern suites only. Azure \
         services accept these, so on their names an old inspection device or proxy is probably in \
         between. An old client may still connect with TLS 1.0 or an outdated suite and make it \
         look fine.",
        "Ask the owner of what answers, the service or the inspecting device, to enable TLS 1.2 or \
         1.3 with ECDHE and AES-GCM suites.",
        "openssl s_client -connect {address}:{port} -servername {host} -tls1_2 -cipher \
         ECDHE+AESGCM:ECDHE+CHACHA20 </dev/null\n\
         openssl s_client -connect {address}:{port} -servername {host} -min_protocol TLSv1 -cipher \
         ALL:@SECLEVEL=0 </dev/null";
    TlsUnrecognizedName = "tls_unrecognized_name", Tls, Target, Fail,
        "Server does not know this host name",
        "The other side answered the ClientHello with the alert unrecognized_name: it speaks TLS \
         and serves other names, not this one. The address probably belongs to another service, or \
         the resource behind a shared front end was deleted. A firewall that blocks names mostly \
         cuts the connection instead, though some send this alert, so the word of the server's \
         owner decides.",
        "Ask the DNS team whether the address is current, and the service owner whether the \
         resource still exists under this name. If both say yes, ask the firewall team whether the \
         name is blocked.",
        "openssl s_client -connect {address}:{port} -servername {host} </dev/null";
    TlsClientCertificateRequired = "tls_client_certificate_required", Tls, Target, Fail,
        "Server demands a client certificate",
        "The server ended the session because no client certificate was shown. The path is open \
         and the server is alive; what is missing is a credential, and vnetprobe sends none. It is \
         easily mistaken for a firewall that cuts the connection, because under TLS 1.3 the \
         handshake seems to succeed first. On a name that normally needs no certificate, another \
         service is answering.",
        "Ask the service owner whether this name really requires client certificates. If it does, \
         check it with kind `tcp` instead; if not, ask the DNS team whether the address is \
         current.",
        "sleep 3 | openssl s_client -connect {address}:{port} -servername {host}";
    TlsAlert = "tls_alert", Tls, Target, Fail,
        "Server ends the handshake with a TLS alert",
        "The other side read the ClientHello and answered with a fatal alert; its number and name \
         are in the evidence. So it speaks TLS and objects to something: handshake_failure often \
         means no acceptable parameters (vnetprobe does not verify P-521 signatures, so a server \
         with only such a certificate ends here), internal_error a fault behind a gateway, access_denied a \
         policy. An alert is an answer, so the packets do get through; an inspection device can \
         send it as well as the server.",
        "Give the service owner the alert's name, the host and the time. If traffic to this name \
         is inspected, ask the firewall team first, since the device may have failed toward the \
         server.",
        "openssl s_client -connect {address}:{port} -servername {host} -state </dev/null";
    NotTls = "not_tls", Tls, Path, Fail,
        "Something other than TLS answers on this port",
        "After the ClientHello, bytes came back that are not TLS; the first of them are in the \
         evidence. Plain HTTP means a block page, a captive portal or a proxy; a banner such as \
         SSH means another service on that port. It is easily mistaken for a certificate or \
         version problem, because programs report it as wrong version number.",
        "Ask the firewall team whether a proxy or block page answers for this name. If not, ask \
         the service owner which protocol runs on this port, and the DNS team whether the address \
         is current.",
        "curl -si --max-time 5 --resolve {host}:{port}:{address} http://{host}:{port}/\n\
         timeout 5 bash -c 'cat < /dev/tcp/{address}/{port}'";
    TlsSlow = "tls_slow", Tls, Path, Warn,
        "TLS handshake is slow",
        "The handshake completed and took more than two seconds, while a normal one takes a few \
         round trips. Typical reasons are an inspection device or proxy under load, lost packets, \
         or a server that starts on demand. One slow handshake proves nothing; compare the history \
         and the connect time, which is the round trip to whatever accepted the connection.",
        "If most hosts are slow, ask the firewall team about load and packet loss. If it is this \
         host alone, tell the service owner.",
        "time openssl s_client -connect {address}:{port} -servername {host} </dev/null";
    TlsCertificateExpiring = "tls_certificate_expiring", Tls, Target, Warn,
        "Certificate expires soon",
        "Everything works today, and the certificate, or one in its chain, ends within 14 days. \
         Azure renews its own certificates in time as a rule. Those of inspection devices and \
         internal services often depend on somebody remembering.",
        "If the issuer is your organization's, ask the service owner or the firewall team to renew \
         it now. For an Azure service, watch it and open a support request when less than a week \
         is left.",
        "openssl s_client -connect {address}:{port} -servername {host} </dev/null 2>/dev/null | \
         openssl x509 -noout -issuer -enddate -checkend 1209600";
    HttpFirewallDeny = "http_firewall_deny", Application, Path, Fail,
        "Azure Firewall denies the request",
        "The answer is Azure Firewall's own: status 470 or a short text that begins with Action: \
         Deny. The firewall accepted the connection, read the name and found no rule that allows \
         it. The service never saw the request, although TCP, and with inspection even TLS, looked \
         fine.",
        "Ask the firewall team for an application rule from this machine's subnet to this FQDN \
         with the protocol (Http or Https) and port. The denial is in the log table \
         AZFWApplicationRule under this FQDN with action Deny, where ActionReason says whether a \
         rule or the default denied it.",
        "curl -ksi --max-time 10 --resolve {host}:{port}:{address} http://{host}:{port}/ # or \
         https://";
    HttpResourceFirewallDeny = "http_resource_firewall_deny", Application, Target, Fail,
        "Service refuses requests from this network",
        "The service itself answered, with its own error text, that this network may not use it. \
         The path is open; the service saw a source address or a public path that its network \
         settings do not allow. It is easily mistaken for a missing role. Often DNS is the root: \
         the request went to the public endpoint, or a firewall with application rules resolved \
         the name by itself and went there although this machine had the private address.",
        "If the address used was public, ask the DNS team to make the name resolve privately here. \
         If it was private, ask the DNS team to link the private zone to the firewall's VNet too. \
         Only if public access is intended, ask the workspace owner to allow this network on the \
         resource.",
        "curl -si --max-time 10 --resolve {host}:{port}:{address} https://{host}:{port}/\n\
         dig +noall +answer {host}";
    HttpServerError = "http_server_error", Application, Target, Fail,
        "Service answers with a server error",
        "The request arrived and was answered with a status of 500 or above. The network path up \
         to whoever answered is open. Statuses 502, 503 and 504 often come from a gateway or proxy \
         that cannot reach the service behind it, so look at the headers in the evidence to see \
         who spoke.",
        "If the headers are the service's (x-ms-request-id, for example), check Azure service \
         health and give that id to the service owner or to support. If they are a proxy's, ask \
         the proxy or firewall team why it cannot reach the service.",
        "curl -si --max-time 10 --resolve {host}:{port}:{address} https://{host}:{port}/ # or \
         http://";
    HttpUnexpectedStatus = "http_unexpected_status", Application, Target, Fail,
        "Service answers with an unexpected status",
        "An HTTP answer came, but not one this service gives to a request without credentials. A \
         block page, a captive portal or a proxy's login page often hides behind a 200, 302 or \
         403. The service may also have changed its behavior, and then the expectation is out of \
         date; the headers and the beginning of the body in the evidence show who answered.",
        "If the page is a filter's or a proxy's, ask its team to allow this name. If it is the \
         service's, tell its owner, or correct the expectation.",
        "curl -si --max-time 10 --resolve {host}:{port}:{address} https://{host}:{port}/ # or \
         http://";
    HttpTimeout = "http_timeout", Application, Path, Fail,
        "No HTTP answer in time",
        "The connection stood, with TLS where it is used, and the request was sent, but no \
         complete answer came. On plain HTTP a firewall may have accepted the connection for a \
         server it cannot reach. After a completed TLS handshake that is much less likely unless \
         traffic is inspected; then the service or a gateway before it is slow or stuck.",
        "For plain HTTP, ask the firewall team whether a rule allows this name and whether the \
         firewall reaches it. For HTTPS, ask the service owner, and the firewall team only if \
         traffic is inspected.",
        "time curl -si --max-time 15 --resolve {host}:{port}:{address} https://{host}:{port}/ # or \
         http://";
    HttpClosed = "http_closed", Application, Path, Fail,
        "Connection is cut before an HTTP answer",
        "The connection stood and the request was sent, and then the other side closed or reset it \
         without answering. On plain HTTP this is typical of a filter that reads the Host header. \
         After a good TLS handshake it points to an inspection device or to the service. A test \
         that only connects sees nothing wrong.",
        "Ask the firewall team to look for this host name in the logs at this time, and to allow \
         it if it was denied. If no device inspects the traffic, ask the service owner.",
        "curl -sv --max-time 10 -o /dev/null --resolve {host}:{port}:{address} \
         https://{host}:{port}/ # or http://";
    WebsocketBlocked = "websocket_blocked", Application, Path, Fail,
        "WebSocket upgrade does not get through",
        "TLS completed, but the request to upgrade to a WebSocket was not answered as the service \
         would answer it: it was dropped, cut off, or treated as an ordinary request. Proxies and \
         inspection devices that do not know WebSockets do this. Pages then load while notebooks, \
         terminals and Jupyter kernels stay empty or keep reconnecting, which is easily blamed on \
         the compute instance.",
        "Ask the firewall or proxy team to let WebSockets through to this name, usually by \
         exempting it from TLS inspection and content filtering. For a private endpoint, have the \
         name bypass the proxy.",
        "curl -si --http1.1 --max-time 10 --resolve {host}:{port}:{address} -H 'Connection: \
         Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: \
         dGhlIHNhbXBsZSBub25jZQ==' https://{host}:{port}/";
    NotSmb = "not_smb", Application, Path, Fail,
        "File share port does not speak SMB",
        "The connection to the port stood, but the SMB negotiation got silence, a cut, or bytes of \
         another protocol. A device on the way may accept the connection and filter SMB, as many \
         networks do, or the address does not belong to a file share. A test that only connects \
         reports the port as open. This is not about credentials: those come after the \
         negotiation.",
        "Ask the firewall team to allow SMB (TCP 445) from this machine's subnet to the storage \
         private endpoint with a network rule and without inspection. Ask the DNS team whether the \
         address is the one of the file sub-resource and not of blob.",
        "smbclient -N -m SMB3 -p {port} -I {address} -L {host}";
    ProxyUnreachable = "proxy_unreachable", Proxy, Path, Fail,
        "Proxy cannot be reached",
        "No connection to the configured proxy came about, so nothing is known about the service \
         behind it. The proxy's address or port may be wrong, it may be down, or a firewall may be \
         in between. Every check that uses the proxy fails together, which is easily mistaken for \
         a failure of the internet access as a whole.",
        "Check the proxy's URL in HTTPS_PROXY and under `[proxy]` in probes.toml. If it is right, \
         ask the proxy team whether the proxy is up, and the firewall team to allow its port from \
         this machine's subnet.",
        "curl -sv --max-time 10 -x \"$HTTPS_PROXY\" --proxytunnel -o /dev/null \
         https://{host}:{port}/";
    ProxyDenied = "proxy_denied", Proxy, Path, Fail,
        "Proxy refuses to connect to this host",
        "The proxy was reached and answered the CONNECT request with a refusal such as 403. Its \
         policy does not allow this name or this port; many proxies allow CONNECT only to port \
         443. The refusal is easily mistaken for one by the service, which never saw the request.",
        "Ask the proxy team to allow CONNECT to this host and port from this machine. If the host \
         has a private endpoint, add it to NO_PROXY instead, so that it is reached directly.",
        "curl -sv --max-time 10 -x \"$HTTPS_PROXY\" --proxytunnel -o /dev/null \
         https://{host}:{port}/";
    ProxyAuthRequired = "proxy_auth_required", Proxy, Path, Fail,
        "Proxy demands credentials",
        "The proxy answered 407: it wants to know who is asking, and the credentials were missing, \
         not accepted, or of a kind that vnetprobe does not send. Programs in a user's session may \
         pass because they log on to the proxy by themselves, while services and compute jobs \
         cannot. Nothing is known about the service behind it.",
        "Ask the proxy team to let this machine or these names through without authentication, \
         which unattended compute needs anyway, or for an account to put into the proxy URL.",
        "curl -sv --max-time 10 -x \"$HTTPS_PROXY\" --proxytunnel -o /dev/null \
         https://{host}:{port}/";
    ProxyBackendUnreachable = "proxy_backend_unreachable", Proxy, Path, Fail,
        "Proxy cannot reach the host",
        "The proxy accepted the request and answered that it could not connect, typically with \
         502, 503 or 504. The fault lies behind the proxy: it cannot resolve the name, or its own \
         path is closed. A name that resolves well here can fail there, because the proxy asks its \
         own DNS servers; that is common with private endpoints.",
        "Ask the proxy team to test the name from the proxy itself, DNS first and then the port. \
         If the host has a private endpoint, add it to NO_PROXY so that it is reached directly.",
        "curl -sv --max-time 10 -x \"$HTTPS_PROXY\" --proxytunnel -o /dev/null \
         https://{host}:{port}/";
    LocalNoNetwork = "local_no_network", Local, Us, Unknown,
        "This machine has no network",
        "This machine has no usable address or no route for the traffic, so nothing could be sent. \
         The checks say nothing about the services or the firewall. In a container it usually \
         means that the container was started without a network.",
        "Ask this machine's admin to bring up the interface and its default route, or to start the \
         container with a network. Then run the checks again.",
        "ip -brief address\n\
         ip route get 168.63.129.16";
    LocalNoResolver = "local_no_resolver", Local, Us, Unknown,
        "This machine has no DNS server configured",
        "No DNS server was found in this machine's configuration and none is named in probes.toml, \
         so no name could be looked up. That is a fault of this machine and says nothing about the \
         DNS team's servers. Minimal container images without /etc/resolv.conf are the usual case.",
        "Ask this machine's admin to provide /etc/resolv.conf (DHCP does this on Azure), or name \
         the servers under `[dns]` in probes.toml.",
        "cat /etc/resolv.conf";
    LocalExhausted = "local_exhausted", Local, Us, Unknown,
        "This machine ran out of sockets, ports or memory",
        "The operating system refused to open another socket, so the check could not be made. The \
         limit on open files is too low, the local ports are used up, or memory is short. It is \
         easily mistaken for a network fault, because other programs on this machine fail at the \
         same time.",
        "Ask this machine's admin to raise the limit on open files for vnetprobe (LimitNOFILE in \
         its systemd unit) or to find the program that holds the sockets. Lowering `concurrency` \
         under `[schedule]` in probes.toml also helps.",
        "ulimit -n; ss -s; free -m; cat /proc/sys/net/ipv4/ip_local_port_range";
    Overdue = "overdue", Local, Us, Unknown,
        "Check has not been run for too long",
        "The latest result of this check is older than several intervals, so what it said no \
         longer counts; or the machine kept the measurement itself waiting, so that silence proves \
         nothing. vnetprobe did not come round to it: the machine was paused, is short of \
         CPU, or has more slow checks than the concurrency allows. Nothing is known about the \
         service meanwhile.",
        "Ask this machine's admin whether it was suspended or is overloaded. Otherwise raise \
         `interval` or `concurrency` under `[schedule]` in probes.toml.",
        "uptime; nproc; vmstat 1 5";
    UdpNoEvidence = "udp_no_evidence", Application, Path, Unknown,
        "UDP silence proves nothing",
        "A datagram was sent and nothing came back. That is how a dropped packet looks, and also \
         how a healthy service looks that does not answer strangers, so the check stays unknown. \
         Tools that report such a port as open conclude it from the same silence. Only the \
         firewall's log or the service itself can tell.",
        "Ask the firewall team whether a network rule allows UDP to this port from this machine's \
         subnet, and to look in AZFWNetworkRule for the datagram sent at the time of the check.",
        "timeout 3 bash -c 'exec 3<>/dev/udp/$0/$1 && echo >&3 && head -c 1 <&3' {address} {port}; \
         echo \"exit $? (124: silence)\"";
}
