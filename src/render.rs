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
