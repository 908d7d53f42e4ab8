//! The pure paths take no more instructions than they did: counted, so no clock and no other
//! program has a say in it.
//!
//! Each path runs under callgrind in a process of its own, in the profile of the tests, and is
//! compared with `tests/instructions.toml`. It notices what changes the order of work, such as one
//! more pass over all checks; `make bench` measures what the release takes. After a change that is
//! meant, `UPDATE_EXPECT=1 cargo test --test instructions` writes the file anew.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops where it cannot go on")]
#![expect(clippy::disallowed_methods, reason = "it runs programs and reads files")]
#![expect(clippy::print_stdout, reason = "it is a program of its own")]

mod fixture;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use vnetprobe::finding::correlate;
use vnetprobe::history::{History, Outcome, Setting};
use vnetprobe::journal::Past;
use vnetprobe::model::Cloud;
use vnetprobe::parameters::NetworkFacts;
use vnetprobe::plan::plan;
use vnetprobe::remedy::Situation;
use vnetprobe::render::layout::Layout;
use vnetprobe::render::table::Detail;
use vnetprobe::render::{markdown, metrics, page, table};
use vnetprobe::snapshot::Snapshot;
use vnetprobe::verdict::{Context, judge};
use vnetprobe::{catalog, config, wire};

/// The word that makes this program run one path.
const RUN: &str = "run-path";
/// Checks in what is measured, where their number matters.
const CHECKS: usize = 250;
/// How far a count may be from the expected one: maps with random seeds differ by less.
const TOLERANCE: f64 = 0.03;

/// Everything a path prepared, and the work that is counted.
type Work = Box<dyn FnOnce() -> usize>;
/// A name and what prepares the work.
type Prepared = (&'static str, fn() -> Work);

/// The paths, each of which gives a length so that nothing is left out by the compiler.
const PATHS: &[Prepared] = &[
    ("catalog", || Box::new(|| catalog::embedded(Cloud::UsGovernment).unwrap().requirements.len())),
    ("config", || {
        let text = many_probes();
        Box::new(move || config::parse(&text).unwrap().probes.len())
    }),
    ("plan", || {
        let config = config::parse(&many_probes()).unwrap();
        let catalog = catalog::embedded(Cloud::UsGovernment).unwrap();
        Box::new(move || {
            plan(&catalog, &config.probes, &config.parameters, &config.network, |_| false)
                .checks
                .len()
        })
    }),
    ("verdicts", || {
        let snapshot = fixture::faults::many(CHECKS);
        Box::new(move || {
            let network = network();
            let machine = &snapshot.machine;
            let context = Context { network: &network, machine, now: snapshot.taken_at };
            let reports = snapshot.checks.iter();
            let verdicts = reports.map(|report| {
                judge(&report.check, context, report.observation.as_ref().unwrap()).summary.len()
            });
            verdicts.sum()
        })
    }),
    ("findings", || {
        let snapshot = fixture::faults::five_faults();
        Box::new(move || {
            let network = network();
            let situation = Situation {
                cloud: Cloud::UsGovernment,
                region: "usgovvirginia",
                workspace: "mlw-research",
                machine: &snapshot.machine,
                network: &network,
                now: snapshot.taken_at,
            };
            correlate(&snapshot.checks, situation).len()
        })
    }),
    ("two rounds of history", two_rounds),
    ("metrics", || of_many(metrics::text)),
    ("page", || of_many(page::overview)),
    ("report", || of_many(wire::report_json)),
    ("Markdown", || of_many(markdown::report)),
    ("table", || {
        of_many(|s| table::report(s, Layout { width: 120, color: true }, Detail::Verbose))
    }),
];

fn of_many(render: fn(&Snapshot) -> String) -> Work {
    let snapshot = fixture::faults::many(CHECKS);
    Box::new(move || render(&snapshot).len())
}

fn many_probes() -> String {
    let mut text = "[workspace]\ncloud = \"usgovernment\"\nregion = \"usgovvirginia\"\n".to_owned();
    for n in 0..CHECKS {
        let _ = write!(text, "[[probe]]\nname = \"p{n}\"\ntarget = \"n{n}.contoso.us:443\"\n");
    }
    text
}

fn network() -> NetworkFacts {
    config::parse("[network]\nendpoint_subnets = [\"10.20.8.0/24\"]\n").unwrap().network
}

fn two_rounds() -> Work {
    let snapshot = fixture::faults::many(CHECKS);
    let setting = Setting {
        plan: Arc::clone(&snapshot.plan),
        network: Arc::new(network()),
        machine: Arc::clone(&snapshot.machine),
        interval: snapshot.interval,
        budget: Duration::from_secs(10),
    };
    let outcomes: Vec<Outcome> = snapshot
        .plan
        .targets
        .iter()
        .map(|target| {
            let mut reports = snapshot.checks.iter();
            let report = reports.find(|report| Arc::ptr_eq(&report.check.target, target)).unwrap();
            Outcome::Observed(Arc::clone(report.observation.as_ref().unwrap()))
        })
        .collect();
    let now = snapshot.taken_at;
    let mut history = History::new(setting, Past::default(), now);
    Box::new(move || {
        for _ in 0..2 {
            for (slot, outcome) in outcomes.iter().enumerate() {
                history.fold(slot, outcome, now);
            }
        }
        history.snapshot(now, 0, 0).checks.len()
    })
}

/// Callgrind counts inside of this function alone.
#[inline(never)]
fn counted_work(work: Work) -> usize {
    black_box(work())
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    if let [_, run, name] = words.as_slice()
        && run == RUN
    {
        let (_, prepare) = PATHS.iter().find(|(path, _)| path == name).unwrap();
        assert_ne!(counted_work(prepare()), 0);
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::from_args();
    if std::env::var_os("UPDATE_EXPECT").is_some() && !arguments.list {
        let lines = PATHS.iter().map(|(name, _)| {
            format!("\"{name}\" = {}\n", instructions(name).unwrap_or_else(|e| panic!("{e:?}")))
        });
        let head = "# Instructions in the profile of the tests, as callgrind counts them.\n";
        let text: String = std::iter::once(head.to_owned()).chain(lines).collect();
        std::fs::write(expectations(), text).unwrap();
    }
    let trial = |(name, _): &Prepared| {
        let name = *name;
        Trial::test(name, move || compare(name))
    };
    libtest_mimic::run(&arguments, PATHS.iter().map(trial).collect()).exit_code()
}

fn expectations() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/instructions.toml")
}

fn compare(name: &str) -> Result<(), Failed> {
    let text = std::fs::read_to_string(expectations())?;
    let expected: BTreeMap<String, u64> = toml::from_str(&text)?;
    let expected = *expected.get(name).ok_or("it is not in tests/instructions.toml")?;
    let counted = instructions(name)?;
    let ratio = counted as f64 / expected as f64;
    println!("{name}: {counted} instructions, {ratio:.3} of the expected {expected}");
    if (ratio - 1.0).abs() > TOLERANCE {
        return Err(format!(
            "{counted} instructions instead of {expected} ({ratio:.3} times); if that is meant, \
             UPDATE_EXPECT=1 cargo test --test instructions"
        )
        .into());
    }
    Ok(())
}

/// What callgrind counts for a path.
fn instructions(name: &str) -> Result<u64, Failed> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"])
        .arg("--toggle-collect=*counted_work*")
        .arg(std::env::current_exe()?)
        .args([RUN, name])
        .output()
        .map_err(|error| format!("valgrind does not run ({error}): apt-get install valgrind"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected : "));
    let count = collected.and_then(|(_, count)| count.trim().parse().ok()).filter(|n| *n > 0);
    count.ok_or_else(|| format!("valgrind counted nothing and said:\n{said}").into())
}
