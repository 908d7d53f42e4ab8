//! Standard output for answers, standard error for everything else.
#![expect(clippy::disallowed_methods, reason = "colors and width depend on the environment")]

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::watch;

use crate::render::layout::Layout;
use crate::snapshot::Snapshot;

/// Where this process prints.
#[derive(Debug, Clone, Copy)]
pub(super) struct Console {
    layout: Layout,
    progress: bool,
}

/// Width of output that goes to a file or a pipe.
const PLAIN_WIDTH: usize = 120;

impl Console {
    /// The console of this process: colors only on a terminal.
    pub(super) fn of_process() -> Self {
        let terminal = io::stdout().is_terminal();
        let width = terminal
            .then(terminal_size::terminal_size)
            .flatten()
            .map(|(width, _)| usize::from(width.0));
        let layout =
            Layout { width: width.unwrap_or(PLAIN_WIDTH), color: terminal && colors_are_welcome() };
        Self { layout, progress: io::stderr().is_terminal() && !is_dumb() }
    }

    /// How to lay lines out.
    pub(super) fn layout(&self) -> Layout {
        self.layout
    }

    /// Prints an answer. A reader that went away (`| head`) is no error.
    pub(super) fn print(text: &str) {
        let mut out = io::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// Prints a message beside the answer.
    pub(super) fn note(text: &str) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// Prints why the command failed.
    pub(super) fn error(text: &str) {
        let _ = writeln!(io::stderr().lock(), "error: {}", text.trim_end());
    }

    /// Shows progress until the snapshots end; only on a terminal.
    pub(super) fn progress(&self, mut snapshots: watch::Receiver<Arc<Snapshot>>) -> Progress {
        let total = snapshots.borrow().checks.len() as u64;
        if !self.progress {
            return Progress(None);
        }
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} checks {elapsed}") {
            bar.set_style(style);
        }
        Progress(Some(tokio::spawn(async move {
            while snapshots.changed().await.is_ok() {
                let done = snapshots
                    .borrow_and_update()
                    .checks
                    .iter()
                    .filter(|c| c.verdict.is_some())
                    .count();
                bar.set_position(done as u64);
            }
            bar.finish_and_clear();
        })))
    }
}

/// A progress line that may not be there.
#[derive(Debug)]
pub(super) struct Progress(Option<tokio::task::JoinHandle<()>>);

impl Progress {
    /// Waits until it is cleared away.
    pub(super) async fn finish(self) {
        if let Some(task) = self.0 {
            let _ = task.await;
        }
    }
}

/// Unless `NO_COLOR` is set (no-color.org) or the terminal knows none.
pub(super) fn colors_are_welcome() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && !is_dumb()
}

fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|value| value == "dumb")
}
