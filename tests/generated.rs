//! The man pages and shell completions in deploy/ are those of the program's own command line, and
//! the laws in docs/testing.md are those that the sources hold.
//! `UPDATE_EXPECT=1 cargo test --test generated` writes them anew.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test reads and renews files of the source tree"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use vnetprobe::cli::Cli;

/// Compares a folder of deploy/ with what it must hold, or fills it.
fn compare(folder: &str, expected: &BTreeMap<String, Vec<u8>>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(folder);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        for (name, content) in expected {
            fs::write(folder.join(name), content).unwrap();
        }
        return;
    }
    let there: Vec<PathBuf> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    let mut names: Vec<String> = there.iter().map(name).collect();
    names.sort();
    assert_eq!(
        names,
        expected.keys().cloned().collect::<Vec<_>>(),
        "files in {}",
        folder.display()
    );
    for (name, content) in expected {
        let committed = fs::read(folder.join(name)).unwrap();
        assert!(
            &committed == content,
            "deploy: {name} is not what the command line says: UPDATE_EXPECT=1 cargo test --test generated"
        );
    }
}

/// The command line as a reader of the manual knows it: clap's own `help` commands stay out.
fn command() -> Command {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    command
}

/// One page: clap's own sections, then the text after the options as it was typed.
fn page(command: &Command) -> Vec<u8> {
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    // The package has a version; a page that repeats it would change with every release.
    let shown = command.clone().version(None).name(&*Box::leak(name.clone().into_boxed_str()));
    let man = clap_mangen::Man::new(shown)
        .title(name.to_uppercase())
        .source("vnetprobe")
        .manual("User Commands")
        .date("");
    let mut page = Vec::new();
    man.render_title(&mut page).unwrap();
    man.render_name_section(&mut page).unwrap();
    man.render_synopsis_section(&mut page).unwrap();
    man.render_description_section(&mut page).unwrap();
    man.render_options_section(&mut page).unwrap();
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page).unwrap();
    }
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let escaped = after.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
    let (codes, examples) = escaped.split_once("Examples:\n").expect("examples after the options");
    if !codes.trim().is_empty() {
        page.extend(format!(".SH \"EXIT STATUS\"\n{}\n", codes.trim()).into_bytes());
    }
    page.extend(format!(".SH EXAMPLES\n.nf\n{examples}\n.fi\n").into_bytes());
    page
}

#[test]
fn man_pages() {
    let command = command();
    let mut pages = BTreeMap::from([("vnetprobe.1".to_owned(), page(&command))]);
    for below in command.get_subcommands() {
        pages.insert(format!("vnetprobe-{}.1", below.get_name()), page(below));
    }
    compare("man", &pages);
}

#[test]
fn shell_completions() {
    let mut files = BTreeMap::new();
    for (shell, name) in [
        (Shell::Bash, "vnetprobe.bash"),
        (Shell::Zsh, "_vnetprobe"),
        (Shell::Fish, "vnetprobe.fish"),
        (Shell::PowerShell, "vnetprobe.ps1"),
    ] {
        let mut content = Vec::new();
        clap_complete::generate(shell, &mut command(), "vnetprobe", &mut content);
        files.insert(name.to_owned(), content);
    }
    compare("completions", &files);
}

#[test]
fn the_pages_are_clean_for_man() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/man");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let said = process::Command::new("groff")
            .args(["-man", "-Tutf8", "-ww", "-z"])
            .arg(&path)
            .output()
            .unwrap_or_else(|error| panic!("groff: {error}; apt-get install groff-base"));
        let warnings = String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success() && warnings.is_empty(), "{path:?}: {warnings}");
    }
}

#[test]
fn bash_completes_commands_options_and_values() {
    // Not the committed file, which another test may be writing.
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("vnetprobe.bash");
    let mut content = Vec::new();
    clap_complete::generate(Shell::Bash, &mut command(), "vnetprobe", &mut content);
    fs::write(&script, content).unwrap();
    for (typed, wanted) in [
        (&["vnetprobe", "ser"][..], "serve"),
        (&["vnetprobe", "check", "--form"], "--format"),
        (&["vnetprobe", "check", "--format", "j"], "json junit"),
    ] {
        let ask = "source \"$1\"; shift; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1))
            _vnetprobe vnetprobe \"${@: -1}\" \"${@: -2:1}\"; echo \"${COMPREPLY[*]}\"";
        let said = process::Command::new("bash")
            .args(["--norc", "-c", ask, "bash"])
            .arg(&script)
            .args(typed)
            .output()
            .unwrap();
        let answer = String::from_utf8_lossy(&said.stdout);
        assert_eq!(answer.trim(), wanted, "{typed:?}: {}", String::from_utf8_lossy(&said.stderr));
    }
}

/// Files below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The laws in a file, and over how many inputs each is tried.
fn laws(text: &str) -> Vec<(String, u32)> {
    /// What proptest tries unless told otherwise.
    const CASES: u32 = 256;
    let mut laws = Vec::new();
    // The indentation of the block that is read, and the inputs of each law in it.
    let mut block: Option<(usize, u32)> = None;
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let line = line.trim();
        let name = line.strip_prefix("fn ").and_then(|rest| rest.split_once('('));
        match (&mut block, name) {
            (None, _) if line == "proptest! {" => block = Some((indent, CASES)),
            (Some((begun, _)), _) if line == "}" && indent == *begun => block = None,
            (Some((begun, cases)), Some((name, _))) if indent == *begun + 4 => {
                laws.push((name.replace('_', " "), *cases));
            }
            (Some((_, cases)), None) => {
                if let Some((_, count)) = line.split_once("with_cases(") {
                    *cases = count.split(')').next().unwrap().parse().unwrap();
                }
            }
            _ => {}
        }
    }
    laws
}

#[test]
fn the_laws_are_listed() {
    const MARKS: (&str, &str) = ("<!-- begin laws -->\n", "<!-- end laws -->");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut rows, mut count, mut inputs) = (String::new(), 0, 0);
    for path in ["src", "tests"].into_iter().flat_map(|folder| sources(&root.join(folder))) {
        let text = fs::read_to_string(&path).unwrap();
        let laws = laws(&text);
        let Some((_, cases)) = laws.first() else {
            let mentions = text.lines().any(|line| line.trim().starts_with("proptest! {"));
            assert!(!mentions, "{}: no law was found", path.display());
            continue;
        };
        let names: Vec<&str> = laws.iter().map(|(name, _)| name.as_str()).collect();
        let path = path.strip_prefix(root).unwrap().display();
        let _ = writeln!(rows, "| `{path}` | {} | {cases} |", names.join("; "));
        count += laws.len();
        inputs += laws.iter().map(|(_, cases)| cases).sum::<u32>();
    }
    let table = format!(
        "{count} laws, {inputs} inputs:\n\n| where | laws | inputs for each |\n|---|---|--:|\n{rows}"
    );
    let page = root.join("docs/testing.md");
    let text = fs::read_to_string(&page).unwrap();
    let (before, rest) = text.split_once(MARKS.0).expect("the mark of the beginning");
    let (listed, after) = rest.split_once(MARKS.1).expect("the mark of the end");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&page, [before, MARKS.0, &table, MARKS.1, after].concat()).unwrap();
        return;
    }
    assert_eq!(listed, table, "UPDATE_EXPECT=1 cargo test --test generated");
}
