//! Pure renderings of a snapshot: the same value always gives the same bytes.

pub mod explain;
pub mod metrics;
pub mod table;
