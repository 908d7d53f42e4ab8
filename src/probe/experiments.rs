//! Makes the follow-ups on a failure: all at once, briefly, and not too often for any host.

#![expect(clippy::disallowed_methods, reason = "opens connections and reads the clock")]

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::tls::{Alpn, TlsClient};
use super::{dns, failure, greeting, http, stream, tcp};
use crate::check::Target;
use crate::followup::{self, Decision, Passed, Recent, Wanted};
use crate::limits;
use crate::model::{Cloud, Elapsed, Host, authority};
use crate::observation::{
    ConnectFailure, Experiment, HandshakeEnd, HttpOutcome, Observation, SilenceEnd, TlsFailure,
    TlsOutcome, Trial,
};
use crate::parameters::NetworkFacts;
use crate::schedule::Repeat;

/// What is remembered from probe to probe for the sake of follow-ups.
#[derive(Debug)]
pub struct FollowUps {
    passed: Mutex<Passed>,
    recent: Mutex<Recent>,
    origin: Instant,
}

impl FollowUps {
    /// Nothing was made or seen yet.
    pub fn new(cloud: Cloud, repeat: Repeat) -> Self {
        Self {
            passed: Mutex::new(Passed::new(cloud)),
            recent: Mutex::new(Recent::new(repeat)),
            origin: Instant::now(),
        }
    }

    /// Learns from what was seen and, when that is worth it, makes follow-ups and adds them to it.
    pub async fn follow(
        &self,
        target: &Target,
        tls: &TlsClient,
        network: &NetworkFacts,
        seen: &mut Observation,
    ) {
        if followup::passed(target, seen, |ip| network.is_private(ip)) {
            locked(&self.passed).note(&target.host);
        }
        let plan = followup::plan(target, seen);
        if plan.is_empty() {
            return;
        }
        let decision = locked(&self.recent).decide(&target.host, &plan, self.origin.elapsed());
        match decision {
            Decision::Nothing => {}
            Decision::Stand { experiments, age } => {
                seen.experiments = experiments;
                seen.experiments_age = Some(age);
            }
            Decision::Make => {
                let others = locked(&self.passed).others(&target.host);
                let trials = plan.iter().map(|wanted| run(*wanted, &target.host, &others, tls));
                seen.experiments = join_all(trials).await.into_iter().flatten().collect();
                let made = seen.experiments.clone();
                locked(&self.recent).keep(&target.host, plan, made, self.origin.elapsed());
            }
        }
    }
}

fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes one follow-up; nothing when this machine cannot.
async fn run(wanted: Wanted, host: &Host, others: &[Host], tls: &TlsClient) -> Option<Experiment> {
    let start = Instant::now();
    let trial = match wanted {
        Wanted::OtherName { at, nth } => {
            let name = others.get(nth)?;
            let outcome = greet(at, None, name, tls).await?;
            Trial::OtherName { ip: at.ip(), name: name.clone(), outcome }
        }
        Wanted::SmallSegments { at } => {
            let outcome = greet(at, Some(limits::SMALL_SEGMENT), host, tls).await?;
            Trial::SmallSegments { ip: at.ip(), outcome }
        }
        Wanted::SmallGreeting { at } => {
            let outcome = say(at, &greeting::client_hello(host, 0)).await;
            Trial::SmallGreeting { ip: at.ip(), outcome }
        }
        Wanted::LargeGreeting { at } => {
            let outcome = say(at, &greeting::client_hello(host, limits::LARGE_GREETING)).await;
            Trial::LargeGreeting { ip: at.ip(), outcome }
        }
        Wanted::SilentWait { at } => Trial::SilentWait { ip: at.ip(), outcome: listen(at).await },
        Wanted::ClearText { at } => {
            let outcome = ask_in_clear(at, host).await?;
            Trial::ClearText { ip: at.ip(), outcome }
        }
        Wanted::DnsOverTcp { server, ipv6 } => {
            let outcome =
                dns::over_tcp(host.name()?, ipv6, server, limits::EXPERIMENT_TIME).await?;
            Trial::DnsOverTcp { server, outcome }
        }
    };
    Some(Experiment { elapsed: Elapsed(start.elapsed()), trial })
}

/// Connects within the time of a follow-up; tells what is left of it.
async fn connect(at: SocketAddr) -> Result<(TcpStream, Duration), ConnectFailure> {
    let (elapsed, connected) = tcp::connect(at, limits::EXPERIMENT_TIME).await;
    connected.map(|(stream, _)| (stream, limits::EXPERIMENT_TIME.saturating_sub(elapsed.0)))
}

/// One handshake. The session is dropped at once: nothing is said over it.
async fn greet(
    at: SocketAddr,
    segment: Option<u32>,
    name: &Host,
    tls: &TlsClient,
) -> Option<HandshakeEnd> {
    let connected = match segment {
        None => connect(at).await,
        Some(size) => {
            let start = Instant::now();
            tcp::connect_small(at, size, limits::EXPERIMENT_TIME)
                .await?
                .map(|stream| (stream, limits::EXPERIMENT_TIME.saturating_sub(start.elapsed())))
        }
    };
    Some(match connected {
        Err(failure) => HandshakeEnd::NotConnected(failure),
        Ok((stream, left)) => {
            let (observed, _) = tls.handshake(stream, name, Alpn::None, left).await;
            match observed.outcome {
                TlsOutcome::Established { .. } => HandshakeEnd::Completed(
                    observed.chain.into_iter().next().map(|leaf| leaf.subject.clone()),
                ),
                TlsOutcome::Failed(failure) => HandshakeEnd::Failed(failure),
            }
        }
    })
}

/// Says one greeting and hears how it is refused.
async fn say(at: SocketAddr, hello: &[u8]) -> HandshakeEnd {
    let (mut stream, left) = match connect(at).await {
        Ok(connected) => connected,
        Err(failure) => return HandshakeEnd::NotConnected(failure),
    };
    let mut bytes = [0; limits::OPENING_BYTES];
    let talk = async {
        // A peer that answers and closes at once can make the write fail: what it said still counts.
        let _ = stream.write_all(hello).await;
        stream.read(&mut bytes).await
    };
    HandshakeEnd::Failed(match timeout(left, talk).await {
        Err(_) => TlsFailure::Timeout,
        Ok(Ok(0)) => TlsFailure::Closed { heard: false },
        Ok(Ok(length)) => greeting::answer(bytes.get(..length).unwrap_or_default()),
        Ok(Err(error)) => failure::classify(&error, &stream::Heard::default()),
    })
}

/// Says nothing and hears what the other side does.
async fn listen(at: SocketAddr) -> SilenceEnd {
    let (mut stream, left) = match connect(at).await {
        Ok(connected) => connected,
        Err(failure) => return SilenceEnd::NotConnected(failure),
    };
    let mut bytes = [0; limits::OPENING_BYTES];
    match timeout(left.min(limits::SILENT_WAIT), stream.read(&mut bytes)).await {
        Err(_) => SilenceEnd::Waited,
        Ok(Ok(length @ 1..)) => {
            SilenceEnd::Spoke(stream::opening(bytes.get(..length).unwrap_or_default()))
        }
        Ok(Ok(_) | Err(_)) => SilenceEnd::Closed,
    }
}

/// Asks for `/` in clear text: the path of the check is no business of whoever listens in. Nothing
/// when there is no connection to ask over.
async fn ask_in_clear(at: SocketAddr, host: &Host) -> Option<HttpOutcome> {
    let (mut stream, left) = connect(at).await.ok()?;
    let host = authority(host, at.port());
    Some(http::exchange(&mut stream, &host, "/", left, http::Request::Get).await.outcome)
}
