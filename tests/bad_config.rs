//! Every file in `tests/bad-config` has exactly the errors of its `.expected` file, and every file
//! in `tests/good-config` has none. A new case is a new file; `UPDATE_EXPECT=1` writes what it
//! must be compared with, to be read before it is committed.
#![expect(clippy::disallowed_methods, reason = "a test reads its cases from files")]

use std::fs;
use std::path::{Path, PathBuf};

use vnetprobe::config;

fn cases(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "there are no cases");
    paths
}

#[test]
fn bad_configurations_are_explained() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut differing = Vec::new();
    for path in cases("bad-config") {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let shown = match config::parse(&text) {
            Ok(_) => "ok\n".to_owned(),
            Err(errors) => errors.render(&name, &text),
        };
        assert_ne!(shown, "ok\n", "{name} has no error");
        assert!(!shown.contains("hunter2"), "{name} shows a password");
        let expected = path.with_extension("expected");
        if update {
            fs::write(&expected, &shown).unwrap();
        } else if fs::read_to_string(&expected).ok().as_deref() != Some(shown.as_str()) {
            differing.push(format!("{name} gives\n{shown}"));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn good_configurations_are_accepted() {
    for path in cases("good-config") {
        let text = fs::read_to_string(&path).unwrap();
        if let Err(errors) = config::parse(&text) {
            panic!("{}", errors.render(&path.to_string_lossy(), &text));
        }
    }
}
