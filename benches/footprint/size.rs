//! The size of the program, and how long it takes to build it from nothing.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::figures::{BINARY, document, top};

/// How the sentence on the build begins, by which it is found again.
const BUILD: &str = "Cold build";

pub(crate) fn measure() -> String {
    let mib = |path: &Path| fs::metadata(path).map(|file| file.len() as f64 / 1_048_576.0);
    let size = mib(Path::new(BINARY)).expect("the binary is there");
    let mut text =
        format!("Size of the release binary, stripped of debug information: {size:.2} MiB");
    let host = document::said("rustc", &["--print", "host-tuple"]);
    let folder = Path::new(BINARY).parent().and_then(Path::parent).expect("target/release");
    if let Ok(size) = mib(&folder.join(host).join("release/vnetprobe")) {
        let _ = write!(text, "; static: {size:.2} MiB");
    }
    format!("{text}.\n\n{}", build())
}

/// What is measured now if asked for, else what the document says.
fn build() -> String {
    if std::env::var_os("VNETPROBE_BENCH_BUILD").is_none() {
        let text = fs::read_to_string(top().join("docs/benchmarks.md")).expect("the document");
        let before = text.lines().find(|line| line.starts_with(BUILD));
        let none = || format!("{BUILD}: not measured (`VNETPROBE_BENCH_BUILD=1`).");
        return before.map_or_else(none, str::to_owned);
    }
    let target = tempfile::tempdir().expect("a temporary folder");
    let start = Instant::now();
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--offline", "--bin", "vnetprobe"])
        .current_dir(top())
        .env("CARGO_TARGET_DIR", target.path())
        .status();
    assert!(status.is_ok_and(|status| status.success()), "the build works");
    format!(
        "{BUILD} (`cargo build --release` into an empty folder, crates on disk already), one run on {}: \
         {:.0} s.",
        document::said("date", &["-u", "+%Y-%m-%d"]),
        start.elapsed().as_secs_f64()
    )
}
