//! A new user on a clean Debian 12, and the package's whole life after that day.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test makes its world"
)]

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::built::{Built, VERSION, built, repository};
use crate::machine::{Groups, Machine};
use crate::process::{Process, alone, folder, needs};

/// What was typed and what came back, as docs/deploy-transcript.md shows it.
#[derive(Debug)]
struct Transcript<'m> {
    machine: &'m Machine,
    text: String,
}

impl Transcript<'_> {
    fn says(&mut self, sentence: &str) {
        writeln!(self.text, "\n{sentence}\n").unwrap();
    }

    #[track_caller]
    fn types(&mut self, command: &str) -> String {
        let output = self.machine.run(command).stdout;
        // Progress that a terminal would have overwritten.
        writeln!(self.text, "```console\n# {command}").unwrap();
        for line in output.lines().filter(|line| !line.starts_with("(Reading database")) {
            writeln!(self.text, "{}", line.trim_end()).unwrap();
        }
        writeln!(self.text, "```").unwrap();
        output
    }

    /// Compares what was typed with the document; what came back differs from day to day.
    fn is_the_document(&self) {
        let path = repository("docs/deploy-transcript.md");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&path, &self.text).unwrap();
        }
        let typed = |text: &str| -> Vec<String> {
            text.lines()
                .filter(|line| !line.starts_with("  "))
                .filter(|line| line.starts_with("# "))
                .map(str::to_owned)
                .collect()
        };
        assert_eq!(
            typed(&fs::read_to_string(&path).unwrap()),
            typed(&self.text),
            "docs/deploy-transcript.md shows other commands; UPDATE_EXPECT=1 records them anew"
        );
    }
}

/// Names as a VNet answers that forgot the private endpoint of the storage account.
fn dns_server() -> Process {
    needs("dnsmasq", "dnsmasq-base");
    let mut command = Command::new("dnsmasq");
    command.args(["--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts"]);
    command.args(["--user=root", "--listen-address=127.0.0.1", "--bind-interfaces", "--pid-file="]);
    command.args(["--address=/#/", "--address=/mlstore.blob.core.usgovcloudapi.net/20.140.1.1"]);
    let server = Process::start(&mut command);
    server.says("started");
    server
}

/// The pack that the package brought, for one daemon here; minutes are seconds.
fn monitoring(machine: &Machine) -> TempDir {
    let shipped = |name: &str| {
        fs::read_to_string(machine.path(&format!("/usr/share/vnetprobe/prometheus/{name}")))
            .unwrap()
    };
    let scrapes = shipped("prometheus.yml").replace("30s", "1s");
    let rules = shipped("vnetprobe.rules.yml").replace("for: 2m", "for: 2s");
    let vnets = "- targets: [\"127.0.0.1:19115\"]\n  labels: { vnet: vnet-research }\n";
    let files = folder(&[("prometheus.yml", &scrapes), ("vnetprobe.rules.yml", &rules)]);
    fs::create_dir(files.path().join("vnets")).unwrap();
    fs::write(files.path().join("vnets/research.yml"), vnets).unwrap();
    files
}

fn first_day(machine: &Machine) {
    let mut user = Transcript { machine, text: String::new() };
    user.text.push_str(
        "# A first day\n\nTyped as root on a clean Debian 12 that booted for this; recorded by `tests/deploy`, which types \
         the\nsame again in `make test`. The network is a stand-in: one DNS server, which knows the storage\naccount by a \
         public address only.\n",
    );
    user.says(
        "Install the package. It starts by itself, with the hosts that every workspace needs.",
    );
    assert!(user.types("cat /etc/debian_version").starts_with("12."));
    user.types(&format!("apt-get install -y -qq ./vnetprobe_{VERSION}_amd64.deb"));
    assert!(user.types("systemctl is-active vnetprobe").starts_with("active"));

    user.says("Edit five lines: what is the workspace called?");
    user.types(
        "sed -i '/^.workspace/,/^.network/ {
    s/^# region = .*/region = \"usgovvirginia\"/
    s/^# name = .*/name = \"mlw-research\"/
    s/^# storage_account = .*/storage_account = \"mlstore\"/
    s/^# key_vault = .*/key_vault = \"mlvault\"/
    s/^# container_registry = .*/container_registry = \"mlacr\"/
}' /etc/vnetprobe/probes.toml",
    );
    let five = user
        .types("diff /usr/share/doc/vnetprobe/probes.toml /etc/vnetprobe/probes.toml | grep '^>'");
    assert_eq!(five.lines().count(), 5, "{five}");
    assert!(user.types("vnetprobe validate").contains("ok"));
    user.types("systemctl reload vnetprobe");

    user.says("Look. The page is for a browser (`ssh -L 19115:127.0.0.1:19115 jump-box`); the service says it in a line.");
    machine.comes_to("curl -sS http://127.0.0.1:19115/-/ready", "ready");
    let finding = "mlstore.blob.core.usgovcloudapi.net";
    machine.comes_to("curl -sS http://127.0.0.1:19115/api/v1/findings", finding);
    let page = user.types("curl -sS http://127.0.0.1:19115/ | grep -o '<title>[^<]*' | head -1");
    assert!(page.contains("vnetprobe"), "{page}");
    let status = "systemctl show --property=StatusText vnetprobe";
    machine.comes_to(status, " block");
    user.types(status);
    let found = user.types("vnetprobe check --host 'mlstore.blob.*' | head -20");
    assert!(found.contains(finding), "{found}");

    user.says(
        "What happened, in the journal by its fields, and in the file that outlives the process.",
    );
    let logged = "journalctl -u vnetprobe -o cat VNETPROBE_CAUSE=private_endpoint_missing";
    machine.comes_to(logged, finding);
    user.types(&format!("{logged} | head -1"));
    machine.comes_to("vnetprobe history", finding);
    let past = user.types("vnetprobe history --check 'storage-blob@*'");
    assert!(past.contains(finding), "{past}");

    user.says("The metrics, and the alert that a Prometheus makes of them with the files that the package brought (its minutes are seconds here).");
    let metrics =
        user.types("curl -sS http://127.0.0.1:19115/metrics | grep '^vnetprobe_scenario_ready'");
    assert!(metrics.lines().any(|line| line.ends_with(" 0")), "{metrics}");
    let pack = user.types("find /usr/share/vnetprobe -type f | sort");
    assert_eq!(pack.lines().count(), 5, "{pack}");
    needs("prometheus", "prometheus");
    let files = monitoring(machine);
    let mut command = Command::new("prometheus");
    command
        .current_dir(files.path())
        .args(["--config.file=prometheus.yml", "--web.listen-address=127.0.0.1:9090"]);
    let _prometheus = Process::start(&mut command);
    let alerts =
        "curl -sS http://127.0.0.1:9090/api/v1/alerts | grep -o '\"summary\":\"Blocked[^}]*}[^}]*'";
    // A scrape that misses its second leaves the names out until the next.
    machine.comes_to(&format!("{alerts} | grep studio"), "\"state\":\"firing\"");
    let fired = user.types(alerts);
    assert!(fired.contains("Blocked in vnet-research: "), "{fired}");
    user.is_the_document();
}

/// A change of state is a record with fields, and history is a file of the daemon's own.
fn remembered(machine: &Machine) {
    let records = machine.does("journalctl -o json -u vnetprobe VNETPROBE_STATUS=fail");
    let record: Value = serde_json::from_str(records.lines().next().unwrap()).unwrap();
    for (field, value) in [
        ("PRIORITY", "4"),
        ("SYSLOG_IDENTIFIER", "vnetprobe"),
        ("_SYSTEMD_UNIT", "vnetprobe.service"),
        ("_TRANSPORT", "journal"),
        ("VNETPROBE_WAS", "unknown"),
    ] {
        assert_eq!(record[field], value, "{record:#}");
    }
    for field in ["MESSAGE", "VNETPROBE_CHECK", "VNETPROBE_CAUSE"] {
        assert!(!record[field].as_str().unwrap().is_empty(), "{record:#}");
    }
    let owner = machine.does("stat -c %u /var/lib/vnetprobe/history.sqlite");
    assert_ne!(owner, "0\n");
    assert_eq!(machine.does("stat -c %a /var/lib/vnetprobe/history.sqlite"), "600\n");
    machine.comes_to(
        "curl -sS http://127.0.0.1:19115/metrics | grep ^vnetprobe_history_writable",
        " 1",
    );
}

/// The real systemd keeps what the unit promises.
fn confined(machine: &Machine) {
    let status = machine.does("cat /proc/$(systemctl show -P MainPID vnetprobe)/status");
    for line in
        ["CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"]
    {
        assert!(status.contains(line), "no {line:?} in {status}");
    }
    assert!(!status.contains("Uid:\t0\t"), "{status}");
    assert_eq!(machine.does("readlink /var/lib/vnetprobe"), "private/vnetprobe\n");
    machine.does("systemd-analyze verify --man=no vnetprobe.service");
    // A daemon that hangs is started again.
    machine.does("mkdir -p /run/systemd/system/vnetprobe.service.d && printf '[Service]\\nWatchdogSec=2\\nRestartSec=100ms\\n' > /run/systemd/system/vnetprobe.service.d/quick.conf && systemctl daemon-reload && systemctl restart vnetprobe");
    machine.does("kill -STOP $(systemctl show -P MainPID vnetprobe)");
    machine.comes_to("systemctl show -P NRestarts vnetprobe", "1");
    machine.comes_to("systemctl is-active vnetprobe", "active\n");
    assert!(machine.does("journalctl -u vnetprobe").contains("Watchdog timeout"));
    machine.does("rm -r /run/systemd/system/vnetprobe.service.d && systemctl daemon-reload");
    // A mistake in the configuration is told and not tried again and again.
    machine.does(
        "cp /etc/vnetprobe/probes.toml /root/ && echo 'mistake = 1' >> /etc/vnetprobe/probes.toml",
    );
    assert_ne!(machine.run("systemctl restart vnetprobe").code, Some(0));
    assert_eq!(machine.does("systemctl show -P ExecMainStatus vnetprobe"), "2\n");
    assert!(machine.does("journalctl -u vnetprobe -n 20").contains("probes.toml:"));
    machine.does("cp /root/probes.toml /etc/vnetprobe/ && systemctl restart vnetprobe");
}

/// The same package under another version, with or without a change to the shipped configuration.
fn next(machine: &Machine, built: &Built, version: &str, changed: bool) {
    let work = folder(&[]);
    let tree = work.path().join("tree");
    let done = Command::new("dpkg-deb").arg("-R").arg(&built.package).arg(&tree).status().unwrap();
    assert!(done.success());
    let control = tree.join("DEBIAN/control");
    let text = fs::read_to_string(&control).unwrap();
    fs::write(
        &control,
        text.replace(&format!("Version: {VERSION}"), &format!("Version: {version}")),
    )
    .unwrap();
    if changed {
        let config = tree.join("etc/vnetprobe/probes.toml");
        let shipped = fs::read_to_string(&config).unwrap();
        fs::write(&config, shipped + "\n# Shipped later.\n").unwrap();
    }
    let to = machine.path("/root/next.deb");
    let mut pack = Command::new("dpkg-deb");
    pack.args(["--root-owner-group", "-Zgzip", "-z1", "-b"]).arg(&tree).arg(&to);
    assert!(pack.output().unwrap().status.success());
}

fn later_life(machine: &Machine, built: &Built) {
    let edited = machine.does("cat /etc/vnetprobe/probes.toml");
    let before = machine.does("systemctl show -P MainPID vnetprobe");
    next(machine, built, "8.1", false);
    machine.does("dpkg -i /root/next.deb < /dev/null");
    assert_eq!(machine.does("cat /etc/vnetprobe/probes.toml"), edited, "kept without a question");
    assert_ne!(machine.does("systemctl show -P MainPID vnetprobe"), before, "the new one runs");

    next(machine, built, "8.2", true);
    machine.does("dpkg --force-confold -i /root/next.deb < /dev/null");
    assert_eq!(machine.does("cat /etc/vnetprobe/probes.toml"), edited);
    assert!(machine.does("cat /etc/vnetprobe/probes.toml.dpkg-dist").contains("# Shipped later."));
    assert_eq!(machine.does("dpkg-query -W -f '${Version}' vnetprobe"), "8.2");
    machine.comes_to("systemctl is-active vnetprobe", "active\n");
    // The first day is known after kills, restarts and upgrades.
    let past = machine.does("vnetprobe history --limit 1000");
    assert!(past.contains("mlstore.blob.core.usgovcloudapi.net"), "{past}");

    machine.does("dpkg -r vnetprobe");
    assert_ne!(machine.run("systemctl is-active vnetprobe").code, Some(0));
    assert_eq!(machine.does("cat /etc/vnetprobe/probes.toml"), edited, "removal keeps it");
    assert_ne!(machine.run("pgrep vnetprobe || command -v vnetprobe").code, Some(0));

    machine.does("dpkg --purge vnetprobe");
    let left = machine.does("find / -xdev -iname '*vnetprobe*' ! -path '/proc/*' ! -path '/sys/*'; find /etc/systemd -xtype l");
    assert_eq!(left, "", "left behind");
}

#[test]
fn a_first_day_and_a_whole_life() {
    let built = built();
    let _groups = Groups;
    alone(|| {
        let _dns = dns_server();
        let machine = Machine::boots();
        let name = built.package.file_name().unwrap().to_string_lossy();
        fs::copy(&built.package, machine.path(&format!("/root/{name}"))).unwrap();
        // A person's shell begins at home.
        first_day(&machine);
        remembered(&machine);
        confined(&machine);
        machine.does(&format!("rm /root/{name}"));
        later_life(&machine, built);
    });
}
