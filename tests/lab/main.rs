//! The lab: network namespaces, real servers and worlds as data (see README.md in this folder).
//!
//! Each world is two tests. `tools/NAME` shows with dig, openssl, curl and the like that the world
//! is what its file says. `check/NAME` runs the program in it and compares every word of the
//! answer that matters. `play [NAME]` instead of test options opens a shell in a world.
#![expect(clippy::disallowed_methods, reason = "the lab is all edge: files, processes, clocks")]
#![expect(clippy::print_stdout, reason = "it is a program of its own")]

mod blueprint;
mod certificates;
mod lab;
mod middle;
mod oddities;
mod plan;
mod proof;
mod report;
mod roles;
mod servers;
mod squid;
mod stage;
mod world;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::{Arguments, Failed, Trial};

use crate::lab::Lab;
use crate::plan::Plan;
use crate::report::Report;
use crate::world::World;

/// Builds the worlds for the plan in this file instead of the program's own.
const PLAN_VARIABLE: &str = "VNETPROBE_LAB_PLAN";

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let done = match words.next().as_deref() {
        Some("play") => play(words.next().as_deref().unwrap_or("healthy")),
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
    // The worlds share one lab, and its servers live as long as the thread that started them.
    arguments.test_threads = Some(1);
    let stage = Shared::default();
    let mut trials = Vec::new();
    for world in world::all(&home().join("worlds"))? {
        let world = Arc::new(world);
        for (prefix, body) in [("tools", by_tools as Body), ("check", by_program)] {
            let (stage, world) = (Arc::clone(&stage), Arc::clone(&world));
            trials.push(Trial::test(format!("{prefix}/{}", world.name), move || {
                in_lab(&stage, &world, body).map_err(|error| Failed::from(format!("{error:#}")))
            }));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    stage.lock().unwrap_or_else(PoisonError::into_inner).take();
    ensure!(!stage::remains(std::process::id()), "the lab left something behind");
    Ok(conclusion.exit_code())
}

type Body = fn(&Lab, &World, &Plan) -> Result<()>;
/// The lab, once somebody needed it; why there is none, if it did not come up.
type Shared = Arc<Mutex<Option<Result<Lab, String>>>>;

fn in_lab(stage: &Shared, world: &World, body: Body) -> Result<()> {
    let mut stage = stage.lock().unwrap_or_else(PoisonError::into_inner);
    let lab = stage.get_or_insert_with(|| Lab::up(&home()).map_err(|error| format!("{error:#}")));
    match lab {
        Ok(lab) => {
            let plan = enter(lab, world)?;
            body(lab, world, &plan)
        }
        Err(error) => bail!("{error}"),
    }
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

fn by_tools(lab: &Lab, world: &World, plan: &Plan) -> Result<()> {
    let mut wrong = proof::failing(lab, world)?;
    if world.faults.is_empty() {
        wrong.extend(proof::unreachable(lab, plan)?);
    }
    ensure!(wrong.is_empty(), "{}:\n{}", world.title, wrong.join("\n"));
    Ok(())
}

fn by_program(lab: &Lab, world: &World, plan: &Plan) -> Result<()> {
    let config = lab.config(world)?;
    let config = config.to_string_lossy();
    let arguments = ["check", "--format", "json", "--config", &config];
    let output = lab.run_in_client(program(), &arguments)?;
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("lab-{}.json", world.name));
    fs::write(&kept, &output.stdout)?;
    let report = Report::parse(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    let wrong = report.differences(world, plan, output.status.code());
    ensure!(
        wrong.is_empty(),
        "{}:\n{}\nthe whole report is {}",
        world.title,
        wrong.join("\n"),
        kept.display()
    );
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
