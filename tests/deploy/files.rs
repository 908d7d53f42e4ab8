//! The unit, the manifests, the cloud-init and the setup script, each judged by the tool that reads it.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test makes its world"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::built::{VERSION, built, repository, target};
use crate::process::{Ended, Process, folder, needs, run};

fn does(command: &mut Command) -> Ended {
    Process::start(command).ended().expect(0)
}

fn read(path: &str) -> String {
    fs::read_to_string(repository(path)).unwrap()
}

#[test]
fn the_unit_is_exposed_by_less_than_1_5() {
    needs("systemd-analyze", "systemd");
    // The threshold is in tenths.
    let mut command = Command::new("systemd-analyze");
    command.args(["security", "--no-pager", "--offline=true", "--threshold=14"]);
    let judged = does(command.arg(repository("deploy/vnetprobe.service")));
    assert!(judged.stdout.contains("Overall exposure level"), "{}", judged.stdout);
}

/// A tool of scripts/setup-deploy.
fn tool(path: &str) -> PathBuf {
    let tools = target().join("tools");
    let found =
        fs::read_dir(&tools).into_iter().flatten().flatten().map(|entry| entry.path().join(path));
    found
        .filter(|tool| tool.exists())
        .max()
        .unwrap_or_else(|| panic!("no {path} in {}: run scripts/setup", tools.display()))
}

/// Every port that a daemon may have to reach, by all catalogs.
fn ports() -> BTreeSet<(u64, String)> {
    let mut ports = BTreeSet::new();
    for cloud in ["usgovernment", "public", "china"] {
        let catalog: toml::Table = toml::from_str(&read(&format!("catalog/{cloud}.toml"))).unwrap();
        for row in catalog["requirement"].as_array().unwrap() {
            if row.get("direction").and_then(toml::Value::as_str) == Some("inbound") {
                continue;
            }
            for port in row["ports"].as_array().unwrap() {
                // "any" in a document is TCP where there is something to check.
                let transport = row["transport"].as_str().unwrap().replace("any", "tcp");
                ports.insert((port.as_integer().unwrap().unsigned_abs(), transport));
            }
        }
    }
    ports
}

#[test]
fn the_manifests_are_valid_restricted_and_fit_together() {
    let python = tool("bin/python");
    let ports = serde_json::to_string(&ports()).unwrap();
    assert!(ports.contains("[443,\"tcp\"]"), "{ports}");
    let mut command = Command::new(python);
    command.arg(repository("tests/deploy/manifests.py")).arg(repository("deploy/kubernetes"));
    let config = does(command.arg(ports)).stdout;
    let files = folder(&[("probes.toml", &config)]);
    let path = files.path().join("probes.toml");
    run(&["validate", "--config", path.to_str().unwrap()]).expect(0);
    // The image that is deployed is the one that this version builds.
    assert!(read("deploy/kubernetes/deployment.yaml").contains(&format!("vnetprobe:{VERSION}\n")));
}

#[test]
fn the_cloud_init_is_valid_and_its_configuration_too() {
    let library = tool("usr/lib/python3/dist-packages/cloudinit");
    let path = repository("deploy/cloud-init.yaml");
    let schema = |path: &PathBuf| {
        let mut command = Command::new("/usr/bin/python3");
        command.env("PYTHONPATH", library.parent().unwrap());
        command.args(["-m", "cloudinit.cmd.main", "schema", "--config-file"]).arg(path);
        Process::start(&mut command).ended()
    };
    schema(&path).expect(0);
    let text = read("deploy/cloud-init.yaml");
    let files = folder(&[("wrong.yaml", &text.replace("write_files:", "write_files: 5\nwrong:"))]);
    assert_ne!(schema(&files.path().join("wrong.yaml")).code, Some(0), "it would see a mistake");

    // What it writes: the configuration validates, the script is clean.
    let written = r#"import sys, yaml
for file in yaml.safe_load(open(sys.argv[1]))["write_files"]:
    open(f"{sys.argv[2]}/{file['path'].rsplit('/', 1)[1]}", "w").write(file["content"])"#;
    let mut command = Command::new("/usr/bin/python3");
    does(command.args(["-c", written]).arg(&path).arg(files.path()));
    let config = files.path().join("probes.toml");
    run(&["validate", "--config", config.to_str().unwrap()]).expect(0);
    does(Command::new("shellcheck").arg(files.path().join("install-vnetprobe")));
}

#[test]
fn the_scripts_are_clean() {
    needs("shellcheck", "shellcheck");
    let mut command = Command::new("shellcheck");
    for script in [
        "deploy/compute-instance.sh",
        "deploy/debian/postrm",
        "scripts/setup",
        "scripts/setup-deploy",
    ] {
        command.arg(repository(script));
    }
    does(&mut command);
}

#[test]
fn the_package_is_what_debian_expects() {
    needs("lintian", "lintian");
    let package = &built().package;
    let mut command = Command::new("lintian");
    does(command.args(["--allow-root", "--fail-on", "error"]).arg(package));
    let changelog = read("deploy/debian/changelog");
    assert!(
        changelog.starts_with(&format!("vnetprobe ({VERSION}) ")),
        "another version: {changelog}"
    );
    let list = does(Command::new("dpkg-deb").arg("--contents").arg(package)).stdout;
    for file in [
        "/usr/bin/vnetprobe",
        "/etc/vnetprobe/probes.toml",
        "/systemd/system/vnetprobe.service",
        "/man1/vnetprobe.1.gz",
        "/man1/vnetprobe-serve.1.gz",
        "/bash-completion/completions/vnetprobe",
        "/vendor-completions/_vnetprobe",
        "/doc/vnetprobe/copyright",
        "/doc/vnetprobe/causes.md",
        "/usr/share/vnetprobe/prometheus/alertmanager.yml",
        "/usr/share/vnetprobe/prometheus/vnetprobe.rules.yml",
        "/usr/share/vnetprobe/grafana/vnetprobe.json",
    ] {
        assert!(list.contains(&format!("{file}\n")), "no {file} in {list}");
    }
}

/// What a compute instance's script does for a person without sudo and without a service manager.
#[test]
fn the_setup_script_installs_once_and_again_only_what_changed() {
    let source = folder(&[]);
    let place = |name: &str| source.path().join(name);
    fs::copy(&built().binary, place("vnetprobe")).unwrap();
    fs::copy(repository("probes.toml"), place("probes.toml")).unwrap();
    fs::copy(repository("deploy/vnetprobe.service"), place("vnetprobe.service")).unwrap();
    let home = folder(&[]);
    // The person owns the home, and reads the folder as a share that grants no execution.
    let prepare =
        "chmod 755 \"$1\" && chmod 644 \"$1\"/* && chown 65532 \"$2\" && chmod 755 \"$2\"";
    does(Command::new("sh").args(["-c", prepare, "sh"]).arg(source.path()).arg(home.path()));
    let script = || {
        let mut command = Command::new("setpriv");
        command.args([
            "--reuid=65532",
            "--regid=65532",
            "--clear-groups",
            "--no-new-privs",
            "bash",
        ]);
        // Read from standard input's place: the checkout may be closed to others.
        command.args(["-c", &read("deploy/compute-instance.sh"), "compute-instance.sh"]);
        command.arg(source.path()).env_clear().current_dir("/");
        command.env("HOME", home.path()).env("PATH", "/usr/bin:/bin");
        Process::start(&mut command).ended()
    };
    let first = script().expect(0).stdout;
    assert_eq!(first.matches("installed ").count(), 3, "{first}");
    assert!(first.contains("no service manager answers; start it yourself: "), "{first}");
    let installed = home.path().join(".local/bin/vnetprobe");
    assert!(does(Command::new(&installed).arg("--version")).stdout.contains(VERSION));
    let unit = home.path().join(".config/systemd/user/vnetprobe.service");
    let judged = does(
        Command::new("systemd-analyze")
            .args(["verify", "--user", "--man=no"])
            .arg(&unit)
            .env("XDG_RUNTIME_DIR", home.path()),
    );
    assert_eq!(judged.stderr, "");

    let second = script().expect(0).stdout;
    assert!(!second.contains("installed "), "{second}");
    fs::write(place("probes.toml"), "[workspace]\ncloud = \"public\"\n").unwrap();
    let third = script().expect(0).stdout;
    assert_eq!(third.matches("installed ").count(), 1, "{third}");
    fs::write(place("probes.toml"), "[workspace]\nclod = \"public\"\n").unwrap();
    let refused = script();
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("did you mean"), "{}", refused.stderr);
    let config = fs::read_to_string(home.path().join(".config/vnetprobe/probes.toml")).unwrap();
    assert!(config.contains("cloud = \"public\""), "a mistake replaced it: {config}");
}
