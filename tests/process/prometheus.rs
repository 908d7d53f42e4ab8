//! A real Prometheus and a real Alertmanager on loopback. Nobody else is in the namespace of
//! [`alone`](super::alone), so their usual ports are free.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where its world is not as it says"
)]

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::loopback::get;
use super::{Process, must_be_alone, needs, until};

/// A Prometheus that runs what `prometheus.yml` of a folder says.
pub(crate) struct Prometheus {
    _process: Process,
    address: SocketAddr,
}

impl Prometheus {
    pub(crate) fn start(files: &Path) -> Self {
        must_be_alone("serve");
        needs("prometheus", "prometheus");
        let address = SocketAddr::from(([127, 0, 0, 1], 9090));
        let mut command = Command::new("prometheus");
        command.current_dir(files).args([
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=data",
            &format!("--web.listen-address={address}"),
        ]);
        let prometheus = Self { _process: Process::start(&mut command), address };
        until("Prometheus is ready", || {
            get(address, "/-/ready").filter(|answer| answer.status == 200)
        });
        prometheus
    }

    /// What its API says at a path.
    #[track_caller]
    pub(crate) fn api(&self, path: &str) -> Value {
        let answer = get(self.address, &format!("/api/v1/{path}")).unwrap();
        let answer: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(answer["status"], "success", "{path}: {answer}");
        answer["data"].clone()
    }

    /// The series that a query gives now.
    #[track_caller]
    pub(crate) fn query(&self, query: &str) -> Vec<Value> {
        let data = self.api(&format!("query?query={}", encoded(query)));
        // A scalar is one value without labels.
        if data["resultType"] == "scalar" {
            return vec![data["result"].clone()];
        }
        data["result"].as_array().unwrap().clone()
    }

    /// The series of a query that gives as many of them sooner or later.
    #[track_caller]
    pub(crate) fn answers(&self, query: &str, series: usize) -> Vec<Value> {
        until(query, || Some(self.query(query)).filter(|result| result.len() == series))
    }
}

/// A text as a value of a query string.
pub(crate) fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// An Alertmanager that runs what `alertmanager.yml` of a folder says, without peers.
pub(crate) struct Alertmanager {
    _process: Process,
    address: SocketAddr,
}

impl Alertmanager {
    pub(crate) fn start(files: &Path) -> Self {
        must_be_alone("serve");
        needs("prometheus-alertmanager", "prometheus-alertmanager");
        let address = SocketAddr::from(([127, 0, 0, 1], 9093));
        let mut command = Command::new("prometheus-alertmanager");
        command.current_dir(files).args([
            "--config.file=alertmanager.yml",
            "--storage.path=alerts",
            "--cluster.listen-address=",
            &format!("--web.listen-address={address}"),
        ]);
        let alertmanager = Self { _process: Process::start(&mut command), address };
        until("Alertmanager is ready", || {
            get(address, "/-/ready").filter(|answer| answer.status == 200)
        });
        alertmanager
    }

    /// What its API says at a path.
    #[track_caller]
    pub(crate) fn api(&self, path: &str) -> Value {
        let answer = get(self.address, &format!("/api/v2/{path}")).unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }
}
