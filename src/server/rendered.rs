//! Outputs of the newest snapshot, each rendered once however many ask for it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use tokio::sync::OnceCell;

use crate::limits;
use crate::render::page::View;
use crate::snapshot::Snapshot;

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

/// Outputs of one snapshot; a newer one takes their place.
#[derive(Clone, Default)]
pub struct Rendered(Arc<Mutex<Made>>);

#[derive(Default)]
struct Made {
    of: Option<Arc<Snapshot>>,
    /// The oldest first.
    outputs: Vec<(Output, Arc<OnceCell<Bytes>>)>,
}

impl Rendered {
    /// An output of this snapshot. Who asks while it is being made waits for it.
    pub(super) async fn get(
        &self,
        snapshot: &Arc<Snapshot>,
        output: Output,
        make: impl FnOnce(&Snapshot) -> String,
    ) -> Bytes {
        let cell = self.cell(snapshot, output);
        cell.get_or_init(|| async { make(snapshot).into() }).await.clone()
    }

    fn cell(&self, snapshot: &Arc<Snapshot>, output: Output) -> Arc<OnceCell<Bytes>> {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !made.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, snapshot)) {
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

impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rendered").finish_non_exhaustive()
    }
}
