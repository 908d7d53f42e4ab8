//! `docs/benchmarks.md`: each benchmark program replaces its own section and leaves the others.

use std::fs;
use std::process::Command;

use super::{ALONE, top};

/// Puts a section's text between its marks, which stand in the document already, and prints it.
pub(crate) fn section(name: &str, markdown: &str) {
    println!("{markdown}");
    let path = top().join("docs/benchmarks.md");
    let text = fs::read_to_string(&path).expect("docs/benchmarks.md is there");
    let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->"));
    let (before, rest) = text.split_once(&begin).expect("the section begins in the document");
    let (_, after) = rest.split_once(&end).expect("the section ends in the document");
    let said = format!("{before}{begin}\n{}\n\n{end}{after}", markdown.trim());
    fs::write(path, said).expect("the document can be written");
}

/// Where and with what a section was measured: as it was when a benchmark began, which is told by the
/// process outside of its namespaces; now, for others.
pub(crate) fn measured_on() -> String {
    std::env::var(ALONE).unwrap_or_else(|_| here_and_now())
}

/// Processor, system, versions, commit, date.
pub(super) fn here_and_now() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let mut commit = said("git", &["describe", "--always", "--exclude", "*"]);
    // Figures are written into the documents, and change nothing of what is measured.
    if !said("git", &["status", "--porcelain", "--", ".", ":!docs"]).is_empty() {
        commit.push_str(" and changes");
    }
    format!(
        "Measured {} on {cores} cores of {}, Linux {}, {}; vnetprobe at commit {commit}.",
        said("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
        cpu.map_or("an unnamed processor", |(_, model)| model),
        said("uname", &["-r"]),
        said("rustc", &["--version"]),
    )
}

/// The first line that a program prints.
pub(crate) fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(top()).output();
    let output = output.unwrap_or_else(|error| panic!("{program} does not run: {error}"));
    let text = String::from_utf8_lossy(if output.stdout.is_empty() {
        &output.stderr
    } else {
        &output.stdout
    })
    .into_owned();
    text.lines().next().unwrap_or_default().to_owned()
}
