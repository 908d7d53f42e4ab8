//! The one loop: starts what is due, folds what ended, publishes what is known.
//!
//! `check` runs it until every target was measured once, `serve` until it is told to stop. It
//! alone reads the clock for the program; the prober times only its own steps.
#![expect(clippy::disallowed_methods, reason = "the engine decides what now is")]

mod clock;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

use crate::check::Target;
use crate::history::{History, Next, Outcome, Setting};
use crate::journal::{Archive, Past};
use crate::limits;
use crate::model::Expect;
use crate::observation::Observation;
use crate::schedule::{Repeat, Schedule, Slot};
use crate::snapshot::Snapshot;
use clock::Clock;

/// The seam to the network: looks at one target and tells what it saw.
pub trait Prober: Send + Sync + 'static {
    /// Climbs the layers of one target. `private` tells that a check expects a private address.
    fn probe(&self, target: &Target, private: bool) -> impl Future<Output = Observation> + Send;
}

impl<P: Prober> Prober for Arc<P> {
    fn probe(&self, target: &Target, private: bool) -> impl Future<Output = Observation> + Send {
        P::probe(self, target, private)
    }
}

/// How to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Once or for ever.
    pub repeat: Repeat,
    /// Most probes at the same time.
    pub concurrency: usize,
    /// Decides the jitter; a machine's own value keeps its rhythm over restarts.
    pub seed: u64,
}

/// What a running engine is told.
#[derive(Debug)]
pub enum Command<P> {
    /// Go on with a new plan, at once. What is the same in it keeps its state, schedule and counters.
    Replace {
        /// All of it.
        new: Box<(P, Setting, Options)>,
        /// What led to it.
        reason: String,
    },
    /// A new configuration was refused for this reason.
    RefuseReload(String),
    /// How keeping history goes.
    Archive(Archive),
}

/// One engine over one plan at a time.
#[derive(Debug)]
pub struct Engine<P> {
    prober: Arc<P>,
    targets: Vec<(Arc<Target>, bool)>,
    schedule: Schedule,
    history: History,
    repeat: Repeat,
    origin: Instant,
    clock: Clock,
}

impl<P: Prober> Engine<P> {
    /// An engine that has measured nothing yet.
    pub fn new(prober: P, setting: Setting, options: &Options, past: Past) -> Self {
        let targets = targets(&setting);
        let Options { repeat, concurrency, seed } = *options;
        Self {
            prober: Arc::new(prober),
            schedule: Schedule::new(targets.len(), repeat, concurrency, seed),
            targets,
            history: History::new(setting, past, Timestamp::now()),
            repeat,
            origin: Instant::now(),
            clock: Clock::new(),
        }
    }

    /// What now is. When somebody has set the clock, what is remembered moves along first.
    fn now(&mut self) -> Timestamp {
        let (now, set) = self.clock.read();
        if let Some(by) = set {
            self.history.clock_set(by, now);
        }
        now
    }

    /// Notes in the journal that a daemon of this version started.
    pub fn note_start(&mut self, version: &str) {
        self.history.note_start(version);
    }

    /// The snapshot of this moment.
    pub fn snapshot(&mut self) -> Arc<Snapshot> {
        let now = self.now();
        Arc::new(self.history.snapshot(now, self.schedule.in_flight(), self.schedule.skipped()))
    }

    /// Runs until all is done or `stop` completes. Snapshots go to `publish` as they change. What
    /// is in flight when `stop` completes is abandoned and never reported as a failure.
    pub async fn run(
        mut self,
        publish: &watch::Sender<Arc<Snapshot>>,
        mut commands: mpsc::Receiver<Command<P>>,
        stop: impl Future<Output = ()>,
    ) -> Arc<Snapshot> {
        let mut running: JoinSet<Observation> = JoinSet::new();
        let mut slots: Slots = HashMap::new();
        let mut publish_at = Instant::now();
        let mut dirty = true;
        tokio::pin!(stop);
        loop {
            self.start_due(&mut running, &mut slots);
            if self.repeat == Repeat::Once && self.schedule.is_idle() {
                break;
            }
            if dirty && Instant::now() >= publish_at {
                publish.send_replace(self.snapshot());
                publish_at = Instant::now() + limits::PUBLISH_EVERY;
                dirty = false;
            }
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(command) = commands.recv() => {
                    self.obey(command, &mut slots);
                    // People who reload look at once.
                    publish_at = Instant::now();
                    dirty = true;
                }
                Some(ended) = running.join_next_with_id() => {
                    self.finish(ended, &mut slots);
                    dirty = true;
                }
                () = sleep_until(publish_at), if dirty => {}
                () = sleep_until(self.wake_at()) => {
                    // Ages move on even when nothing ends.
                    dirty = true;
                }
            }
        }
        running.abort_all();
        let last = self.snapshot();
        publish.send_replace(Arc::clone(&last));
        last
    }

    fn start_due(&mut self, running: &mut JoinSet<Observation>, slots: &mut Slots) {
        while let Some(start) = self.schedule.start(self.origin.elapsed()) {
            self.history.started(start.lateness);
            let Some((target, private)) =
                self.targets.get(start.slot).map(|(t, p)| (Arc::clone(t), *p))
            else {
                continue;
            };
            let prober = Arc::clone(&self.prober);
            let handle = running.spawn(async move { prober.probe(&target, private).await });
            slots.insert(handle.id(), (start.slot, handle));
        }
    }

    fn obey(&mut self, command: Command<P>, slots: &mut Slots) {
        let now = self.now();
        match command {
            Command::Archive(archive) => self.history.set_archive(archive),
            Command::RefuseReload(reason) => self.history.refuse_reload(&reason, now),
            Command::Replace { new, reason } => {
                let (prober, setting, options) = *new;
                let new_targets = targets(&setting);
                let old: HashMap<&(Arc<Target>, bool), Slot> =
                    self.targets.iter().enumerate().map(|(slot, target)| (target, slot)).collect();
                let from: Vec<Option<Slot>> =
                    new_targets.iter().map(|target| old.get(target).copied()).collect();
                let to: HashMap<Slot, Slot> = from
                    .iter()
                    .enumerate()
                    .filter_map(|(new, old)| old.map(|old| (old, new)))
                    .collect();
                // A probe of a target that is gone has nowhere to report to.
                slots.retain(|_, (slot, handle)| {
                    let new = to.get(slot);
                    match new {
                        Some(new) => *slot = *new,
                        None => handle.abort(),
                    }
                    new.is_some()
                });
                let Options { repeat, concurrency, seed } = options;
                self.schedule.replace(&from, repeat, concurrency, seed, self.origin.elapsed());
                self.repeat = repeat;
                self.targets = new_targets;
                self.prober = Arc::new(prober);
                self.history.replace(setting, &reason, now);
            }
        }
    }

    fn finish(
        &mut self,
        ended: Result<(tokio::task::Id, Observation), tokio::task::JoinError>,
        slots: &mut Slots,
    ) {
        let (id, outcome) = match ended {
            Ok((id, observation)) => (id, Outcome::Observed(Arc::new(observation))),
            Err(error) => (error.id(), Outcome::Broken("a probe panicked".to_owned())),
        };
        let Some((slot, _)) = slots.remove(&id) else { return };
        let at = self.now();
        let now = self.origin.elapsed();
        let confirm_at = match self.history.fold(slot, &outcome, at) {
            Next::Confirm => Some(now + limits::CONFIRM_AFTER),
            Next::Regular => None,
        };
        self.schedule.finish(slot, now, confirm_at);
    }

    /// When the loop must look again: the next due run, or a while from now.
    fn wake_at(&self) -> Instant {
        let idle = Instant::now() + Duration::from_secs(1);
        // A moment that has passed would spin: what is due then waits for a free place.
        match self.schedule.next_due() {
            Some(due) => idle.min(self.origin + due),
            None => idle,
        }
    }
}

/// Running probes: which slot each reports to.
type Slots = HashMap<tokio::task::Id, (Slot, AbortHandle)>;

/// The targets of a plan, each with whether a check expects it to be private.
fn targets(setting: &Setting) -> Vec<(Arc<Target>, bool)> {
    let checks = setting.plan.checks.iter();
    let private: HashSet<*const Target> = checks
        .filter(|check| check.expectation.expect == Expect::Private)
        .map(|check| Arc::as_ptr(&check.target))
        .collect();
    let targets = setting.plan.targets.iter();
    targets.map(|target| (Arc::clone(target), private.contains(&Arc::as_ptr(target)))).collect()
}

#[cfg(test)]
mod tests;
