//! A clean Debian 12 that boots: its own systemd as process 1, in the namespaces of the test.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test makes its world")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::built::target;
use crate::process::{Ended, Process, is_alone, until};

/// The machine's processes stand below groups of this name; one per checkout.
fn group() -> String {
    let place = env!("CARGO_MANIFEST_DIR")
        .bytes()
        .fold(5381_u32, |hash, byte| hash.wrapping_mul(33) ^ u32::from(byte));
    format!("vnetprobe-test-{place:08x}")
}

/// The places of control groups, in whichever arrangement this kernel has.
const HIERARCHIES: [&str; 3] =
    ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"];

/// Removes the machine's control groups when the test has ended, however it did: nothing else of it
/// outlives the namespaces.
#[derive(Debug)]
pub(crate) struct Groups;

impl Drop for Groups {
    fn drop(&mut self) {
        if is_alone() {
            return;
        }
        for _ in 0..100 {
            let places = HIERARCHIES.map(|place| Path::new(place).join(group()));
            for place in &places {
                remove(place);
            }
            if !places.iter().any(|place| place.exists()) {
                return;
            }
            // The kernel is still burying the processes in it.
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn remove(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    let _ = fs::remove_dir(group);
}

/// A machine that runs.
#[derive(Debug)]
pub(crate) struct Machine {
    root: PathBuf,
    leader: String,
    _container: Process,
}

/// The Debian root that scripts/setup made last.
fn debian() -> PathBuf {
    let roots = target().join("test-root");
    let found = fs::read_dir(&roots).into_iter().flatten().flatten().map(|entry| entry.path());
    found.filter(|path| path.join("etc/debian_version").exists()).max().unwrap_or_else(|| {
        panic!("no Debian root in {}: run scripts/setup as root", roots.display())
    })
}

impl Machine {
    /// Boots one. What it writes is in memory and goes with the namespaces.
    pub(crate) fn boots() -> Self {
        assert!(is_alone(), "a machine needs namespaces that end with it");
        let over = tempfile::tempdir().unwrap().keep();
        let script = format!(
            "set -e; mount -t tmpfs tmpfs '{over}'; cd '{over}'; mkdir upper work root
             mount -t overlay overlay -o lowerdir='{lower}',upperdir=upper,workdir=work root
             printf 'nameserver 127.0.0.1\\n' > root/etc/resolv.conf
             printf 'jump-box\\n' > root/etc/hostname
             mount -t tmpfs tmpfs /run
             for place in {places}; do
                 if [ -e $place/cgroup.procs ]; then
                     mkdir -p $place/{group}; echo 0 > $place/{group}/cgroup.procs
                 fi
             done
             exec systemd-nspawn --quiet --directory=root --boot --register=no --keep-unit \
                 --resolv-conf=off --timezone=off --console=pipe",
            over = over.display(),
            lower = debian().display(),
            places = HIERARCHIES.join(" "),
            group = group(),
        );
        let container = Process::start(Command::new("sh").args(["-c", &script]));
        let leader = until("process 1 of the machine runs", || {
            let mut find = Command::new("pgrep");
            find.args(["-o", "-f", "^(/usr)?/lib/systemd/systemd$"]);
            let found = String::from_utf8(find.output().unwrap().stdout).unwrap();
            (!found.is_empty()).then(|| found.trim().to_owned())
        });
        let machine = Self { root: over.join("root"), leader, _container: container };
        until("the machine has booted", || {
            let state = machine.run("systemctl is-system-running").stdout;
            ["running\n", "degraded\n"].contains(&state.as_str()).then_some(())
        });
        machine
    }

    /// A path as this test sees it.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.root.join(inside.trim_start_matches('/'))
    }

    /// Runs a shell command in it as root.
    pub(crate) fn run(&self, command: &str) -> Ended {
        let mut enter = Command::new("nsenter");
        enter.args(["--target", &self.leader, "--all", "--wdns=/root", "sh", "-c", command]);
        enter.env_clear().envs([
            ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            ("HOME", "/root"),
            ("LC_ALL", "C.UTF-8"),
            ("DEBIAN_FRONTEND", "noninteractive"),
            ("SYSTEMD_PAGER", ""),
        ]);
        Process::start(&mut enter).ended()
    }

    /// Runs a command that must succeed and gives what it printed.
    #[track_caller]
    pub(crate) fn does(&self, command: &str) -> String {
        let ended = self.run(command);
        assert_eq!(ended.code, Some(0), "{command}:\n{}\n{}", ended.stdout, ended.stderr);
        ended.stdout
    }

    /// Waits until a command prints this.
    #[track_caller]
    pub(crate) fn comes_to(&self, command: &str, wanted: &str) -> String {
        until(&format!("{command} says {wanted}"), || {
            Some(self.run(command).stdout).filter(|said| said.contains(wanted))
        })
    }
}
