//! The confusion table: which cause was expected in the worlds, and which was told.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

/// Rewrites the committed table instead of comparing it.
const UPDATE: &str = "UPDATE_EXPECT";

/// Expectations and what was told, by world.
#[derive(Debug, Default)]
pub(crate) struct Confusion {
    worlds: BTreeMap<String, Vec<(String, String)>>,
}

impl Confusion {
    /// Notes what was told in a world.
    pub(crate) fn note(&mut self, world: &str, pairs: Vec<(String, String)>) {
        self.worlds.insert(world.to_owned(), pairs);
    }

    /// How many worlds were measured.
    pub(crate) fn worlds(&self) -> usize {
        self.worlds.len()
    }

    /// The table as a document.
    pub(crate) fn document(&self) -> String {
        let mut counts: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
        for (world, pairs) in &self.worlds {
            for (expected, told) in pairs {
                counts.entry((expected, told)).or_default().push(world);
            }
        }
        let wrong = counts
            .iter()
            .filter(|((expected, told), _)| !expected.split(" or ").any(|cause| cause == *told))
            .map(|(_, worlds)| worlds.len())
            .sum::<usize>();
        let all: usize = counts.values().map(Vec::len).sum();
        let mut text = format!(
            "# Expected and told\n\n\
             Measured in the lab's {} worlds: real servers in network namespaces, see\n\
             [the lab](../tests/lab/README.md). Each finding that a world's file expects is one case, and so is\n\
             the silence of a healthy world. {} of {all} cases are told as expected; causes that\n\
             nobody expected are in the rows of `(nothing)`.\n\n\
             Generated; `UPDATE_EXPECT=1 cargo test --test lab` writes it anew.\n\n\
             | expected | told | cases | worlds |\n|---|---|---:|---|\n",
            self.worlds.len(),
            all - wrong,
        );
        for ((expected, told), worlds) in counts {
            let mut names = worlds.clone();
            names.dedup();
            let names = names.join(", ");
            let _ = writeln!(text, "| {expected} | {told} | {} | {names} |", worlds.len());
        }
        text
    }

    /// Compares with the committed table, or writes it.
    pub(crate) fn compare(&self, path: &Path) -> Result<()> {
        let fresh = self.document();
        if std::env::var_os(UPDATE).is_some() {
            return fs::write(path, fresh).with_context(|| format!("writing {}", path.display()));
        }
        let committed = fs::read_to_string(path).unwrap_or_default();
        let differ = |a: &str, b: &str| {
            let missing = a.lines().filter(|line| !b.lines().any(|other| other == *line));
            missing.map(str::to_owned).collect::<Vec<_>>().join("\n")
        };
        if committed != fresh {
            bail!(
                "{} is not what was measured; measured but not there:\n{}\nthere but not measured:\n{}\n{UPDATE}=1 writes it anew",
                path.display(),
                differ(&fresh, &committed),
                differ(&committed, &fresh)
            );
        }
        Ok(())
    }
}
