//! squid: a firewall's application rules, an inspecting firewall, or an explicit proxy.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;

use crate::blueprint::RESOLVER;
use crate::middle::{Engine, SQUID_HTTP_PORTS, SQUID_TLS_PORTS};
use crate::world::Fault;

/// Where it is an explicit proxy: the client's gateway.
pub(crate) const PROXY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 20, 0, 1), 3128);

/// One squid: its files, and where it listens.
#[derive(Debug)]
pub(crate) struct Squid {
    pub(crate) files: Vec<(String, String)>,
    pub(crate) sockets: Vec<SocketAddrV4>,
}

/// The shell that becomes squid. Its shared memory is a mount of its own, seen by nobody else, and
/// the store of made certificates begins empty. It gives up root, so its folder is its user's.
pub(crate) const START: &str = "mount -t tmpfs lab /dev/shm && rm -rf squid && \
    install -d -o proxy -g proxy squid && \
    setpriv --reuid=proxy --regid=proxy --clear-groups \
    /usr/lib/squid/security_file_certgen -c -s squid/made -M 4MB >/dev/null && \
    exec squid -N -d 1 -f squid.conf";

/// What these faults make of squid; nothing, if they need none.
pub(crate) fn draw(dir: &Path, faults: &[Fault], inspector: &str) -> Option<Squid> {
    let mut rules = String::new();
    let mut lists: Vec<(&str, &[String])> = Vec::new();
    let mut sockets = Vec::new();
    let mut files = Vec::new();
    for fault in faults {
        match fault {
            Fault::NameFilter(filter) if filter.by == Engine::Squid => {
                let list = if filter.allow.is_empty() {
                    rules.push_str("acl unwanted ssl::server_name \"{dir}/squid-names\"\nacl denied dstdomain \"{dir}/squid-names\"\n");
                    &filter.deny
                } else {
                    rules.push_str("acl wanted ssl::server_name \"{dir}/squid-names\"\nacl unwanted any-of !wanted\nacl allowed dstdomain \"{dir}/squid-names\"\nacl denied any-of !allowed\n");
                    &filter.allow
                };
                lists.push(("squid-names", list));
                rules.push_str(&intercepting(&mut sockets));
                rules.push_str(
                    "ssl_bump peek step1\nssl_bump terminate unwanted\nssl_bump splice all\n",
                );
                if let Some(page) = &filter.page {
                    let [four, six] = SQUID_HTTP_PORTS;
                    sockets.push(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, four));
                    let _ = writeln!(
                        rules,
                        "http_port 0.0.0.0:{four} intercept\nhttp_port [::]:{six} intercept\n\
                         acl plain myportname 0.0.0.0:{four} [::]:{six}\n\
                         deny_info {}:ERR_LAB denied\nhttp_access deny plain denied",
                        page.status
                    );
                    files.push(("squid-pages/ERR_LAB".to_owned(), page.text.clone()));
                }
            }
            Fault::Inspection(inspection) => {
                lists.push(("squid-names", &inspection.exempt));
                rules.push_str(&intercepting(&mut sockets));
                rules.push_str("acl exempt ssl::server_name \"{dir}/squid-names\"\nssl_bump peek step1\nssl_bump splice exempt\nssl_bump bump all\n");
            }
            Fault::Proxy(proxy) => {
                sockets.push(PROXY);
                let _ = writeln!(rules, "http_port {PROXY}");
                if proxy.credentials {
                    // `openssl passwd -apr1 -salt lab secret`
                    let user = "bob:$apr1$lab$SDKktQqp/srHO0sEzIkft.\n".to_owned();
                    files.push(("squid-users".to_owned(), user));
                    rules.push_str("auth_param basic program /usr/lib/squid/basic_ncsa_auth {dir}/squid-users\nauth_param basic children 1 startup=1\nauth_param basic realm Contoso\nacl known proxy_auth REQUIRED\nhttp_access deny !known\n");
                }
                lists.push(("squid-denied", &proxy.deny));
                rules.push_str(
                    "acl refused dstdomain \"{dir}/squid-denied\"\nhttp_access deny refused\n",
                );
            }
            _ => {}
        }
    }
    if sockets.is_empty() {
        return None;
    }
    // An empty list is a mistake to squid.
    let text = |list: &[String]| format!("nothing.invalid\n{}\n", list.join("\n"));
    files.extend(lists.into_iter().map(|(name, list)| (name.to_owned(), text(list))));
    files.push(("squid-inspector.pem".to_owned(), inspector.to_owned()));
    // In the path squid insists that a name leads to the address that was dialed. The firewall
    // that it stands for goes by the name alone, so it has a DNS server of its own.
    // An explicit proxy gives up before the program does, and says so; opening everybody's TLS at
    // once takes a busy machine a while.
    let (dns, connect, forward) =
        if sockets.contains(&PROXY) { (RESOLVER, 1, 2) } else { (Ipv4Addr::LOCALHOST, 3, 6) };
    let config = format!(
        "{COMMON}dns_nameservers {dns}\nconnect_timeout {connect} second\n\
         forward_timeout {forward} second\n{rules}http_access allow all\n"
    );
    files.push(("squid.conf".to_owned(), config.replace("{dir}", &dir.to_string_lossy())));
    Some(Squid { files, sockets })
}

/// TLS that was on its way to others.
fn intercepting(sockets: &mut Vec<SocketAddrV4>) -> String {
    let mut lines = "acl step1 at_step SslBump1\n".to_owned();
    let [four, six] = SQUID_TLS_PORTS;
    for address in [format!("0.0.0.0:{four}"), format!("[::]:{six}")] {
        let _ = writeln!(
            lines,
            "https_port {address} intercept ssl-bump tls-cert={{dir}}/squid-inspector.pem \
             generate-host-certificates=on dynamic_cert_mem_cache_size=4MB"
        );
    }
    sockets.push(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, four));
    lines
}

/// No cache, no logs, no helpers that nobody asks, no waiting at its end.
const COMMON: &str = "\
visible_hostname proxy.contoso.example
http_port 127.0.0.1:3129
pid_filename none
cache_log {dir}/squid/cache.log
access_log none
cache_store_log none
netdb_filename none
coredump_dir {dir}/squid
error_directory {dir}/squid-pages
dns_retransmit_interval 200 milliseconds
pinger_enable off
cache deny all
cache_mem 8 MB
max_filedescriptors 4096
shutdown_lifetime 0 seconds
via off
forwarded_for delete
tls_outgoing_options cafile={dir}/root.pem
sslcrtd_program /usr/lib/squid/security_file_certgen -s {dir}/squid/made -M 4MB
sslcrtd_children 4 startup=2 idle=1
";
