//! The configuration files of the real servers.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;

use crate::blueprint::{Blueprint, SMB_PORT};
use crate::middle::{End, Filter, HAPROXY_PORT};
use crate::oddities::WEBSOCKET_PORT;

/// unbound, as one resolver: recursive over the given zones.
pub(crate) fn unbound(dir: &Path, name: &str, address: Ipv4Addr, zones: &[String]) -> String {
    let dir = dir.display();
    let mut text = format!(
        "server:\n\
         directory: \"{dir}\"\nchroot: \"\"\nusername: \"\"\npidfile: \"\"\n\
         do-daemonize: no\nuse-syslog: no\nlogfile: \"\"\nverbosity: 1\nnum-threads: 1\n\
         interface: {address}\nincoming-num-tcp: 200\naccess-control: 0.0.0.0/0 allow\n\
         module-config: \"iterator\"\nqname-minimisation: no\nminimal-responses: yes\n\
         unblock-lan-zones: yes\ninsecure-lan-zones: yes\n"
    );
    for zone in zones {
        let _ = write!(
            text,
            "auth-zone:\nname: \"{zone}\"\nzonefile: \"{dir}/{name}/{zone}zone\"\n\
             for-upstream: yes\nfor-downstream: no\nfallback-enabled: no\n"
        );
    }
    text
}

/// nginx, as every TLS and HTTP host: the certificate goes by the server name, and WebSockets are
/// passed on.
pub(crate) fn nginx(dir: &Path, blueprint: &Blueprint) -> String {
    let mut listen = String::new();
    for port in &blueprint.tls_ports {
        let _ = writeln!(listen, "listen {port} ssl; listen [::]:{port} ssl;");
    }
    let mut answers = String::new();
    for answer in &blueprint.answers {
        let _ = writeln!(answers, "server {{\nserver_name .{};\n{listen}", answer.suffix);
        for (name, value) in &answer.headers {
            let _ = writeln!(answers, "add_header {name} {value:?} always;");
        }
        let _ = writeln!(answers, "return {} {:?};\n}}", answer.status, answer.body);
    }
    let mut plain = String::new();
    for port in &blueprint.http_ports {
        let _ = writeln!(plain, "listen {port}; listen [::]:{port};");
    }
    // A server block without a port would listen on 80 by itself.
    let plain = if plain.is_empty() {
        String::new()
    } else {
        format!("server {{\n{plain}return 200 \"plain\\n\";\n}}\n")
    };
    let blocks = format!(
        "{plain}server {{\n{listen}\
         location / {{\n\
         proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;\n\
         proxy_set_header Connection upgrade;\n\
         if ($http_upgrade = \"\") {{ return 200 \"tls\\n\"; }}\n\
         proxy_pass http://127.0.0.1:{WEBSOCKET_PORT};\n}}\n}}\n{answers}"
    );
    nginx_frame(dir, "nginx", blueprint, &blocks)
}

/// What every nginx of the lab has; `blocks` are its servers.
pub(crate) fn nginx_frame(dir: &Path, name: &str, blueprint: &Blueprint, blocks: &str) -> String {
    let dir = dir.display();
    let mut names = String::new();
    for host in &blueprint.hosts {
        let _ = writeln!(names, "{0} {0};", host.name);
    }
    format!(
        "daemon off; master_process off; pid \"{dir}/{name}.pid\"; error_log stderr warn;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n\
         access_log off; default_type text/plain; server_tokens off;\n\
         client_body_temp_path \"{dir}/{name}-body\"; proxy_temp_path \"{dir}/{name}-proxy\";\n\
         fastcgi_temp_path \"{dir}/{name}-fastcgi\"; uwsgi_temp_path \"{dir}/{name}-uwsgi\";\n\
         scgi_temp_path \"{dir}/{name}-scgi\";\n\
         map_hash_bucket_size 256; map_hash_max_size 4096; server_names_hash_bucket_size 256;\n\
         map $ssl_server_name $certificate {{\ndefault other.invalid;\n{names}}}\n\
         ssl_protocols TLSv1.2 TLSv1.3;\n\
         ssl_certificate \"{dir}/certificates/$certificate.pem\";\n\
         ssl_certificate_key \"{dir}/certificates/key.pem\";\n\
         {blocks}\
         }}\n"
    )
}

/// samba, with one share that guests may read.
pub(crate) fn samba(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "[global]\n\
         server role = standalone server\nnetbios name = LAB\nsmb ports = {SMB_PORT}\n\
         disable netbios = yes\nserver min protocol = SMB2\nmap to guest = Bad User\n\
         load printers = no\ndisable spoolss = yes\nlog level = 1\nmax log size = 0\n\
         pid directory = {dir}/samba\nlock directory = {dir}/samba\n\
         state directory = {dir}/samba\ncache directory = {dir}/samba\n\
         private dir = {dir}/samba\nncalrpc dir = {dir}/samba/ncalrpc\n\
         [share]\npath = {dir}/samba/share\nguest ok = yes\nread only = yes\n"
    )
}

/// haproxy, as a firewall's application rules: it takes every connection, reads the server name,
/// closes on the denied ones and carries the others to where they were going.
pub(crate) fn haproxy(dir: &Path, filter: &Filter) -> Vec<(String, String)> {
    let dir = dir.display();
    let (condition, names) =
        if filter.allow.is_empty() { ("", &filter.deny) } else { ("!", &filter.allow) };
    let end = match filter.ends {
        End::Fin => "reject",
        End::Silence => "silent-drop",
    };
    let config = format!(
        "global\n  maxconn 2000\n\
         defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n\
         frontend names\n  bind 0.0.0.0:{HAPROXY_PORT} transparent\n  bind [::]:{HAPROXY_PORT} v6only transparent\n\
         \x20 tcp-request inspect-delay 5s\n\
         \x20 tcp-request content {end} if {{ req.ssl_hello_type 1 }} {condition}{{ req.ssl_sni -i -f \"{dir}/filtered-names\" }}\n\
         \x20 tcp-request content accept if {{ req.ssl_hello_type 1 }}\n\
         \x20 default_backend origin\n\
         backend origin\n  server origin 0.0.0.0:0\n"
    );
    vec![
        ("filtered-names".to_owned(), names.join("\n") + "\n"),
        ("haproxy.conf".to_owned(), config),
    ]
}
