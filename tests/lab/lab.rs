//! The running lab: real servers on the stage, brought from one world to the next.
//!
//! A world is declared, not patched: every file of every server is drawn anew, and only servers
//! whose files changed are restarted. So nothing of the last world is left in the next one.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::blueprint::{Azure, Blueprint, RESOLVERS, SMB_PORT};
use crate::certificates::Authority;
use crate::extra::Extra;
use crate::middle::{self, Root};
use crate::plan::Plan;
use crate::servers;
use crate::stage::{Role, Stage};
use crate::world::{Form, Place, World};

/// Programs the lab cannot do without, and the Debian packages that have them.
const TOOLS: [(&str, &str); 20] = [
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("iptables-nft", "iptables"),
    ("setpriv", "util-linux"),
    ("sysctl", "procps"),
    ("bash", "bash"),
    ("unbound", "unbound"),
    ("named", "bind9"),
    ("dnsmasq", "dnsmasq-base"),
    ("nc", "netcat-openbsd"),
    ("nginx", "nginx"),
    ("haproxy", "haproxy"),
    ("squid", "squid-openssl"),
    ("dropbear", "dropbear-bin"),
    ("python3", "python3-websockets"),
    ("smbd", "samba"),
    ("smbclient", "smbclient"),
    ("dig", "bind9-dnsutils"),
    ("openssl", "openssl"),
    ("curl", "curl"),
];

/// How long a server may take to open its ports.
const START: Duration = Duration::from_secs(10);
/// How long a proof or a run of the program may take, in seconds.
const RUN_SECONDS: &str = "30";

/// Real servers on a stage. Fields go in this order: servers first, then the ground they stand on.
pub(crate) struct Lab {
    daemons: BTreeMap<String, Daemon>,
    rules: BTreeMap<&'static str, String>,
    certificates: BTreeMap<String, Option<Form>>,
    /// Variables of programs on the client.
    environment: BTreeMap<String, String>,
    /// Commands that made the client what it is.
    commands: Vec<String>,
    pub(crate) authority: Authority,
    azure: Azure,
    home: PathBuf,
    pub(crate) stage: Stage,
}

impl Lab {
    /// An empty lab; `home` is where its data files are.
    pub(crate) fn up(home: &Path) -> Result<Self> {
        require_root_and_tools()?;
        let azure = fs::read_to_string(home.join("azure.toml"))?;
        let lab = Self {
            daemons: BTreeMap::new(),
            rules: BTreeMap::new(),
            certificates: BTreeMap::new(),
            environment: BTreeMap::new(),
            commands: Vec::new(),
            authority: Authority::new()?,
            azure: toml::from_str(&azure).context("reading azure.toml")?,
            home: home.to_owned(),
            stage: Stage::up()?,
        };
        fs::write(lab.root_certificate(), &lab.authority.root_pem)?;
        fs::create_dir(lab.dir().join("certificates"))?;
        fs::write(lab.dir().join("certificates/key.pem"), lab.authority.key_pem())?;
        fs::create_dir_all(lab.dir().join("samba/share"))?;
        fs::write(lab.dir().join("samba/share/hello.txt"), "hello\n")?;
        Ok(lab)
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.stage.dir
    }

    /// The file with the lab's root.
    pub(crate) fn root_certificate(&self) -> PathBuf {
        self.dir().join("root.pem")
    }

    /// The program's configuration in a world.
    pub(crate) fn config(&self, world: &World) -> Result<PathBuf> {
        let text = fs::read_to_string(self.home.join(&world.config))
            .with_context(|| format!("reading {}", world.config))?;
        let path = self.dir().join("probes.toml");
        let mut ca = self.root_certificate();
        if middle::inspection(&world.faults).is_some_and(|i| i.root == Root::CaFiles) {
            ca.set_file_name("roots.pem");
            let Authority { root_pem, inspector_pem, .. } = &self.authority;
            fs::write(&ca, format!("{root_pem}{inspector_pem}"))?;
        }
        let mut text = text.replace("{ca}", &ca.to_string_lossy());
        for (usual, here) in &world.replace {
            ensure!(text.contains(usual), "`{usual}` is not in {}", world.config);
            text = text.replace(usual, here);
        }
        text.push_str(&world.add);
        fs::write(&path, text)?;
        Ok(path)
    }

    /// Makes the lab this world for the hosts of a plan.
    pub(crate) fn become_world(&mut self, world: &World, plan: &Plan) -> Result<()> {
        let blueprint = Blueprint::draw(plan, &self.azure, &world.faults)?;
        self.set_rules(Role::Servers, "servers", &blueprint.server_rules)?;
        if self.set_rules(Role::Firewall, "firewall", &blueprint.firewall_rules)? {
            for command in middle::commands(&world.faults) {
                self.stage.run(Role::Firewall, &command)?;
            }
        }
        self.write_certificates(&blueprint)?;
        let dir = self.dir().to_owned();
        for (name, address) in RESOLVERS {
            let zones = blueprint.zones.get(name).context("a resolver without zones")?;
            fs::create_dir_all(dir.join(name))?;
            let mut files: Vec<(String, String)> = zones
                .iter()
                .map(|(zone, text)| (format!("{name}/{zone}zone"), text.clone()))
                .collect();
            let names: Vec<String> = zones.keys().cloned().collect();
            let config = format!("{name}.conf");
            files.push((config.clone(), servers::unbound(&dir, name, address, &names)));
            let wanted = Wanted {
                role: Role::Servers,
                program: "unbound",
                files,
                sockets: vec![SocketAddrV4::new(address, 53)],
            };
            self.keep(name, wanted, &["-d", "-p", "-c", &config])?;
        }
        let ports = blueprint.tls_ports.iter().chain(&blueprint.http_ports);
        let sockets = ports.map(|port| everywhere(*port)).collect();
        let files = vec![("nginx.conf".to_owned(), servers::nginx(&dir, &blueprint))];
        let wanted = Wanted { role: Role::Servers, program: "nginx", files, sockets };
        let prefix = dir.to_string_lossy().into_owned();
        self.keep("nginx", wanted, &["-e", "stderr", "-p", &prefix, "-c", "nginx.conf"])?;
        let files = vec![("samba.conf".to_owned(), servers::samba(&dir))];
        let sockets = vec![everywhere(SMB_PORT)];
        let wanted = Wanted { role: Role::Servers, program: "smbd", files, sockets };
        let arguments = ["--foreground", "--no-process-group", "--debug-stdout", "-s"];
        self.keep("smbd", wanted, &[&arguments[..], &["samba.conf"]].concat())?;
        // First, because it may build the client anew.
        self.add(&Extra::draw(&dir, &blueprint.hosts, &world.faults)?)?;
        self.environment.clone_from(&world.environment);
        self.keep_oddities(&blueprint)?;
        self.keep_middle(world, &blueprint)
    }

    /// What this world has besides; what only the last one had goes.
    fn add(&mut self, extra: &Extra) -> Result<()> {
        let wanted = |name: &String| extra.servers.iter().any(|server| server.name == *name);
        let gone: Vec<String> = self
            .daemons
            .keys()
            .filter(|name| name.starts_with("server-") && !wanted(name))
            .cloned()
            .collect();
        for name in gone {
            self.stop(&name)?;
        }
        for server in &extra.servers {
            let arguments: Vec<&str> = server.arguments.iter().map(String::as_str).collect();
            let wanted = Wanted {
                role: Role::Servers,
                program: server.program,
                files: server.files.clone(),
                sockets: server.sockets.clone(),
            };
            self.keep(&server.name, wanted, &arguments)?;
        }
        self.stage.write_client_files(&extra.resolv_conf, &extra.hosts_file)?;
        if self.commands != extra.commands {
            if !self.commands.is_empty() {
                self.stage.rebuild_client()?;
            }
            self.commands.clone_from(&extra.commands);
            for command in &extra.commands {
                self.stage.run(Role::Client, command)?;
            }
        }
        self.set_rules(Role::Client, "client", &extra.client_rules).map(drop)
    }

    /// Says whether the rules were others before.
    fn set_rules(&mut self, role: Role, name: &'static str, rules: &str) -> Result<bool> {
        if self.rules.get(name).is_none_or(|current| current != rules) {
            self.stage.set_rules(role, rules)?;
            self.rules.insert(name, rules.to_owned());
            return Ok(true);
        }
        Ok(false)
    }

    /// nginx reads a certificate at each handshake, so new ones need no restart.
    fn write_certificates(&mut self, blueprint: &Blueprint) -> Result<()> {
        let names = blueprint.hosts.iter().map(|host| host.name.as_str());
        for name in names.chain(["other.invalid"]) {
            let form = blueprint.certificates.get(name).copied();
            if self.certificates.get(name) != Some(&form) {
                let path = self.dir().join("certificates").join(format!("{name}.pem"));
                fs::write(path, self.authority.chain_pem(name, form)?)
                    .with_context(|| format!("making a certificate for {name}"))?;
                self.certificates.insert(name.to_owned(), form);
            }
        }
        Ok(())
    }

    /// Runs a server with these files, anew if they changed.
    pub(crate) fn keep(&mut self, name: &str, wanted: Wanted, arguments: &[&str]) -> Result<()> {
        if let Some(daemon) = self.daemons.get_mut(name)
            && daemon.files == wanted.files
            && daemon.program == wanted.program
            && daemon.child.try_wait()?.is_none()
        {
            return Ok(());
        }
        self.stop(name)?;
        for (file, text) in &wanted.files {
            fs::write(self.dir().join(file), text)?;
        }
        let log = self.dir().join(format!("{name}.log"));
        let mut command = self.stage.command(wanted.role, wanted.program);
        command.args(arguments).current_dir(self.dir()).stdin(Stdio::null());
        command.stdout(File::create(&log)?).stderr(File::options().append(true).open(&log)?);
        let child = command.spawn().with_context(|| format!("starting {command:?}"))?;
        let mut daemon = Daemon { child, program: wanted.program, files: wanted.files };
        let ready = daemon.wait_until_listening(&wanted.sockets);
        self.daemons.insert(name.to_owned(), daemon);
        ready.with_context(|| {
            let log = fs::read_to_string(&log).unwrap_or_default();
            format!("{name} does not start; its log says:\n{log}")
        })
    }

    pub(crate) fn stop(&mut self, name: &str) -> Result<()> {
        if let Some(mut daemon) = self.daemons.remove(name) {
            daemon.child.kill()?;
            daemon.child.wait()?;
        }
        Ok(())
    }

    /// Rules beside the world's own, until the next world.
    pub(crate) fn apply_rules(&self, at: Place, rules: &str) -> Result<()> {
        self.stage.set_rules(role_of(at), rules)
    }

    /// What nft says of rules.
    pub(crate) fn list_rules(&self, at: Place, command: &str) -> Result<String> {
        let mut nft = self.stage.command(role_of(at), "nft");
        let output = nft.args(command.split_whitespace()).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// A program in the client's namespace, without proxies, knowing the lab's root.
    pub(crate) fn client(&self, program: &Path) -> Command {
        let mut command = self.stage.command(Role::Client, program);
        command.current_dir(self.dir()).env("LAB_CA", self.root_certificate());
        for name in ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        for name in ["SSL_CERT_FILE", "SSL_CERT_DIR", "RES_OPTIONS", "LOCALDOMAIN"] {
            command.env_remove(name);
        }
        command.envs(&self.environment);
        command
    }

    /// The same, to its end, which comes within a bounded time.
    pub(crate) fn run_in_client(&self, program: &Path, arguments: &[&str]) -> Result<Output> {
        let mut command = self.client(Path::new("timeout"));
        command.arg(RUN_SECONDS).arg(program).args(arguments).stdin(Stdio::null());
        command.output().with_context(|| format!("starting {command:?}"))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for daemon in self.daemons.values_mut() {
            let _ = daemon.child.kill();
            let _ = daemon.child.wait();
        }
    }
}

/// A server as it should run.
pub(crate) struct Wanted {
    pub(crate) role: Role,
    pub(crate) program: &'static str,
    /// Its files, by path in the lab's folder.
    pub(crate) files: Vec<(String, String)>,
    /// It is ready when it listens on all of these.
    pub(crate) sockets: Vec<SocketAddrV4>,
}

const fn role_of(place: Place) -> Role {
    match place {
        Place::Client => Role::Client,
        Place::Firewall => Role::Firewall,
        Place::Server => Role::Servers,
    }
}

/// On every IPv4 address.
pub(crate) const fn everywhere(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port)
}

struct Daemon {
    child: Child,
    program: &'static str,
    files: Vec<(String, String)>,
}

impl Daemon {
    /// A listening socket takes connections and datagrams at once, even if the server reads
    /// them a moment later; the process's own /proc shows the sockets of its namespace.
    fn wait_until_listening(&mut self, sockets: &[SocketAddrV4]) -> Result<()> {
        let proc = Path::new("/proc").join(self.child.id().to_string());
        let outside = fs::read_link("/proc/self/ns/net")?;
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status}");
            }
            let inside = fs::read_link(proc.join("ns/net")).is_ok_and(|ns| ns != outside);
            let table = fs::read_to_string(proc.join("net/tcp")).unwrap_or_default();
            if inside && sockets.iter().all(|socket| is_listening(&table, *socket)) {
                return Ok(());
            }
            ensure!(began.elapsed() < START, "it does not listen on {sockets:?} after {START:?}");
            // Nothing is assumed to have happened meanwhile: this only spares the processor.
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Looks for a socket in `/proc/PID/net/tcp`: the second column is the local address in the
/// machine's byte order and the port, the fourth the state, of which 0A is LISTEN.
fn is_listening(table: &str, socket: SocketAddrV4) -> bool {
    let address = u32::from_ne_bytes(socket.ip().octets());
    let local = format!("{address:08X}:{:04X}", socket.port());
    table.lines().any(|line| {
        let mut columns = line.split_whitespace().skip(1);
        columns.next() == Some(local.as_str()) && columns.nth(1) == Some("0A")
    })
}

/// Fails with what to do about it.
fn require_root_and_tools() -> Result<()> {
    let status = fs::read_to_string("/proc/self/status")?;
    let root = status.lines().any(|line| {
        line.strip_prefix("Uid:").is_some_and(|ids| ids.split_whitespace().nth(1) == Some("0"))
    });
    ensure!(root, "the lab makes network namespaces and needs root: run the tests as root");
    let path = std::env::var("PATH").unwrap_or_default();
    let missing: Vec<&str> = TOOLS
        .iter()
        .filter(|(tool, _)| !path.split(':').any(|folder| Path::new(folder).join(tool).exists()))
        .map(|(_, package)| *package)
        .collect();
    ensure!(
        missing.is_empty(),
        "the lab needs programs that are not on PATH ({path}): apt-get install {}",
        missing.join(" ")
    );
    Ok(())
}
