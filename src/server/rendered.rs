//! Outputs of the newest snapshot, each rendered once however many ask for it.

use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use tokio::sync::{OnceCell, watch};

use crate::limits;
use crate::render::page::View;

/// What is rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    /// The status page.
    Overview(View),
    /// The metrics of the snapshot.
    Metrics,
    /// The report as JSON.
    Report,
    /// The findings as JSON.
    Findings,
}

/// Outputs of one snapshot `S`; a newer one takes their place.
pub struct Rendered<S>(Arc<Mutex<Made<S>>>);

struct Made<S> {
    of: Option<Arc<S>>,
    /// The oldest first.
    outputs: Vec<(Output, Arc<OnceCell<Bytes>>)>,
}

impl<S> Rendered<S> {
    /// An output of this snapshot. Who asks while it is being made waits for it.
    pub(super) async fn get(
        &self,
        snapshot: &Arc<S>,
        output: Output,
        make: impl FnOnce(&S) -> String,
    ) -> Bytes {
        let cell = self.cell(snapshot, output);
        cell.get_or_init(|| async { make(snapshot).into() }).await.clone()
    }

    /// Lets go of what was rendered as soon as there is a newer snapshot, for as long as it is polled:
    /// the metrics of 10,000 checks are 24 MB, which the next reader may ask for in a minute.
    pub async fn follow(self, mut snapshots: watch::Receiver<Arc<S>>) -> Infallible {
        while snapshots.changed().await.is_ok() {
            let newest = Arc::clone(&snapshots.borrow_and_update());
            let mut made = self.made();
            if !made.is_of(&newest) {
                *made = Made::default();
            }
        }
        std::future::pending().await
    }

    fn made(&self) -> MutexGuard<'_, Made<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cell(&self, snapshot: &Arc<S>, output: Output) -> Arc<OnceCell<Bytes>> {
        let mut made = self.made();
        if !made.is_of(snapshot) {
            *made = Made { of: Some(Arc::clone(snapshot)), outputs: Vec::new() };
        }
        if let Some((_, cell)) = made.outputs.iter().find(|(known, _)| *known == output) {
            return Arc::clone(cell);
        }
        if made.outputs.len() >= limits::RENDERED {
            made.outputs.remove(0);
        }
        let cell = Arc::new(OnceCell::new());
        made.outputs.push((output, Arc::clone(&cell)));
        cell
    }
}

impl<S> Made<S> {
    fn is_of(&self, snapshot: &Arc<S>) -> bool {
        self.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, snapshot))
    }
}

// Derived, they would ask the same of `S`.

impl<S> Clone for Rendered<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> Default for Rendered<S> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<S> Default for Made<S> {
    fn default() -> Self {
        Self { of: None, outputs: Vec::new() }
    }
}

impl<S> fmt::Debug for Rendered<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rendered").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_rendered_goes_with_its_snapshot() {
        let (publish, snapshots) = watch::channel(Arc::new(1));
        let rendered = Rendered::default();
        let following = tokio::spawn(rendered.clone().follow(snapshots.clone()));
        let read = async |output, made: &str| {
            let snapshot = Arc::clone(&snapshots.borrow());
            rendered.get(&snapshot, output, |number| format!("{made} {number}")).await
        };
        assert_eq!(read(Output::Metrics, "first").await, "first 1");
        assert_eq!(read(Output::Metrics, "second").await, "first 1");
        assert_eq!(read(Output::Report, "other").await, "other 1");
        publish.send_replace(Arc::new(2));
        while !rendered.made().outputs.is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(read(Output::Metrics, "third").await, "third 2");
        drop(publish);
        assert_eq!(read(Output::Metrics, "fourth").await, "third 2");
        following.abort();
    }
}
