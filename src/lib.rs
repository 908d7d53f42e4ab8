#![doc = include_str!("../ARCHITECTURE.md")]

// Words.
pub mod cause;
pub mod check;
pub mod condition;
pub mod culprit;
pub mod journal;
pub mod limits;
pub mod machine;
pub mod model;
pub mod observation;
pub mod parameters;
pub mod proxy;
pub mod requirement;
pub mod settings;

// Reasoning.
pub mod finding;
pub mod followup;
pub mod history;
pub mod plan;
pub mod remedy;
pub mod resolution;
pub mod scenario;
pub mod schedule;
pub mod snapshot;
pub mod verdict;

// Forms.
pub mod adhoc;
pub mod blackbox;
pub mod catalog;
pub mod config;
pub mod inquiry;
pub mod render;
mod suggest;
pub mod target;
pub mod wire;

// The loop and the edges.
pub mod archive;
pub mod engine;
pub mod host;
pub mod probe;
pub mod server;

// Assembly.
pub mod app;
pub mod cli;
