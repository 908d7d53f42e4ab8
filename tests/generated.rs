//! The man pages and shell completions in deploy/ are those of the program's own command line.
//! `UPDATE_EXPECT=1 cargo test --test generated` writes them anew.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test reads and renews files of the source tree"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

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
    assert_eq!(names, expected.keys().cloned().collect::<Vec<_>>(), "files in {folder:?}");
    for (name, content) in expected {
        let committed = fs::read(folder.join(name)).unwrap();
        assert!(
            &committed == content,
            "{folder:?}/{name} is not what the command line says: UPDATE_EXPECT=1 cargo test --test generated"
        );
    }
}

/// The command line as a reader of the manual knows it: clap's own `help` commands stay out.
fn command() -> Command {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    command
}

#[test]
fn man_pages() {
    // The version is the package's, so that a release does not touch every page.
    fn page(command: &Command, pages: &mut BTreeMap<String, Vec<u8>>) {
        let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
        let man = clap_mangen::Man::new(command.clone().version("").name(&*Box::leak(name.clone().into_boxed_str())))
            .title(name.to_uppercase())
            .source("vnetprobe")
            .manual("User Commands")
            .date("");
        let mut content = Vec::new();
        man.render(&mut content).unwrap();
        pages.insert(format!("{name}.1"), content);
        for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
            page(below, pages);
        }
    }
    let mut pages = BTreeMap::new();
    page(&command(), &mut pages);
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
fn every_page_has_examples_and_is_clean_for_man() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/man");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("Examples:") || text.contains("EXAMPLES"), "{path:?} has no examples");
        let said = std::process::Command::new("groff")
            .args(["-man", "-Tutf8", "-ww", "-z"])
            .arg(&path)
            .output()
            .unwrap_or_else(|error| panic!("groff: {error}; apt-get install groff-base"));
        assert!(said.status.success() && said.stderr.is_empty(), "{path:?}: {}", String::from_utf8_lossy(&said.stderr));
    }
}
