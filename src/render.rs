//! Pure renderings of a snapshot: the same value always gives the same bytes.

pub mod blackbox;
pub mod events;
pub mod evidence;
pub mod explain;
mod followups;
pub mod headline;
pub mod junit;
pub mod layout;
pub mod markdown;
pub mod metrics;
pub mod page;
pub mod plan;
pub mod table;

/// `1 fault`, `3 faults`.
fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
