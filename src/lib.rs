//! vnetprobe
pub mod cause;
pub mod check;
pub mod condition;
pub mod finding;
pub mod host;
pub mod limits;
pub mod machine;
pub mod model;
pub mod observation;
pub mod parameters;
pub mod plan;
pub mod requirement;
pub mod resolution;
pub mod schedule;
pub mod settings;
pub mod snapshot;
pub mod verdict;
