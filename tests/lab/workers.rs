//! Several labs beside each other: worlds mostly wait for timeouts, so one lab alone leaves the
//! processor idle.
//!
//! Each worker is a thread with a lab of its own, for a lab's servers live as long as the thread
//! that started them. All take worlds from one queue.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result, anyhow};

use crate::lab::Lab;
use crate::world::World;
use crate::{Body, Shared, enter, home, locked};

/// How many labs there are, if nobody says otherwise.
const WORKERS: usize = 4;
/// Says otherwise.
const WORKERS_VARIABLE: &str = "VNETPROBE_LAB_WORKERS";

/// A world and the tests to make in it, each with who waits for its end.
pub(crate) struct Job {
    pub(crate) world: World,
    pub(crate) parts: Vec<(Body, Sender<Result<()>>)>,
}

/// Begins with the jobs in their order.
pub(crate) fn start(jobs: Vec<Job>, shared: &Arc<Shared>) -> Result<Vec<JoinHandle<()>>> {
    let wanted = match std::env::var(WORKERS_VARIABLE) {
        Ok(text) => text.parse().with_context(|| format!("{WORKERS_VARIABLE} is `{text}`"))?,
        Err(_) => WORKERS,
    };
    let workers = wanted.max(1).min(jobs.len());
    let queue = Arc::new(Mutex::new(VecDeque::from(jobs)));
    let worker = |_| {
        let (queue, shared) = (Arc::clone(&queue), Arc::clone(shared));
        thread::spawn(move || work(&queue, &shared))
    };
    Ok((0..workers).map(worker).collect())
}

/// Waits until every lab is down.
pub(crate) fn end(workers: Vec<JoinHandle<()>>) -> Result<()> {
    for worker in workers {
        worker.join().map_err(|_| anyhow!("a worker of the lab broke down"))?;
    }
    Ok(())
}

/// Waits for the end of one test.
pub(crate) fn wait(told: &Receiver<Result<()>>) -> Result<()> {
    told.recv().context("nobody made this test: its worker broke down")?
}

fn work(queue: &Mutex<VecDeque<Job>>, shared: &Shared) {
    // Why there is none, if it did not come up, is every test's answer.
    let mut lab = Lab::up(&home()).map_err(|error| format!("{error:#}"));
    loop {
        let Some(job) = locked(queue).pop_front() else { break };
        for (body, tell) in job.parts {
            // Who no longer waits needs no answer.
            let _ = tell.send(in_lab(&mut lab, shared, &job.world, body));
        }
    }
}

fn in_lab(lab: &mut Result<Lab, String>, shared: &Shared, world: &World, body: Body) -> Result<()> {
    let lab = lab.as_mut().map_err(|error| anyhow!("{error}"))?;
    let plan = enter(lab, world)?;
    body(shared, lab, world, &plan)
}
