//! Three network namespaces, joined in a row, and their removal.
//!
//! client (10.20.0.4) — firewall — servers (private endpoints 172.16.0.0/25, public addresses
//! 203.0.113.0/24, DNS 10.30.0.53 and 168.63.129.16), all with IPv6 beside. Nothing of it is in
//! the machine's own namespace but the names, and those carry this process's id and a number, for
//! a process may have several stages: whoever finds one without its process may remove it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use crate::blueprint::{REFERENCE, RESOLVER};
use crate::middle::FILTER_MARK;

/// How every name begins.
const PREFIX: &str = "vnetprobe-lab-";
/// The firewall's routing table that gives packets to its own name filter.
const FILTER_TABLE: u32 = 100;

/// The namespaces in the order of a packet's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Where vnetprobe runs.
    Client,
    /// Between.
    Firewall,
    /// Everything that answers.
    Servers,
}

impl Role {
    const ALL: [Self; 3] = [Self::Client, Self::Firewall, Self::Servers];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Firewall => "firewall",
            Self::Servers => "servers",
        }
    }
}

/// How many stages this process has built. Whoever holds it builds alone: the folders above the
/// names are shared.
static BUILT: Mutex<u32> = Mutex::new(0);

/// The namespaces and the folder of one lab. They go when this goes.
#[derive(Debug)]
pub(crate) struct Stage {
    /// In every name: this process's id, and which of its stages it is.
    id: String,
    /// Configuration, certificates, logs.
    pub(crate) dir: PathBuf,
    /// Takes the stage down when this process ends in any other way than by dropping it.
    sweeper: Child,
}

impl Stage {
    /// Builds everything anew, after removing what dead processes left.
    pub(crate) fn up() -> Result<Self> {
        let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
        if *built == 0 {
            remove_leftovers()?;
        }
        *built += 1;
        let id = format!("{}-{built}", std::process::id());
        // From here on the guards exist: whatever fails below is taken down again.
        let sweeper = start_sweeper(&id)?;
        let stage = Self { dir: folder_of(&id), id, sweeper };
        fs::create_dir_all(&stage.dir)?;
        // squid gives up root and still has to reach its files.
        fs::set_permissions(&stage.dir, fs::Permissions::from_mode(0o755))?;
        for role in Role::ALL {
            run("ip", ["netns", "add", &stage.name(role)])?;
            stage.write_etc(role)?;
        }
        stage.wire()?;
        Ok(stage)
    }

    pub(crate) fn name(&self, role: Role) -> String {
        name_of(&self.id, role)
    }

    /// A program inside a namespace. It dies with this thread, even if this process is killed.
    pub(crate) fn command(&self, role: Role, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name(role), "setpriv", "--pdeathsig", "KILL"]);
        command.arg(program);
        command
    }

    /// Replaces a namespace's packet rules at once.
    pub(crate) fn set_rules(&self, role: Role, rules: &str) -> Result<()> {
        let mut command = self.command(role, "nft");
        command.args(["-f", "-"]);
        feed(command, rules).with_context(|| format!("nftables rules were:\n{rules}"))
    }

    /// `ip netns exec` binds these over /etc.
    fn write_etc(&self, role: Role) -> Result<()> {
        let dir = etc_of(&self.name(role));
        // Whoever removed the last other name may take the folder above away meanwhile.
        if fs::create_dir_all(&dir).is_err() {
            fs::create_dir_all(&dir)?;
        }
        let resolv = match role {
            Role::Client => format!("nameserver {RESOLVER}\n"),
            Role::Firewall | Role::Servers => "# no names here\n".to_owned(),
        };
        fs::write(dir.join("resolv.conf"), resolv)?;
        fs::write(dir.join("hosts"), "127.0.0.1 localhost\n::1 localhost\n")?;
        fs::write(dir.join("nsswitch.conf"), "passwd: files\ngroup: files\nhosts: files dns\n")?;
        Ok(())
    }

    /// The client's own files in /etc.
    pub(crate) fn write_client_files(&self, resolv_conf: &str, hosts: &str) -> Result<()> {
        let dir = etc_of(&self.name(Role::Client));
        fs::write(dir.join("resolv.conf"), resolv_conf)?;
        fs::write(dir.join("hosts"), hosts)?;
        Ok(())
    }

    /// A command for bash in a namespace, as root.
    pub(crate) fn run(&self, role: Role, line: &str) -> Result<()> {
        let mut command = self.command(role, "bash");
        command.args(["-e", "-c", line]);
        finish(command)
    }

    /// Whether packets are cut to size as on a wire, so that a rule about sizes means them; usually
    /// the kernel hands over many at once.
    pub(crate) fn set_wire_sizes(&self, wire: bool) -> Result<()> {
        let segments = if wire { 1 } else { 65535 };
        for (role, link) in [(Role::Client, "eth0"), (Role::Servers, "eth0")] {
            batch(
                &["-n", &self.name(role)],
                &format!("link set {link} gso_max_segs {segments}\n"),
            )?;
        }
        Ok(())
    }

    /// What the client's own root store holds, if it is not the machine's.
    pub(crate) fn set_host_store(&self, pem: Option<&str>) -> Result<()> {
        let ssl = etc_of(&self.name(Role::Client)).join("ssl");
        let Some(pem) = pem else {
            if ssl.exists() {
                fs::remove_dir_all(&ssl)?;
            }
            return Ok(());
        };
        fs::create_dir_all(ssl.join("certs"))?;
        fs::write(ssl.join("openssl.cnf"), "# nothing is configured\n")?;
        fs::write(ssl.join("certs/ca-certificates.crt"), pem)?;
        Ok(())
    }

    /// Takes away whatever commands did to the client's interfaces and ports, and joins it again.
    pub(crate) fn rebuild_client(&self) -> Result<()> {
        self.run(
            Role::Client,
            "sysctl -qw net.ipv4.ip_local_reserved_ports= 'net.ipv4.ip_local_port_range=32768 60999'; for link in $(ls /sys/class/net); do \
             [ $link = lo ] || ip link delete $link 2>/dev/null || true; done; \
             ip route flush table main; ip -6 route flush table main",
        )?;
        self.join_client()
    }

    fn join_client(&self) -> Result<()> {
        let [client, firewall, _] = Role::ALL.map(|role| self.name(role));
        batch(
            &[],
            &format!("link add eth0 netns {client} type veth peer name client netns {firewall}\n"),
        )?;
        batch(
            &["-n", &client],
            "link set lo up\nlink set eth0 up\n\
             addr add 10.20.0.4/24 dev eth0\naddr add fd00:20::4/64 dev eth0 nodad\n",
        )?;
        batch(
            &["-n", &firewall],
            "link set client up\n\
             addr add 10.20.0.1/24 dev client\naddr add fd00:20::1/64 dev client nodad\n",
        )?;
        batch(
            &["-n", &client],
            "route add default via 10.20.0.1\nroute add default via fd00:20::1\n",
        )
    }

    fn wire(&self) -> Result<()> {
        let [_, firewall, servers] = Role::ALL.map(|role| self.name(role));
        for role in Role::ALL {
            let mut command = self.command(role, "sysctl");
            // No waiting for duplicate addresses, and a firewall that forwards.
            command.args(["-qw", "net.ipv6.conf.all.accept_dad=0"]);
            command.args(["net.ipv6.conf.default.accept_dad=0"]);
            if role == Role::Firewall {
                command.args(["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"]);
            }
            finish(command)?;
        }
        self.join_client()?;
        batch(
            &[],
            &format!(
                "link add servers netns {firewall} type veth peer name eth0 netns {servers}\n"
            ),
        )?;
        batch(
            &["-n", &firewall],
            &format!(
                "link set lo up\nlink set servers up\n\
                 addr add 10.30.0.1/24 dev servers\naddr add fd00:30::1/64 dev servers nodad\n\
                 route add 172.16.0.0/15 via {RESOLVER}\nroute add 203.0.113.0/24 via {RESOLVER}\n\
                 route add {REFERENCE} via {RESOLVER}\nroute add 2001:db8::/64 via fd00:30::53\n"
            ),
        )?;
        for family in ["-4", "-6"] {
            batch(
                &["-n", &firewall, family],
                &format!(
                    "rule add fwmark {FILTER_MARK} lookup {FILTER_TABLE}\n\
                     route add local default dev lo table {FILTER_TABLE}\n"
                ),
            )?;
        }
        // Whole ranges are local to the servers, so that hosts come and go without a command.
        batch(
            &["-n", &servers],
            &format!(
                "link set lo up\nlink set eth0 up\n\
                 addr add {RESOLVER}/24 dev eth0\naddr add fd00:30::53/64 dev eth0 nodad\n\
                 addr add {REFERENCE}/32 dev lo\n\
                 addr add 10.30.0.54/32 dev lo\naddr add 10.30.0.55/32 dev lo\n\
                 route add local 172.16.0.0/25 dev lo\nroute add local 203.0.113.0/24 dev lo\n\
                 route add local 2001:db8::/64 dev lo\n\
                 route add default via 10.30.0.1\nroute add default via fd00:30::1\n"
            ),
        )
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        remove(&self.id);
        self.sweeper.stdin.take();
        let _ = self.sweeper.wait();
    }
}

/// The word that makes this program a sweeper.
pub(crate) const SWEEP: &str = "sweep";

/// A process of its own group, so that Ctrl-C does not reach it; its input ends when we do.
fn start_sweeper(id: &str) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([SWEEP, id]).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().with_context(|| format!("starting {command:?}"))
}

/// Waits for the end of its input, which is the end of a process, and removes what that left.
pub(crate) fn sweep(id: Option<String>) -> Result<()> {
    let id = id.context("whose stage?")?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    // More than once, for a command that was under way may have built one more thing.
    for _ in 0..20 {
        if !exists(&id) {
            break;
        }
        remove(&id);
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Takes down a stage; what is not there is not missed.
fn remove(id: &str) {
    for role in Role::ALL {
        let name = name_of(id, role);
        if let Ok(pids) = run("ip", ["netns", "pids", &name]) {
            // Only what runs inside the namespace, and nobody else's process is ever there.
            for pid in pids.split_whitespace() {
                let _ = run("kill", ["-KILL", pid]);
            }
        }
        let _ = run("ip", ["netns", "delete", &name]);
        let _ = fs::remove_dir_all(etc_of(&name));
    }
    // Goes only if it is empty, which means that nobody else uses it.
    let _ = fs::remove_dir("/etc/netns");
    let _ = fs::remove_dir_all(folder_of(id));
}

/// Whether anything of a stage is still there.
fn exists(id: &str) -> bool {
    folder_of(id).exists()
        || Role::ALL.into_iter().any(|role| {
            let name = name_of(id, role);
            etc_of(&name).exists() || Path::new("/run/netns").join(&name).exists()
        })
}

/// Whether anything of this process's stages is still there.
pub(crate) fn remains() -> Result<bool> {
    let own = std::process::id();
    Ok(all()?.iter().any(|id| process_of(id) == Some(own)))
}

fn remove_leftovers() -> Result<()> {
    let own = std::process::id();
    for id in all()? {
        // This process has built nothing yet, so what bears its id is of one that had it before.
        let alive = |process: u32| Path::new("/proc").join(process.to_string()).exists();
        if process_of(&id).is_some_and(|process| process == own || !alive(process)) {
            remove(&id);
        }
    }
    Ok(())
}

/// Every stage on this machine, whole or in parts.
fn all() -> Result<BTreeSet<String>> {
    let mut ids = BTreeSet::new();
    for folder in ["/run/netns".into(), "/etc/netns".into(), std::env::temp_dir()] {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            ids.extend(id_in(&entry?.file_name().to_string_lossy()));
        }
    }
    Ok(ids)
}

/// The stage that a namespace's or folder's name belongs to.
fn id_in(name: &str) -> Option<String> {
    let mut parts = name.strip_prefix(PREFIX)?.split('-');
    let (process, number): (u32, u32) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some(format!("{process}-{number}"))
}

fn process_of(id: &str) -> Option<u32> {
    id.split('-').next()?.parse().ok()
}

fn name_of(id: &str, role: Role) -> String {
    format!("{PREFIX}{id}-{}", role.as_str())
}

fn folder_of(id: &str) -> PathBuf {
    std::env::temp_dir().join(format!("{PREFIX}{id}"))
}

fn etc_of(namespace: &str) -> PathBuf {
    Path::new("/etc/netns").join(namespace)
}

// ------------------------------------------------------------------------------------ commands

fn batch(options: &[&str], lines: &str) -> Result<()> {
    let mut command = Command::new("ip");
    command.args(options).args(["-batch", "-"]);
    feed(command, lines).with_context(|| format!("the lines for `ip` were:\n{lines}"))
}

fn feed(mut command: Command, input: &str) -> Result<()> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("starting {command:?}"))?;
    child.stdin.take().context("no standard input")?.write_all(input.as_bytes())?;
    judge(&command, &child.wait_with_output()?)
}

fn finish(mut command: Command) -> Result<()> {
    let output = command.output().with_context(|| format!("starting {command:?}"))?;
    judge(&command, &output)
}

fn judge(command: &Command, output: &Output) -> Result<()> {
    ensure!(
        output.status.success(),
        "{command:?} ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

fn run<const N: usize>(program: &str, arguments: [&str; N]) -> Result<String> {
    let output = Command::new(program).args(arguments).output()?;
    if !output.status.success() {
        bail!("{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
