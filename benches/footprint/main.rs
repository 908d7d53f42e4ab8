//! Memory by number of checks, the time to start, one-shot checks of the whole catalog, and the size
//! of the program. `cargo bench --bench footprint`; needs root, iproute2 and blackbox_exporter.
//!
//! Writes its section of `docs/benchmarks.md`. With `VNETPROBE_BENCH_BUILD=1` it also measures a cold
//! build; else the figure that stands there stays. `-- memory` prints that part alone.

#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::panic,
    reason = "a program of its own that prints figures"
)]

mod catalog;
#[path = "../figures/mod.rs"]
mod figures;
mod memory;
mod peer;
mod size;
mod start;

use std::path::{Path, PathBuf};

use figures::{Part, document, world};

fn main() {
    if !figures::alone() {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plan = catalog::plan(folder.path());
    let ca = world::start(folder.path(), catalog::shape(&plan));
    let bench = Bench { folder: folder.path().to_owned(), ca };
    let parts: [Part<'_>; 4] = [
        ("memory", &|| memory::measure(&bench)),
        ("start", &|| start::measure(&bench, &plan)),
        ("catalog", &|| catalog::measure(&bench, &plan)),
        ("size", &size::measure),
    ];
    let Some(parts) = figures::parts(&parts) else { return };
    let said = document::measured_on();
    let peer = document::said(peer::PROGRAM, &["--version"]);
    let head = format!(
        "`cargo bench --locked --bench footprint`. {said} Beside it: {peer}. Figures are medians of \
         several runs, with the lowest and the highest, unless something else is said."
    );
    document::section("footprint", &format!("{head}\n\n{}", parts.join("\n\n")));
}

/// Where files go, and whom to trust.
struct Bench {
    folder: PathBuf,
    ca: PathBuf,
}

impl Bench {
    fn write(&self, name: &str, text: &str) -> PathBuf {
        write(&self.folder, name, text)
    }
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("room for a file");
    path
}
