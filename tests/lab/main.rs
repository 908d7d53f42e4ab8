//! The lab: network namespaces, real servers and worlds as data (see README.md in this folder).
//!
//! Each world is two tests. `tools/NAME` shows with dig, openssl, curl and the like that the world
//! is what its file says. `check/NAME` runs the program in it and compares every word of the
//! answer that matters. `prove/NAME` runs the commands that its findings name as proof. After all
//! worlds `confusion` compares what was expected with what was told, and `quiet/loss` waits for the
//! long test. Several labs work on the worlds beside each other (`workers.rs`), and what they found
//! is told in the worlds' order. `play [NAME]` instead of test options opens a shell in a world;
//! `soak [MINUTES]` lets one daemon live through them all, and `judge/NAME` shows by made-up samples
//! what fails that.
#![expect(clippy::disallowed_methods, reason = "the lab is all edge: files, processes, clocks")]
#![expect(clippy::print_stdout, reason = "it is a program of its own")]

mod blueprint;
mod certificates;
mod confusion;
mod daemon;
mod everywhere;
mod extra;
#[path = "../../benches/figures/mod.rs"]
mod figures;
mod lab;
mod middle;
mod oddities;
mod paused;
mod plan;
mod proof;
mod prove;
mod quiet;
mod report;
mod roles;
mod servers;
mod soak;
mod squid;
mod stage;
mod workers;
mod world;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::{Arguments, Failed, Trial};

use crate::confusion::Confusion;
use crate::lab::Lab;
use crate::plan::Plan;
use crate::report::Report;
use crate::workers::Job;
use crate::world::World;

/// Builds the worlds for the plan in this file instead of the program's own.
const PLAN_VARIABLE: &str = "VNETPROBE_LAB_PLAN";

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let done = match words.next().as_deref() {
        Some("play") => play(words.next().as_deref().unwrap_or("healthy")),
        Some(quiet::QUIET) => quiet::run().map(|said| {
            println!("{said}");
            ExitCode::SUCCESS
        }),
        Some(soak::SOAK) => soak::run(words.next().as_deref()).map(|said| {
            println!("{said}");
            ExitCode::SUCCESS
        }),
        Some(stage::SWEEP) => stage::sweep(words.next()).map(|()| ExitCode::SUCCESS),
        _ => test(),
    };
    done.unwrap_or_else(|error| {
        println!("{error:#}");
        ExitCode::FAILURE
    })
}

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab")
}

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_vnetprobe"))
}

fn test() -> Result<ExitCode> {
    let mut arguments = Arguments::from_args();
    // The tests only wait for what the workers find, in order.
    arguments.test_threads = Some(1);
    let shared = Arc::new(Shared::default());
    let worlds = world::all(&home().join("worlds"))?;
    let count = worlds.len();
    let (mut trials, mut jobs) = (Vec::new(), Vec::new());
    for world in worlds {
        let mut parts = Vec::new();
        let bodies = [("tools", by_tools as Body), ("check", by_program), ("prove", by_proof)];
        for (prefix, body) in bodies {
            // Nothing found, nothing to prove.
            if prefix == "prove" && world.expect.findings().is_empty() {
                continue;
            }
            let name = format!("{prefix}/{}", world.name);
            let (tell, told) = mpsc::channel();
            if wants(&arguments, &name) {
                parts.push((body, tell));
            }
            trials.push(Trial::test(name, move || {
                said(workers::wait(&told).map(|()| String::new()))
            }));
        }
        if !parts.is_empty() {
            jobs.push(Job { world, parts });
        }
    }
    let of_all = Arc::clone(&shared);
    trials.push(Trial::test("confusion", move || said(confusion(&of_all, count))));
    let long = if wants(&arguments, "quiet/loss") { Some(quiet::start()?) } else { None };
    trials.push(Trial::test("quiet/loss", move || {
        said(long.context("it was not started").and_then(quiet::finish))
    }));
    trials.extend(soak::trials());
    let workers = workers::start(jobs, &shared)?;
    let conclusion = libtest_mimic::run(&arguments, trials);
    workers::end(workers)?;
    ensure!(!stage::remains()?, "the lab left something behind");
    Ok(conclusion.exit_code())
}

/// Tells what a test said, or why it failed.
fn said(outcome: Result<String>) -> Result<(), Failed> {
    let text = outcome.map_err(|error| Failed::from(format!("{error:#}")))?;
    if !text.is_empty() {
        println!("{text}");
    }
    Ok(())
}

/// Whether a test will run, by the words of the command line.
fn wants(arguments: &Arguments, name: &str) -> bool {
    let fits =
        |word: &String| if arguments.exact { word == name } else { name.contains(word.as_str()) };
    !arguments.list
        && !arguments.ignored
        && arguments.filter.iter().all(fits)
        && !arguments.skip.iter().any(fits)
}

/// One test of a world.
type Body = fn(&Shared, &Lab, &World, &Plan) -> Result<()>;

/// A report and the exit code that came with it.
type Asked = Arc<(Report, Option<i32>)>;

/// What the tests have in common.
#[derive(Default)]
struct Shared {
    /// What the program said, by world.
    reports: Mutex<BTreeMap<String, Asked>>,
    confusion: Mutex<Confusion>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn confusion(shared: &Shared, worlds: usize) -> Result<String> {
    let confusion = locked(&shared.confusion);
    let document = confusion.document();
    if confusion.worlds() < worlds {
        return Ok(format!("{document}\nNot all worlds were measured, so it is not compared."));
    }
    confusion.compare(&Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/confusion.md"))?;
    Ok(document)
}

/// Makes the lab a world; returns the plan that it was made for.
fn enter(lab: &mut Lab, world: &World) -> Result<Plan> {
    let config = lab.config(world)?;
    let plan = match std::env::var_os(PLAN_VARIABLE) {
        Some(file) => {
            let json = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
            Plan::parse(&json).with_context(|| format!("reading {}", file.display()))?
        }
        None => Plan::of_program(program(), &config)?,
    };
    lab.become_world(world, &plan)?;
    Ok(plan)
}

fn by_tools(_: &Shared, lab: &Lab, world: &World, plan: &Plan) -> Result<()> {
    let mut wrong = proof::failing(lab, world)?;
    if world.faults.is_empty() {
        wrong.extend(proof::unreachable(lab, plan)?);
    }
    ensure!(wrong.is_empty(), "{}:\n{}", world.title, wrong.join("\n"));
    Ok(())
}

/// What the program says in a world, asked once.
fn asked(shared: &Shared, lab: &Lab, world: &World) -> Result<Asked> {
    if let Some(report) = locked(&shared.reports).get(&world.name) {
        return Ok(Arc::clone(report));
    }
    let config = lab.config(world)?;
    let (json, error, exit) = if let Some(seconds) = world.paused_seconds {
        let (json, exit) = paused::ask(lab, &config, Duration::from_secs(seconds))?;
        (json, String::new(), exit)
    } else {
        let arguments = ["check", "--format", "json", "--config", &config.to_string_lossy()];
        let output = lab.run_in_client(program(), &arguments)?;
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.stdout, error, output.status.code())
    };
    fs::write(kept(world), &json)?;
    let report = Arc::new((Report::parse(&json).context(error)?, exit));
    locked(&shared.reports).insert(world.name.clone(), Arc::clone(&report));
    Ok(report)
}

fn kept(world: &World) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("lab-{}.json", world.name))
}

fn by_program(shared: &Shared, lab: &Lab, world: &World, plan: &Plan) -> Result<()> {
    let asked = asked(shared, lab, world)?;
    let (report, exit) = asked.as_ref();
    locked(&shared.confusion).note(&world.name, report.matched(world, plan));
    let mut wrong = report.differences(world, plan, *exit);
    if world.expect.everywhere {
        wrong.extend(everywhere::differences(lab, world, plan, report)?);
    }
    ensure!(
        wrong.is_empty(),
        "{}:\n{}\nthe whole report is {}",
        world.title,
        wrong.join("\n"),
        kept(world).display()
    );
    Ok(())
}

fn by_proof(shared: &Shared, lab: &Lab, world: &World, _: &Plan) -> Result<()> {
    let asked = asked(shared, lab, world)?;
    let wrong = prove::Defaults::read(&home())?.failing(lab, world, &asked.0)?;
    ensure!(wrong.is_empty(), "{}:\n{}", world.title, wrong.join("\n"));
    Ok(())
}

// ---------------------------------------------------------------------------------------- play

fn play(name: &str) -> Result<ExitCode> {
    let worlds = world::all(&home().join("worlds"))?;
    let names: Vec<&str> = worlds.iter().map(|world| world.name.as_str()).collect();
    let world = worlds
        .iter()
        .find(|world| world.name == name)
        .with_context(|| format!("there is no world `{name}`; there are {}", names.join(", ")))?;
    let began = Instant::now();
    let mut lab = Lab::up(&home())?;
    enter(&mut lab, world)?;
    println!("{}: {}", world.name, world.title);
    println!(
        "Up in {:.1} s. This shell is on the client, 10.20.0.4; exit takes all down.",
        began.elapsed().as_secs_f64()
    );
    println!("Try: vnetprobe check");
    for proof in &world.proofs {
        println!("     {}", proof.run);
    }
    let folder = program().parent().context("the program is in a folder")?;
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = lab.client(Path::new("bash"));
    shell.args(["--norc", "-i"]);
    shell.env("PATH", format!("{}:{path}", folder.display())).env("PS1", format!("{name}$ "));
    shell.status().context("running bash")?;
    Ok(ExitCode::SUCCESS)
}
