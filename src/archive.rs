//! The history file: an SQLite database that follows the snapshots.
//!
//! Nothing on the probe's path waits for it. A thread of its own takes the newest snapshot at most
//! every [`limits::HISTORY_COMMIT_EVERY`] and writes what is new in it in one transaction: events by
//! their numbers, measurements by their times. Whatever is wrong with the file, the daemon runs on in
//! memory, says so in every output and tries again until it is not. A damaged file is never removed.
//!
//! The file has SQLite's write-ahead log beside it, so that a kill at any moment costs what was not
//! committed yet and a reader never waits for the writer.

pub mod batch;
mod file;
mod keep;
mod rows;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};

use crate::inquiry::{Found, Inquiry};
use crate::journal::{Archive, Past};
use crate::limits;
use crate::snapshot::Snapshot;

use keep::Keeper;

/// Where the file is and how large it may grow.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its path.
    pub path: PathBuf,
    /// How long events are kept.
    pub retention: Duration,
    /// Its largest size.
    pub max_bytes: u64,
}

/// What the writer and the readers of one file share.
#[derive(Debug)]
struct Shared {
    /// Readers hold it to read; the writer takes it for itself while it opens or moves the file.
    gate: RwLock<()>,
    /// How much greater an event's number is in the file than in the journal: not zero when the file
    /// could not be read at the start and had events.
    offset: AtomicU64,
    places: Arc<Semaphore>,
}

/// A file that is being written.
#[derive(Debug)]
pub struct Writing {
    jobs: mpsc::Sender<Job>,
    /// Ends when the file is closed.
    closed: oneshot::Receiver<()>,
    reader: Reader,
}

/// A snapshot to write, and where to say how that went.
#[derive(Debug)]
struct Job {
    snapshot: Arc<Snapshot>,
    done: oneshot::Sender<(Archive, Option<Duration>)>,
}

/// Opens the file and gives what is known of these checks from before. `run` names
/// this run of the program, differently from every other one.
pub fn open(place: Place, run: String, wanted: &BTreeSet<&str>, now: Timestamp) -> (Writing, Past) {
    let shared = Arc::new(Shared {
        gate: RwLock::new(()),
        offset: AtomicU64::new(0),
        places: Arc::new(Semaphore::new(limits::HISTORY_READERS)),
    });
    let (mut keeper, past) = Keeper::open(place, Arc::clone(&shared), run, wanted, now);
    let path = keeper.path();
    let (jobs, mut todo) = mpsc::channel::<Job>(1);
    let (closing, closed) = oneshot::channel();
    // Not a task: a disk that hangs must not keep the program from ending.
    thread::spawn(move || {
        while let Some(Job { snapshot, done }) = todo.blocking_recv() {
            let archive = keeper.keep(&snapshot);
            // Who asked may have given up.
            let _ = done.send((archive, keeper.retry_after()));
        }
        drop(keeper);
        drop(closing);
    });
    (Writing { jobs, closed, reader: Reader { path, shared } }, past)
}

impl Writing {
    /// Answers questions to the same file.
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// Follows the snapshots until they end, and tells how it goes whenever that changes.
    pub async fn follow(
        &self,
        mut snapshots: watch::Receiver<Arc<Snapshot>>,
        mut tell: impl FnMut(Archive) -> bool,
    ) {
        let mut told = Archive::Memory;
        let mut retry = Some(Duration::ZERO);
        loop {
            // While there is trouble, time alone is a reason to try again.
            sleep(retry.unwrap_or(limits::HISTORY_COMMIT_EVERY)).await;
            if retry.is_none() {
                // An end shows below.
                let _ = snapshots.changed().await;
            }
            let ended = snapshots.has_changed().is_err();
            let snapshot = Arc::clone(&snapshots.borrow_and_update());
            if ended {
                return;
            }
            let Some((archive, wait)) = self.write(snapshot).await else {
                let path = crate::model::printable(&self.reader.path.display().to_string());
                let reason = "its writer broke down; please report this and restart".to_owned();
                tell(Archive::Degraded { path, reason, lost: 0 });
                return;
            };
            retry = wait;
            if is_news(&told, &archive) && tell(archive.clone()) {
                told = archive;
            }
        }
    }

    /// Writes the last snapshot. A disk that hangs is waited for no longer than
    /// [`limits::HISTORY_FLUSH`].
    pub async fn finish(self, last: Arc<Snapshot>) {
        let _ = timeout(limits::HISTORY_FLUSH, async {
            self.write(last).await;
            let Self { jobs, closed, .. } = self;
            drop(jobs);
            // Nothing is ever sent: the end of the sender is the answer.
            let _ = closed.await;
        })
        .await;
    }

    async fn write(&self, snapshot: Arc<Snapshot>) -> Option<(Archive, Option<Duration>)> {
        let (done, answer) = oneshot::channel();
        self.jobs.send(Job { snapshot, done }).await.ok()?;
        answer.await.ok()
    }
}

/// Whether a change is worth a new snapshot; a few bytes more are not.
fn is_news(told: &Archive, now: &Archive) -> bool {
    const STEP: u64 = 64 * 1024;
    match (told, now) {
        (
            Archive::File { bytes, lost, note, .. },
            Archive::File { bytes: now_bytes, lost: now_lost, note: now_note, .. },
        ) => bytes.abs_diff(*now_bytes) >= STEP || lost != now_lost || note != now_note,
        _ => told != now,
    }
}

/// Reads the file, while it is written too.
#[derive(Debug, Clone)]
pub struct Reader {
    path: PathBuf,
    shared: Arc<Shared>,
}

/// What a file answers.
#[derive(Debug)]
pub struct Answer {
    /// Events that match.
    pub found: Found,
    /// The number of the last event in the file.
    pub last: u64,
    /// How much greater numbers are in the file than in this run's journal.
    pub offset: u64,
}

impl Reader {
    /// Answers a question. At most [`limits::HISTORY_READERS`] are answered at the same time.
    pub async fn read(&self, inquiry: &Inquiry) -> Result<Answer, String> {
        let busy = "too many questions to the history at the same time; ask again";
        let place = Arc::clone(&self.shared.places).acquire_owned();
        let place = timeout(limits::HISTORY_WAIT, place).await;
        let place = place.ok().and_then(Result::ok).ok_or(busy)?;
        let (path, shared, inquiry) =
            (self.path.clone(), Arc::clone(&self.shared), inquiry.clone());
        let reading = tokio::task::spawn_blocking(move || {
            // Held to the end: a client that goes away does not stop the reading.
            let _place = place;
            let _open = shared.gate.read().unwrap_or_else(PoisonError::into_inner);
            let offset = shared.offset.load(Ordering::Relaxed);
            read(&path, &inquiry).map(|answer| Answer { offset, ..answer })
        });
        reading.await.map_err(|_| "the reader broke down".to_owned())?
    }
}

/// Reads a file that somebody may be writing. Whatever is wrong with it is said, and nothing changed.
pub fn read(path: &Path, inquiry: &Inquiry) -> Result<Answer, String> {
    let answer = || {
        let mut conn = file::open_to_read(path)?;
        // One moment of the file for both questions.
        let tx = conn.transaction().map_err(file::Trouble::from)?;
        let last = rows::last_event(&tx)?;
        Ok(Answer { found: rows::answer(&tx, inquiry)?, last, offset: 0 })
    };
    answer().map_err(|trouble: file::Trouble| trouble.reason())
}

#[cfg(test)]
mod tests;
