//! Style as a test: who may import whom, how long files are, and whether ARCHITECTURE.md is true.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::case_sensitive_file_extension_comparisons,
    clippy::disallowed_methods,
    reason = "a test reads the source tree"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Modules by rank, lowest first; within a rank in the order in which they may use each other.
/// A module may use lower ranks and earlier modules of its own rank; an edge may not use an edge.
const RANKS: &[(&str, &[&str])] = &[
    (
        "words",
        &[
            "limits",
            "model",
            "cause",
            "parameters",
            "condition",
            "requirement",
            "check",
            "observation",
            "machine",
            "proxy",
            "culprit",
            "journal",
            "settings",
        ],
    ),
    (
        "reasoning",
        &[
            "plan",
            "schedule",
            "resolution",
            "followup",
            "verdict",
            "remedy",
            "finding",
            "snapshot",
            "scenario",
            "history",
        ],
    ),
    (
        "forms",
        &[
            "suggest", "target", "adhoc", "blackbox", "catalog", "config", "inquiry", "wire",
            "render",
        ],
    ),
    ("loop", &["engine"]),
    ("edges", &["host", "probe", "archive", "server"]),
    ("assembly", &["cli", "app"]),
];

/// Pairs that refer to each other: a verdict names its culprit, a finding is made from a snapshot.
const MUTUAL: &[(&str, &str)] = &[("verdict", "finding"), ("finding", "snapshot")];

/// Longest source file, in lines.
const LINES: usize = 500;
/// Files that are one long table.
const TABLES: &[&str] = &["src/cause.rs"];

/// Libraries and the only files that may name them.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("hickory_resolver", &["src/host.rs", "src/probe/dns_message.rs"]),
    ("tokio_rustls", &["src/probe/", "src/server/tls.rs", "src/server/serve.rs"]),
    ("x509_parser", &["src/probe/", "src/server/tls.rs"]),
    ("hyper", &["src/server/serve.rs"]),
    ("hyper_util", &["src/server/serve.rs"]),
    ("bcrypt", &["src/config/web.rs", "src/server/auth.rs"]),
    ("listenfd", &["src/server/listen.rs"]),
    ("axum", &["src/server"]),
    ("clap", &["src/cli.rs", "src/app.rs"]),
    ("maud", &["src/render/page"]),
    ("prometheus", &["src/render/metrics.rs"]),
    ("indicatif", &["src/app/console.rs"]),
    ("sd_notify", &["src/app/notify.rs"]),
    ("tracing", &["src/app", "src/server", "src/cli.rs"]),
    ("tracing_subscriber", &["src/app/log.rs"]),
    ("rusqlite", &["src/archive/"]),
    ("rustix", &["src/engine/clock.rs"]),
    ("tracing_appender", &["src/app/log.rs"]),
    ("windows_service", &["src/app/service.rs"]),
    ("windows_registry", &["src/host/windows.rs"]),
    ("ipconfig", &["src/host/windows.rs"]),
    ("anyhow", &[]),
];

fn sources() -> Vec<(String, String)> {
    fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    walk(&root.join("src"), &mut files);
    files.sort();
    files
        .into_iter()
        .map(|file| {
            let name = file.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
            (name, fs::read_to_string(&file).unwrap())
        })
        .collect()
}

/// The top-level module a file belongs to; none for `lib.rs` and `main.rs`.
fn module_of(file: &str) -> Option<&str> {
    let inner = file.strip_prefix("src/")?;
    let name = inner.split(['/', '.']).next()?;
    (!matches!(name, "lib" | "main")).then_some(name)
}

fn place(module: &str) -> (usize, usize) {
    RANKS
        .iter()
        .enumerate()
        .find_map(|(rank, (_, modules))| {
            modules.iter().position(|m| *m == module).map(|order| (rank, order))
        })
        .unwrap_or_else(|| panic!("the module `{module}` has no rank in tests/tidy.rs"))
}

/// Code without comments and without test modules, where anything may be used.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]").next().unwrap();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn used_modules(text: &str) -> BTreeSet<String> {
    code(text)
        .split("crate::")
        .skip(1)
        .flat_map(|rest| match rest.strip_prefix('{') {
            Some(group) => group
                .split('}')
                .next()
                .unwrap()
                .split(',')
                .map(|name| name.trim().to_owned())
                .collect(),
            None => vec![rest.to_owned()],
        })
        .map(|name| {
            name.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect::<String>()
        })
        .filter(|name| !name.is_empty())
        .collect()
}

#[test]
fn imports_point_downward() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let Some(module) = module_of(&file) else { continue };
        // Tests of a module may build whatever they need.
        if file.ends_with("/tests.rs") {
            continue;
        }
        for used in used_modules(&text).iter().filter(|used| *used != module) {
            let (from, to) = (place(module), place(used));
            let two_edges = RANKS[from.0].0 == "edges" && from.0 == to.0;
            let mutual = MUTUAL
                .iter()
                .any(|(a, b)| (*a == module && b == used) || (*b == module && a == used));
            if (to >= from || two_edges) && !mutual {
                wrong.push(format!("{file} may not use crate::{used}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn libraries_stay_in_their_files() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        for (library, places) in LIBRARIES {
            let named = code(&text).contains(&format!("{library}::"));
            if named && !places.iter().any(|place| file.starts_with(place)) {
                wrong.push(format!("{file} may not use {library}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_are_short() {
    let long: Vec<String> = sources()
        .into_iter()
        .filter(|(file, text)| text.lines().count() > LINES && !TABLES.contains(&file.as_str()))
        .map(|(file, text)| {
            format!("{file} has {} lines; split it by noun (limit {LINES})", text.lines().count())
        })
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn every_file_is_in_the_architecture_text() {
    let text = include_str!("../ARCHITECTURE.md");
    let missing: Vec<String> = sources()
        .into_iter()
        .map(|(file, _)| file)
        .filter(|file| file != "src/lib.rs" && !file.ends_with("/tests.rs"))
        .filter(|file| {
            let name = file.rsplit('/').next().unwrap();
            let folder = file.rsplit_once('/').unwrap().0;
            // Either the whole path, or the name after its folder was introduced.
            !(text.contains(file.as_str())
                || (text.contains(&format!("`{folder}/`")) && text.contains(&format!("`{name}`"))))
        })
        .collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md does not name: {}", missing.join(", "));
}

#[test]
fn the_architecture_text_names_no_ghosts() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ghosts: Vec<&str> = include_str!("../ARCHITECTURE.md")
        .split('`')
        .filter(|word| word.starts_with("src/") && word.ends_with(".rs"))
        .filter(|file| !root.join(file).exists())
        .collect();
    assert!(ghosts.is_empty(), "ARCHITECTURE.md names files that are not there: {ghosts:?}");
}

#[test]
fn nothing_is_left_undone() {
    let mut found = Vec::new();
    for (file, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            // Spelled apart, so that this line does not find itself.
            for word in [
                concat!("FIX", "ME"),
                concat!("TO", "DO"),
                concat!("XX", "X"),
                "unimplemented!",
                "dbg!(",
            ] {
                if line.contains(word) {
                    found.push(format!("{file}:{}: {word}", number + 1));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn there_is_no_drawer_for_odds_and_ends() {
    let drawers: Vec<String> = sources()
        .into_iter()
        .map(|(file, _)| file)
        .filter(|file| {
            ["utils", "util", "common", "helpers", "misc", "types", "error"]
                .iter()
                .any(|name| file == &format!("src/{name}.rs"))
        })
        .collect();
    assert!(drawers.is_empty(), "{drawers:?}");
}
