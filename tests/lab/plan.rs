//! What the program says it would check: the lab builds its world from this.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

/// `vnetprobe plan --format json`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Plan {
    schema: String,
    /// Catalog rows.
    pub(crate) requirements: Vec<Requirement>,
}

/// One catalog row.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Requirement {
    /// What is executed for it.
    pub(crate) checks: Vec<Check>,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Check {
    /// Its stable id.
    pub(crate) id: String,
    /// The host.
    pub(crate) host: String,
    /// The port; none for kind `dns`.
    pub(crate) port: Option<u16>,
    /// What is done.
    pub(crate) kind: String,
    /// What the name must resolve to.
    pub(crate) expect: String,
}

impl Check {
    /// `host:port`, or the host alone: how world files name checks.
    pub(crate) fn authority(&self) -> String {
        self.port.map_or_else(|| self.host.clone(), |port| format!("{}:{port}", self.host))
    }
}

impl Plan {
    /// Asks the program.
    pub(crate) fn of_program(program: &Path, config: &Path) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(["plan", "--format", "json", "--config"]).arg(config);
        let output = command.output().with_context(|| format!("running {command:?}"))?;
        ensure!(
            output.status.success(),
            "{command:?} ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Self::parse(&output.stdout).with_context(|| format!("reading what {command:?} printed"))
    }

    /// Reads a plan.
    pub(crate) fn parse(json: &[u8]) -> Result<Self> {
        ensure!(!json.is_empty(), "nothing was printed; a plan in JSON was expected");
        let plan: Self = serde_json::from_slice(json)?;
        ensure!(plan.schema == "vnetprobe.plan/v1", "unknown schema `{}`", plan.schema);
        ensure!(plan.checks().next().is_some(), "the plan has no checks");
        Ok(plan)
    }

    /// All checks in order.
    pub(crate) fn checks(&self) -> impl Iterator<Item = &Check> {
        self.requirements.iter().flat_map(|requirement| &requirement.checks)
    }

    /// The ports on which checks of these kinds are made.
    pub(crate) fn ports(&self, kinds: &[&str]) -> BTreeSet<u16> {
        self.checks()
            .filter(|check| kinds.contains(&check.kind.as_str()))
            .filter_map(|check| check.port)
            .collect()
    }
}
