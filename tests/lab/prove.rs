//! Whether a finding's own `prove` commands show the fault without vnetprobe.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::lab::Lab;
use crate::report::Report;
use crate::world::World;

/// How long one command may take, in seconds.
const COMMAND_SECONDS: &str = "12";

/// `prove.toml`: what commands show, by cause.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Defaults(BTreeMap<String, Shown>);

/// What the output of a finding's commands must be like.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shown {
    /// At least one of these texts is in it.
    #[serde(default)]
    any: Vec<String>,
    /// All of these are.
    #[serde(default)]
    all: Vec<String>,
    /// None of these is.
    #[serde(default)]
    lacks: Vec<String>,
}

impl Defaults {
    /// Reads the file.
    pub(crate) fn read(home: &Path) -> Result<Self> {
        let path = home.join("prove.toml");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        toml::from_str(&text).with_context(|| path.display().to_string())
    }

    /// Runs every finding's commands on the client; a paragraph for each finding that they do not
    /// show.
    pub(crate) fn failing(&self, lab: &Lab, world: &World, report: &Report) -> Result<Vec<String>> {
        let mut wrong = Vec::new();
        for finding in &report.findings {
            let mut said = String::new();
            for command in finding.prove.iter().filter(|command| !is_query(command)) {
                let words = [COMMAND_SECONDS, "bash", "-c", command];
                let output = lab.run_in_client(Path::new("timeout"), &words)?;
                let (out, err) = (&output.stdout, &output.stderr);
                let _ = writeln!(said, "$ {command}");
                let shown = [String::from_utf8_lossy(out), String::from_utf8_lossy(err)].concat();
                let _ = writeln!(said, "{shown}({})", output.status);
            }
            let of_world = world.prove_shows.as_ref();
            let of_world = of_world.map(|all| Shown { all: all.clone(), ..Shown::default() });
            let Some(shown) = of_world.or_else(|| self.0.get(&finding.cause).cloned()) else {
                wrong.push(format!("prove.toml does not say what shows {}", finding.cause));
                continue;
            };
            if let Some(reason) = shown.differs(&said) {
                wrong.push(format!("what proves {} {reason}:\n{said}", finding.cause));
            }
        }
        Ok(wrong)
    }
}

/// A query for the firewall's log is nothing to run here.
fn is_query(command: &str) -> bool {
    command.contains("| where ") || command.contains("TimeGenerated")
}

impl Shown {
    fn differs(&self, said: &str) -> Option<String> {
        // The commands themselves show nothing.
        let said: String =
            said.lines().filter(|l| !l.starts_with("$ ")).collect::<Vec<_>>().join("\n");
        let has = |text: &String| said.contains(text.as_str());
        if let Some(text) = self.all.iter().find(|text| !has(text)) {
            return Some(format!("does not show `{text}`"));
        }
        if let Some(text) = self.lacks.iter().find(|text| has(text)) {
            return Some(format!("shows `{text}`"));
        }
        (!self.any.is_empty() && !self.any.iter().any(has))
            .then(|| format!("shows none of {:?}", self.any))
    }
}
