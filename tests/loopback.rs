//! The probes against real servers on loopback: every way a peer can behave, well or badly.
//!
//! Servers listen on a port of the system's choice and each test has its own. Timeouts are short
//! only where silence is what is tested; nothing else depends on time.
#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "the servers listen and the peers connect")]

#[path = "loopback/connections.rs"]
mod connections;
#[path = "loopback/datagrams.rs"]
mod datagrams;
#[path = "loopback/experiments.rs"]
mod experiments;
#[path = "loopback/handshakes.rs"]
mod handshakes;
#[path = "loopback/laws.rs"]
mod laws;
#[path = "loopback/pki.rs"]
mod pki;
#[path = "loopback/services.rs"]
mod services;
#[path = "loopback/shares.rs"]
mod shares;
#[path = "loopback/stores.rs"]
mod stores;
#[path = "loopback/strangers.rs"]
mod strangers;
#[path = "loopback/web.rs"]
mod web;
#[path = "loopback/world.rs"]
mod world;
