//! The soak: one daemon for hours, while faults come and go, clients read, its configuration
//! changes, its history file stands at its limit, and once the whole process stands still.
//!
//! What it used is sampled all the time; at the end a picture and a section of `docs/benchmarks.md`
//! say how it went. It fails when something grew, when a fault was not told or did not go again, when
//! something was told that is not there, when a change of the configuration was ignored or a bad one
//! taken, and when a client or a sample had no answer although the process did not stand still.

mod clients;
mod judged;
mod picture;
mod reloads;
mod samples;
mod story;

use std::cell::RefCell;
use std::fs::{self, File};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use serde::Deserialize;

use self::clients::{Clients, ask};
pub(crate) use self::judged::trials;
use self::samples::Sampler;
use self::story::Story;
use crate::figures::document;
use crate::lab::Lab;
use crate::plan::Plan;
use crate::world::{self, Fault, World};
use crate::{enter, home, locked, program};

/// The word that makes this program run the soak; its length in minutes follows.
pub(crate) const SOAK: &str = "soak";
/// How long it may be told to last, in minutes; less has no quarters to compare.
const MINUTES: RangeInclusive<u64> = 5..=24 * 60;
/// How long it lasts unless told.
const USUAL: u64 = 130;
/// How long a first round, a fault or its end may take to be told: a change is measured twice.
const TOLD: Duration = Duration::from_secs(90);
/// How long each world stays after that, and how long may be caught up after the pause.
const STAYS: Duration = Duration::from_secs(5);
/// How long a world stays of which nothing may be told: a change is told well before that.
const QUIET: Duration = Duration::from_secs(20);
/// How long the whole process stands still, once; at most a twelfth of the soak.
const PAUSE: Duration = Duration::from_mins(10);

/// Runs for so many minutes and writes its report; the last word says how it went.
pub(crate) fn run(minutes: Option<&str>) -> Result<String> {
    let minutes = minutes.map_or(Ok(USUAL), str::parse).context("the soak's length in minutes")?;
    ensure!(MINUTES.contains(&minutes), "a soak takes {MINUTES:?} minutes");
    let length = Duration::from_secs(minutes * 60);
    let healthy = world::read(&home().join("worlds/healthy.toml"))?;
    let mut worlds = world::all(&home().join("worlds"))?;
    worlds.retain(comes_and_goes);
    let mut lab = Lab::up(&home())?;
    let plan = enter(&mut lab, &healthy)?;
    let paths = Paths::in_lab(&lab)?;
    let daemon = Daemon::start(&lab, &paths)?;
    let (stop, now) = (AtomicBool::new(false), Mutex::new(Now::default()));
    let clients = Clients::new(&paths.socket, &plan, &now);
    let gauge = Sampler::new(daemon.id(), &paths)?;
    let faulty = worlds.iter().filter(|world| !is_quiet(world)).count();
    let mut story = Story { worlds: faulty, ..Story::default() };
    let outcome = thread::scope(|scope| {
        let sampling = scope.spawn(|| gauge.run(&now, &stop));
        clients.start(scope, &stop);
        let changing = scope.spawn(|| reloads::keep_changing(&paths, daemon.id(), &now, &stop));
        let mut soak = Soak { lab: &mut lab, plan: &plan, paths: &paths, now: &now };
        let lived = soak.live(length, &healthy, &worlds, &daemon, &mut story);
        stop.store(true, Ordering::Relaxed);
        story.changes = changing.join().map_err(|_| anyhow!("configuring broke down"))??;
        lived?;
        sampling.join().map_err(|_| anyhow!("sampling broke down"))?
    });
    let samples = outcome.with_context(|| format!("the soak broke off; so far {story:?}"))?;
    story.answers = clients.answers();
    drop(daemon);
    let folder = crate::figures::top().join("docs");
    fs::write(folder.join("soak.svg"), picture::draw(&samples)?)?;
    let (text, wrong) = story.told(&samples);
    document::section("soak", &format!("{}\n\n{text}", document::measured_on()));
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok("nothing grew, every fault was told and went, every change and every question was answered"
        .to_owned())
}

/// Whether nothing may be told of a world.
fn is_quiet(world: &World) -> bool {
    world.expect.findings().is_empty()
}

/// Whether a world can come over a running daemon: it is not made by the program's own settings.
fn comes_and_goes(world: &World) -> bool {
    let outside = |fault: &Fault| {
        !matches!(fault, Fault::Proxy(_) | Fault::NameFilter(_) | Fault::Inspection(_))
    };
    world.config == "workspace.toml"
        && world.replace.is_empty()
        && world.add.is_empty()
        && world.environment.is_empty()
        && world.paused_seconds.is_none()
        && world.name != "healthy"
        && world.faults.iter().all(outside)
}

/// What the lab is at this moment, for the samples.
#[derive(Debug, Clone, Default)]
pub(crate) struct Now {
    /// Whether anything is broken that must be told.
    faulty: bool,
    /// The process stands still on purpose.
    paused: bool,
    /// How often it did.
    pauses: usize,
}

/// Does something and says what the lab was: paused, if it was that at any time meanwhile.
fn meanwhile<T>(now: &Mutex<Now>, act: impl FnOnce() -> T) -> (T, Now) {
    let before = locked(now).clone();
    let done = act();
    let paused = before.paused || before.pauses != locked(now).pauses;
    (done, Now { paused, ..before })
}

/// Where things are.
pub(crate) struct Paths {
    config: PathBuf,
    socket: PathBuf,
    history: PathBuf,
    log: PathBuf,
    /// The configuration as it usually is.
    usual: String,
}

impl Paths {
    fn in_lab(lab: &Lab) -> Result<Self> {
        let at = |name: &str| lab.dir().join(name);
        let text = fs::read_to_string(at("probes.toml"))?;
        let usual = text.replace("[schedule]\n", "[schedule]\ninterval = \"2s\"\n")
            + &format!(
                "\n[web]\nlisten = \"unix:{}\"\n\n[history]\npath = \"{}\"\nmax_size = \"4MiB\"\n",
                at("http.sock").display(),
                at("history.sqlite").display()
            );
        ensure!(usual.contains("2s"), "the configuration has no [schedule]");
        let paths = Self {
            config: at("soak.toml"),
            socket: at("http.sock"),
            history: at("history.sqlite"),
            log: at("soak.log"),
            usual,
        };
        fs::write(&paths.config, &paths.usual)?;
        Ok(paths)
    }
}

/// Sleeps unless told to stop; says whether it slept to the end.
fn sleep(time: Duration, stop: &AtomicBool) -> bool {
    let until = Instant::now() + time;
    while Instant::now() < until {
        if stop.load(Ordering::Relaxed) {
            return false;
        }
        thread::sleep(Duration::from_millis(100));
    }
    true
}

fn signal(process: u32, name: &str) -> Result<()> {
    let status = Command::new("kill").args(["-s", name, &process.to_string()]).status()?;
    ensure!(status.success(), "kill -s {name} ended with {status}");
    Ok(())
}

/// The daemon; killed when this value goes.
struct Daemon(Child);

impl Daemon {
    fn start(lab: &Lab, paths: &Paths) -> Result<Self> {
        let mut command = lab.client(Path::new("nice"));
        // Whatever else this machine does, such as the lab itself, must not be told as lateness.
        command.args(["-n", "-10"]).arg(program()).args(["serve", "--config"]).arg(&paths.config);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&paths.log)?);
        let child = command.spawn().with_context(|| format!("starting {command:?}"))?;
        let daemon = Self(child);
        let ready = || ask(&paths.socket, "/-/ready").is_ok_and(|text| text.trim() == "ready");
        ensure!(holds_within(TOLD, ready), "it has no first round after {TOLD:?}");
        Ok(daemon)
    }

    fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn holds_within(time: Duration, holds: impl Fn() -> bool) -> bool {
    let began = Instant::now();
    loop {
        if holds() {
            return true;
        }
        if began.elapsed() > time {
            return false;
        }
        thread::sleep(Duration::from_millis(250));
    }
}

/// The life of the lab around the daemon.
struct Soak<'a> {
    lab: &'a mut Lab,
    plan: &'a Plan,
    paths: &'a Paths,
    now: &'a Mutex<Now>,
}

impl Soak<'_> {
    /// One world after the other, each followed by health; the pause after three quarters.
    fn live(
        &mut self,
        length: Duration,
        healthy: &World,
        worlds: &[World],
        daemon: &Daemon,
        story: &mut Story,
    ) -> Result<()> {
        let began = Instant::now();
        let pause = PAUSE.min(length / 12);
        for world in worlds.iter().cycle() {
            if began.elapsed() > length {
                break;
            }
            if story.paused.is_zero() && began.elapsed() > length * 3 / 4 {
                self.pause(daemon, pause)?;
                story.paused = pause;
                // That checks are overdue is true then.
                self.stay_quiet("the pause", &["overdue"], story);
                self.until_healthy("the pause", story);
            }
            self.become_world(world, !is_quiet(world))?;
            if is_quiet(world) {
                story.quiet += 1;
                self.stay_quiet(&world.name, &[], story);
                self.become_world(healthy, false)?;
                thread::sleep(STAYS);
                continue;
            }
            story.came += 1;
            if !holds_within(TOLD, || self.tells(world)) {
                story.untold.push(format!("{}: {:?}", world.name, self.causes()));
            }
            thread::sleep(STAYS);
            self.become_world(healthy, false)?;
            self.until_healthy(&world.name, story);
            thread::sleep(STAYS);
        }
        Ok(())
    }

    fn become_world(&mut self, world: &World, faulty: bool) -> Result<()> {
        self.lab.become_world(world, self.plan).with_context(|| world.name.clone())?;
        locked(self.now).faulty = faulty;
        Ok(())
    }

    fn pause(&self, daemon: &Daemon, time: Duration) -> Result<()> {
        {
            let mut now = locked(self.now);
            (now.paused, now.pauses) = (true, now.pauses + 1);
        }
        signal(daemon.id(), "STOP")?;
        thread::sleep(time);
        signal(daemon.id(), "CONT")?;
        // What it then counts as skipped or late was the pause.
        thread::sleep(STAYS);
        locked(self.now).paused = false;
        Ok(())
    }

    /// All the time nothing else may be told than these causes.
    fn stay_quiet(&self, name: &str, but: &[&str], story: &mut Story) {
        let seen = RefCell::new(None);
        let told = || {
            let causes = self.causes();
            let known = |cause: &String| but.contains(&cause.as_str());
            let told = causes.as_ref().is_none_or(|causes| !causes.iter().all(known));
            *seen.borrow_mut() = causes;
            told
        };
        if holds_within(QUIET, told) {
            story.false_alarms.push(format!("{name}: {:?}", seen.into_inner()));
        }
    }

    fn until_healthy(&self, after: &str, story: &mut Story) {
        if holds_within(TOLD, || self.causes().is_some_and(|causes| causes.is_empty())) {
            story.went += 1;
        } else {
            story.stayed.push(format!("{after}: {:?}", self.causes()));
        }
    }

    /// Causes of the findings that are told now, if it answers.
    fn causes(&self) -> Option<Vec<String>> {
        #[derive(Deserialize)]
        struct Finding {
            cause: String,
        }
        let text = ask(&self.paths.socket, "/api/v1/findings").ok()?;
        let findings: Vec<Finding> = serde_json::from_str(&text).ok()?;
        Some(findings.into_iter().map(|finding| finding.cause).collect())
    }

    /// Whether exactly what the world's file expects is told, by cause.
    fn tells(&self, world: &World) -> bool {
        let expected = world.expect.findings();
        self.causes().is_some_and(|causes| {
            causes.iter().all(|cause| expected.iter().any(|told| told.causes.contains(cause)))
                && expected
                    .iter()
                    .all(|told| causes.iter().any(|cause| told.causes.contains(cause)))
        })
    }
}
