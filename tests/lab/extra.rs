//! What a world adds in the words of real software: records, servers, rules, the client's files.
//! Pure.

use std::fmt::Write as _;
use std::net::SocketAddrV4;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

use crate::blueprint::{Host, RESOLVER, find};
use crate::world::{Fault, Place, RecordsOf, Software};

/// Everything of a world that is not the same in all of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Extra {
    /// More servers.
    pub(crate) servers: Vec<Server>,
    /// nftables rules of the client.
    pub(crate) client_rules: String,
    /// The client's files in /etc.
    pub(crate) resolv_conf: String,
    pub(crate) hosts_file: String,
    /// Commands on the client.
    pub(crate) commands: Vec<String>,
}

/// One more server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) program: &'static str,
    pub(crate) arguments: Vec<String>,
    pub(crate) files: Vec<(String, String)>,
    pub(crate) sockets: Vec<SocketAddrV4>,
}

impl Extra {
    /// What these faults add.
    pub(crate) fn draw(dir: &Path, hosts: &[Host], faults: &[Fault]) -> Result<Self> {
        let mut resolv_conf = format!("nameserver {RESOLVER}\n");
        let mut hosts_file = "127.0.0.1 localhost\n::1 localhost\n".to_owned();
        let mut extra = Self::default();
        for fault in faults {
            match fault {
                Fault::ResolvConf { servers } => {
                    "# this world's servers\n".clone_into(&mut resolv_conf);
                    for server in servers {
                        let _ = writeln!(resolv_conf, "nameserver {server}");
                    }
                }
                Fault::HostsFile { lines } => {
                    hosts_file.push_str(&fill(&(lines.join("\n") + "\n"), dir, hosts)?);
                }
                Fault::Client { run } => {
                    for line in run {
                        extra.commands.push(fill(line, dir, hosts)?);
                    }
                }
                Fault::Server { software, listens, options, config, files } => {
                    let address = listens.first().context("`listens` is empty")?;
                    let name = format!("server-{}", extra.servers.len());
                    let text = text_of(*software, dir, *address, options, config);
                    let mut all = vec![(format!("{name}.conf"), fill(&text, dir, hosts)?)];
                    for (file, text) in files {
                        ensure!(!file.contains('/'), "`{file}` must be a plain file name");
                        all.push((file.clone(), fill(text, dir, hosts)?));
                    }
                    extra.servers.push(Server {
                        program: program(*software),
                        arguments: arguments(*software, &format!("{name}.conf")),
                        name,
                        files: all,
                        sockets: listens.clone(),
                    });
                }
                _ => {}
            }
        }
        let rules = rules(hosts, faults, Place::Client)?;
        extra.client_rules = format!(
            "flush ruleset\ntable inet client {{\n\
             chain output {{\ntype filter hook output priority filter; policy accept;\n{rules}}}\n}}\n"
        );
        Ok(Self { resolv_conf, hosts_file, ..extra })
    }
}

/// Puts addresses in the place of `{HOST}` and `{public:HOST}`.
fn fill(text: &str, dir: &Path, hosts: &[Host]) -> Result<String> {
    let mut text = text.replace("{dir}", &dir.to_string_lossy());
    for host in hosts {
        if !text.contains(&host.name) {
            continue;
        }
        text = text.replace(&format!("{{public:{}}}", host.name), &host.public.to_string());
        if let Some(address) = host.addresses().first() {
            text = text.replace(&format!("{{{}}}", host.name), &address.to_string());
        }
    }
    let left = text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).find(|(word, _)| {
        word.contains('.')
            && word.contains(|c: char| c.is_ascii_alphabetic())
            && !word.contains(char::is_whitespace)
    });
    match left {
        Some((word, _)) => bail!("the plan has no host for `{{{word}}}`"),
        None => Ok(text),
    }
}

// --------------------------------------------------------------------------------------- records

/// Data and whole lines that replace a host's own.
pub(crate) type Replaced<'a> = (&'a [String], &'a [String]);

/// What stands in the place of a host's records at a resolver.
pub(crate) fn records<'a>(
    faults: &'a [Fault],
    resolver: &str,
    host: &Host,
    wanted: RecordsOf,
) -> Option<Replaced<'a>> {
    faults.iter().find_map(|fault| match fault {
        Fault::Records { host: name, at, of, data, more }
            if *name == host.name
                && *of == wanted
                && (at.is_empty() || at.iter().any(|name| name == resolver)) =>
        {
            Some((data.as_slice(), more.as_slice()))
        }
        _ => None,
    })
}

/// Writes them under a name; data may name addresses of hosts.
pub(crate) fn write_records(zone: &mut String, name: &str, with: Replaced<'_>, hosts: &[Host]) {
    let (data, more) = with;
    for one in data {
        let one = fill(one, Path::new(""), hosts).unwrap_or_else(|_| one.clone());
        let _ = writeln!(zone, "{name}. 10 IN {one}");
    }
    for line in more {
        let _ = writeln!(zone, "{line}");
    }
}

// ----------------------------------------------------------------------------------------- rules

/// The rules that a world gives in nft's own words for a place.
pub(crate) fn rules(hosts: &[Host], faults: &[Fault], place: Place) -> Result<String> {
    let mut text = String::new();
    for fault in faults {
        if let Fault::Rules { at, rules } = fault
            && *at == place
        {
            let _ = writeln!(text, "{}", fill(&rules.join("\n"), Path::new(""), hosts)?);
        }
    }
    Ok(text)
}

/// The rules that send connections to another port.
pub(crate) fn redirects(hosts: &[Host], faults: &[Fault]) -> Result<String> {
    let mut text = String::new();
    for fault in faults {
        let Fault::Redirect { host, port, to } = fault else { continue };
        for address in find(hosts, host)?.addresses() {
            let family = if address.is_ipv4() { "ip" } else { "ip6" };
            let _ = writeln!(text, "{family} daddr {address} tcp dport {port} redirect to :{to}");
        }
    }
    Ok(text)
}

// --------------------------------------------------------------------------------------- servers

const fn program(software: Software) -> &'static str {
    match software {
        Software::Unbound => "unbound",
        Software::Bind => "named",
        Software::Dnsmasq => "dnsmasq",
        Software::Haproxy => "haproxy",
    }
}

fn arguments(software: Software, config: &str) -> Vec<String> {
    let words: &[&str] = match software {
        Software::Unbound => &["-d", "-p", "-c", config],
        // In the foreground, on one processor, as the user who starts it.
        Software::Bind => &["-g", "-n", "1", "-u", "root", "-c", config],
        Software::Dnsmasq => &["--keep-in-foreground", "--user=root", "-C", config],
        Software::Haproxy => &["-db", "-f", config],
    };
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// A configuration file: what every lab needs, then the world's own words.
fn text_of(
    software: Software,
    dir: &Path,
    listens: SocketAddrV4,
    options: &str,
    config: &str,
) -> String {
    let (address, port, dir) = (listens.ip(), listens.port(), dir.display());
    match software {
        Software::Unbound => format!(
            "server:\n\
             directory: \"{dir}\"\nchroot: \"\"\nusername: \"\"\npidfile: \"\"\n\
             do-daemonize: no\nuse-syslog: no\nlogfile: \"\"\nverbosity: 1\nnum-threads: 1\n\
             interface: {address}@{port}\nmodule-config: \"iterator\"\nqname-minimisation: no\n\
             do-not-query-localhost: no\nunblock-lan-zones: yes\ninsecure-lan-zones: yes\n\
             {options}\n{config}\n"
        ),
        Software::Bind => format!(
            "controls {{ }};\n\
             options {{\n\
             directory \"{dir}\"; pid-file none; session-keyfile none; dnssec-validation no;\n\
             listen-on port {port} {{ {address}; }}; listen-on-v6 {{ none; }};\n\
             empty-zones-enable no; {options}\n}};\n{config}\n"
        ),
        Software::Dnsmasq => format!(
            "port={port}\nlisten-address={address}\nbind-interfaces\nno-resolv\nno-hosts\n\
             cache-size=0\nlog-facility=-\n{options}\n{config}\n"
        ),
        Software::Haproxy => format!(
            "global\nmaxconn 2000\n{options}\n\
             defaults\nmode tcp\ntimeout connect 5s\ntimeout client 30s\ntimeout server 30s\n\
             {config}\n"
        ),
    }
}
