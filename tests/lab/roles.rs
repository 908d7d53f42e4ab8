//! Starts what stands between and what answers oddly, as a world needs them.

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};

use anyhow::Result;

use crate::blueprint::{self, Blueprint};
use crate::lab::{Lab, Wanted, everywhere};
use crate::middle::{self, Engine, HAPROXY_PORT, Root};
use crate::oddities::{self, SSH_PORT, WEBSOCKET_PORT};
use crate::servers;
use crate::squid;
use crate::stage::Role;
use crate::world::{Fault, World};

/// Where the program that delays packets says that it does.
const FAR_PORT: u16 = 20060;

impl Lab {
    /// Filters, inspection, proxies; and who trusts them.
    pub(crate) fn keep_middle(&mut self, world: &World, blueprint: &Blueprint) -> Result<()> {
        let dir = self.dir().to_owned();
        let sizes = |fault: &Fault| matches!(fault, Fault::LargePackets { .. });
        self.stage.set_wire_sizes(world.faults.iter().any(sizes))?;
        self.keep_delay(&world.faults)?;
        let inspection = middle::inspection(&world.faults);
        let trusted = inspection.is_some_and(|inspection| inspection.root == Root::HostStore);
        let root = self.authority.inspector_pem.as_str();
        self.stage.set_host_store(trusted.then_some(root))?;
        match middle::filter(&world.faults).filter(|filter| filter.by == Engine::Haproxy) {
            None => self.stop("haproxy")?,
            Some(filter) => {
                let wanted = Wanted {
                    role: Role::Firewall,
                    program: "haproxy",
                    files: servers::haproxy(&dir, filter),
                    sockets: vec![everywhere(HAPROXY_PORT)],
                };
                self.keep("haproxy", wanted, &["-db", "-f", "haproxy.conf"])?;
            }
        }
        let inspector = self.authority.inspector();
        match squid::draw(&dir, &world.faults, &inspector) {
            None => self.stop("squid"),
            Some(squid) => {
                self.keep_names(world, blueprint)?;
                fs::create_dir_all(dir.join("squid-pages"))?;
                let wanted = Wanted {
                    role: Role::Firewall,
                    program: "bash",
                    files: squid.files,
                    sockets: squid.sockets,
                };
                self.keep("squid", wanted, &["-c", squid::START])
            }
        }
    }

    /// How far away the services are.
    fn keep_delay(&mut self, faults: &[Fault]) -> Result<()> {
        let delay = faults.iter().find_map(|fault| match fault {
            Fault::Delay { milliseconds } => Some(milliseconds.to_string()),
            _ => None,
        });
        let Some(delay) = delay else { return self.stop("far") };
        let wanted = Wanted {
            role: Role::Firewall,
            program: "python3",
            files: vec![
                ("far.py".to_owned(), include_str!("far.py").to_owned()),
                // Another time is another program.
                ("far.delay".to_owned(), delay.clone()),
            ],
            sockets: vec![SocketAddrV4::new(Ipv4Addr::LOCALHOST, FAR_PORT)],
        };
        let servers = self.stage.name(Role::Servers);
        self.keep("far", wanted, &["far.py", &servers, &delay, &FAR_PORT.to_string()])
    }

    /// The DNS server of a squid in the path.
    fn keep_names(&mut self, world: &World, blueprint: &Blueprint) -> Result<()> {
        let dir = self.dir().to_owned();
        fs::create_dir_all(dir.join("squid-dns"))?;
        let filter = middle::filter(&world.faults);
        let denied = |name: &str| filter.is_some_and(|filter| filter.denies(name));
        let zone = blueprint::names_anywhere(&blueprint.hosts, denied);
        let config = servers::unbound(&dir, "squid-dns", Ipv4Addr::LOCALHOST, &[".".to_owned()]);
        let wanted = Wanted {
            role: Role::Firewall,
            program: "unbound",
            files: vec![
                ("squid-dns/.zone".to_owned(), zone),
                ("squid-dns.conf".to_owned(), config),
            ],
            sockets: vec![SocketAddrV4::new(Ipv4Addr::LOCALHOST, 53)],
        };
        self.keep("squid-dns", wanted, &["-d", "-p", "-c", "squid-dns.conf"])
    }

    /// Servers that answer oddly, in every world the same.
    pub(crate) fn keep_oddities(&mut self, blueprint: &Blueprint) -> Result<()> {
        let dir = self.dir().to_owned();
        let every = dir.join("every-host.pem");
        if !every.exists() {
            let names = blueprint.hosts.iter().map(|host| host.name.clone()).collect();
            fs::write(&every, self.authority.shared_pem(names)?)?;
        }
        let (nginx, haproxy) = oddities::some_ports();
        let wanted =
            |program, files, sockets| Wanted { role: Role::Servers, program, files, sockets };
        let port = WEBSOCKET_PORT.to_string();
        self.keep(
            "websocket",
            wanted(
                "/usr/bin/python3",
                vec![("websocket.py".to_owned(), include_str!("websocket.py").to_owned())],
                vec![SocketAddrV4::new(Ipv4Addr::LOCALHOST, WEBSOCKET_PORT)],
            ),
            &["websocket.py", &port],
        )?;
        let prefix = dir.to_string_lossy().into_owned();
        self.keep(
            "odd-nginx",
            wanted(
                "nginx",
                vec![("odd-nginx.conf".to_owned(), oddities::nginx(&dir, blueprint))],
                nginx.map(everywhere).to_vec(),
            ),
            &["-e", "stderr", "-p", &prefix, "-c", "odd-nginx.conf"],
        )?;
        self.keep(
            "odd-haproxy",
            wanted(
                "haproxy",
                vec![("odd-haproxy.conf".to_owned(), oddities::haproxy(&dir))],
                haproxy.map(everywhere).to_vec(),
            ),
            &["-db", "-f", "odd-haproxy.conf"],
        )?;
        let start = format!(
            "[ -e ssh-key ] || dropbearkey -t ecdsa -f ssh-key >/dev/null; \
             exec dropbear -F -E -s -r ssh-key -P ssh.pid -p {SSH_PORT}"
        );
        self.keep("ssh", wanted("bash", Vec::new(), vec![everywhere(SSH_PORT)]), &["-c", &start])
    }
}
