//! The catalog file as it is written, before its rules are checked.

use serde::Deserialize;

use crate::model::{Cloud, Direction, Edition, Expect, Kind, Proof, Service, Transport, Vantage};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Catalog {
    pub(super) cloud: Cloud,
    pub(super) date: String,
    #[serde(default, rename = "source")]
    pub(super) sources: Vec<Source>,
    #[serde(default, rename = "scenario")]
    pub(super) scenarios: Vec<Scenario>,
    #[serde(default, rename = "requirement")]
    pub(super) requirements: Vec<Requirement>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    pub(super) key: String,
    pub(super) title: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scenario {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) purpose: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HostRow {
    pub(super) host: String,
    pub(super) proof: Proof,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Requirement {
    pub(super) id: String,
    pub(super) pattern: String,
    pub(super) ports: Vec<i64>,
    pub(super) transport: Transport,
    pub(super) kind: Option<Kind>,
    pub(super) expect: Expect,
    pub(super) hosts: Option<Vec<HostRow>>,
    pub(super) scenarios: Vec<String>,
    pub(super) service_tag: Option<String>,
    pub(super) zone: Option<String>,
    pub(super) vantage: Vec<Vantage>,
    pub(super) when: Option<String>,
    #[serde(default = "outbound")]
    pub(super) direction: Direction,
    pub(super) untestable: Option<String>,
    #[serde(default = "yes")]
    pub(super) required: bool,
    pub(super) edition: Vec<Edition>,
    pub(super) source: Vec<String>,
    pub(super) purpose: String,
    #[serde(default = "root")]
    pub(super) path: String,
    pub(super) service: Option<Service>,
}

fn outbound() -> Direction {
    Direction::Outbound
}

fn yes() -> bool {
    true
}

fn root() -> String {
    "/".to_owned()
}
