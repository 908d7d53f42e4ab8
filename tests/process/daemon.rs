//! `vnetprobe serve` on a free port of loopback, with a configuration of its own.
#![expect(clippy::unwrap_used, reason = "a test stops where its world is not as it says")]

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::loopback::{Answer, ask, get};
use super::{Ended, Process, folder, until, vnetprobe};

/// A daemon that runs. It is killed when this value goes, also when the test panics.
#[derive(Debug)]
pub(crate) struct Daemon {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    folder: TempDir,
}

impl Daemon {
    /// Starts one and waits until it says where its page is.
    pub(crate) fn start(config: &str) -> Self {
        Self::start_in(folder(&[("probes.toml", config)]), &["--listen", "127.0.0.1:0"])
    }

    /// The same with these arguments and without a configuration of its own.
    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        Self::start_in(folder(&[]), arguments)
    }

    /// The same with a configuration and more arguments.
    pub(crate) fn start_so(config: &str, arguments: &[&str]) -> Self {
        let usual = ["--listen", "127.0.0.1:0"];
        Self::start_in(folder(&[("probes.toml", config)]), &[&usual, arguments].concat())
    }

    /// Starts one for which these are the machine's roots.
    pub(crate) fn start_trusting(config: &str, roots: &Path) -> Self {
        let mut command = vnetprobe(&["serve", "--listen", "127.0.0.1:0"]);
        command.env("SSL_CERT_FILE", roots);
        Self::start_as(command, folder(&[("probes.toml", config)]))
    }

    fn start_in(folder: TempDir, arguments: &[&str]) -> Self {
        let mut command = vnetprobe(&["serve"]);
        command.args(arguments);
        Self::start_as(command, folder)
    }

    /// Starts this command in a folder.
    pub(crate) fn start_as(mut command: Command, folder: TempDir) -> Self {
        let process = Process::start(command.current_dir(folder.path()));
        let said = process.says("  metrics: ");
        // http or https.
        let (_, after) = said.split_once("status page: http").unwrap();
        let after = after.trim_start_matches('s').strip_prefix("://").unwrap();
        let (address, _) = after.split_once('/').unwrap();
        Self { process, address: address.parse().unwrap(), folder }
    }

    /// Puts another configuration in the place of its own.
    pub(crate) fn configure(&self, config: &str) {
        std::fs::write(self.folder.path().join("probes.toml"), config).unwrap();
    }

    /// Asks with a method and a body.
    #[track_caller]
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        ask(self.address, method, path, body).unwrap()
    }

    /// Asks for a path.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        get(self.address, path).unwrap()
    }

    /// Asks for a path that has JSON.
    #[track_caller]
    pub(crate) fn json(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        assert!(answer.head.contains("\ncontent-type: application/json"), "{}", answer.head);
        serde_json::from_str(&answer.body).unwrap()
    }

    /// Waits until every check has a result.
    pub(crate) fn is_ready(&self) {
        until("/-/ready says so", || (self.get("/-/ready").status == 200).then_some(()));
    }

    /// Waits until a check has this status and gives the check.
    pub(crate) fn has_status(&self, id: &str, status: &str) -> Value {
        until(&format!("{id} has the status {status}"), || {
            Some(self.json(&check_path(id))).filter(|check| check["status"] == status)
        })
    }

    /// Tells it to stop and waits until it has.
    #[track_caller]
    pub(crate) fn stopped(self) -> Ended {
        self.process.signal("TERM");
        self.process.ended()
    }
}

/// Where a check's JSON is; the id is one segment of a path.
pub(crate) fn check_path(id: &str) -> String {
    format!("/api/v1/checks/{}", id.replace('@', "%40").replace(':', "%3A"))
}
