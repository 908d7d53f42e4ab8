//! How late checks start under load and past it, with greedy readers, and what an output of 10,000
//! checks costs. `cargo bench --bench load`; needs root, iproute2 and taskset.
//!
//! The daemon has the first processor to itself; the world that it measures, and all who read from
//! it, share the second. Writes its section of `docs/benchmarks.md`; `-- outputs` prints that part alone.

#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a program of its own that prints figures"
)]

#[path = "../figures/mod.rs"]
mod figures;
mod outputs;
mod readers;
mod schedule;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use figures::world::{self, Shape};
use figures::{Part, document};

/// The words that give a program the first processor to itself.
const ALONE_ON_ONE: [&str; 3] = ["taskset", "-c", "0"];
/// Checks at a time.
const CONCURRENCY: usize = 1_024;
/// Ports of the world.
const TLS: u16 = 443;
const TCP: u16 = 80;

fn main() {
    if !figures::alone() {
        return;
    }
    world::run(
        "taskset",
        &["--all-tasks", "--pid", "--cpu-list", "1", &std::process::id().to_string()],
    );
    let folder = tempfile::tempdir().expect("a temporary folder");
    let shape = Shape { tls: [TLS].into(), http: BTreeSet::from([TCP]), ..Shape::default() };
    let ca = world::start(folder.path(), shape);
    let bench = Bench { folder: folder.path().to_owned(), ca };
    let parts: [Part<'_>; 3] = [
        ("schedule", &|| schedule::measure(&bench)),
        ("readers", &|| readers::measure(&bench)),
        ("outputs", &|| outputs::measure(&bench)),
    ];
    let Some(parts) = figures::parts(&parts) else { return };
    let head = format!(
        "`cargo bench --locked --bench load`. {said} vnetprobe had one core to itself (`taskset`); \
         the servers that it measured and those who read from it shared the other. It kept a history \
         file, and `concurrency` was {CONCURRENCY} (64 if nothing is said). Names were \
         resolved by a DNS server for every check, and every TLS check was a full handshake with a \
         chain of two ECDSA P-256 certificates. Figures with two more in brackets are medians of \
         several runs, with the lowest and the highest; the others are of one run, or sizes.",
        said = document::measured_on()
    );
    document::section("load", &format!("{head}\n\n{}", parts.join("\n\n")));
}

/// Where files go, and whom to trust.
struct Bench {
    folder: PathBuf,
    ca: PathBuf,
}

impl Bench {
    /// A configuration of so many checks of one kind, each of a host of its own.
    fn config(&self, name: &str, checks: usize, kind: &str, interval: &str) -> PathBuf {
        let mut text = format!(
            "[workspace]\ncloud = \"none\"\n[dns]\nservers = [\"{}\"]\nreference = \"\"\n\
             [tls]\nca_files = [\"{}\"]\n[schedule]\ninterval = \"{interval}\"\n\
             concurrency = {CONCURRENCY}\n[history]\npath = \"{}\"\n",
            world::DNS,
            self.ca.display(),
            self.folder.join(format!("{name}-{checks}-{kind}.sqlite")).display(),
        );
        let port = if kind == "tls" { TLS } else { TCP };
        for n in 0..checks {
            let host = format!("h{n}.{}", world::SUFFIX);
            let _ =
                write!(text, "[[probe]]\nname = \"p{n}\"\ntarget = \"{kind}://{host}:{port}\"\n");
        }
        self.write(name, &text)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path: &Path = &self.folder.join(name);
        std::fs::write(path, text).expect("room for a file");
        path.to_owned()
    }
}
