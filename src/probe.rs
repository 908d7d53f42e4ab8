//! Climbs the layers of one target and tells what it saw: names, then every address on its own.
//!
//! Probing never fails: what goes wrong is the observation.

pub mod blackbox;
pub mod certificate;
pub mod dns;
pub mod dns_message;
pub mod experiments;
pub mod failure;
pub mod greeting;
pub mod http;
pub mod proxy;
pub mod smb;
pub mod stream;
pub mod tcp;
pub mod tls;
pub mod trust;
pub mod turns;
pub mod udp;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::net::TcpStream;

use crate::check::Target;
use crate::engine::Prober;
use crate::limits;
use crate::model::{Elapsed, Host, Kind, authority};
use crate::observation::{
    AboveTcp, Climb, ClimbOutcome, Observation, ProxyObservation, TlsObservation, TlsOutcome,
};
use crate::parameters::NetworkFacts;
use crate::proxy::{Decision, Routes};
use crate::resolution::effective;
use crate::settings::Timeouts;
use dns::Servers;
use experiments::FollowUps;
use tls::{Alpn, TlsClient};
use turns::Turns;

/// The real network.
#[derive(Debug, Clone)]
pub struct Live {
    /// Whom to ask for names.
    pub servers: Servers,
    /// Names this machine's hosts file decides.
    pub hosts_file: BTreeMap<String, Vec<IpAddr>>,
    /// What counts as private.
    pub network: Arc<NetworkFacts>,
    /// Trust stores and TLS settings, made once for all who probe.
    pub tls: Arc<TlsClient>,
    /// Time for each phase.
    pub timeouts: Timeouts,
    /// Follow-ups on failures.
    pub follow_ups: Arc<FollowUps>,
    /// What goes through a proxy.
    pub routes: Routes,
    /// Tells how long this machine kept probes waiting.
    pub turns: Turns,
}

impl Prober for Live {
    async fn probe(&self, target: &Target, private: bool) -> Observation {
        let (mut seen, stalled) = self.turns.watched(self.look(target, private)).await;
        seen.stalled = Elapsed(stalled);
        self.follow_ups.follow(target, &self.tls, &self.network, &mut seen).await;
        seen
    }
}

impl Live {
    async fn look(&self, target: &Target, private: bool) -> Observation {
        let decision = self.routes.decide(target);
        let (dns, mut addresses) = match &target.host {
            Host::Ip(ip) => (None, vec![*ip]),
            // The proxy resolves the name; what it is here matters where it should be private.
            Host::Name(_) if matches!(decision, Decision::Through(..)) && !private => {
                (None, Vec::new())
            }
            Host::Name(name) => {
                let hosts_file = self.hosts_file.get(name).map_or(&[][..], Vec::as_slice);
                let private = private.then_some(self.network.as_ref());
                let dns =
                    dns::resolve(name, &self.servers, hosts_file, private, self.timeouts.dns).await;
                let addresses = effective(&dns).addresses();
                (Some(dns), addresses)
            }
        };
        let Some(port) = target.port.filter(|_| target.kind != Kind::Dns) else {
            return Observation { dns, climbs: Vec::new(), ..Observation::default() };
        };
        let proxy = match decision {
            Decision::Through(proxy, why) => {
                let (observed, climb) = self.through(target, port, proxy, why).await;
                let climbs = climb.into_iter().collect();
                return Observation {
                    dns,
                    climbs,
                    proxy: Some(observed),
                    ..Observation::default()
                };
            }
            Decision::Direct(why) => {
                self.routes.shown().map(|url| ProxyObservation::bypassed(url, why))
            }
        };
        let addresses_not_tried = addresses.len().saturating_sub(limits::ADDRESSES_PER_CHECK);
        addresses.truncate(limits::ADDRESSES_PER_CHECK);
        let climbs = join_all(addresses.into_iter().map(|ip| self.climb(target, ip, port))).await;
        Observation { dns, climbs, addresses_not_tried, proxy, ..Observation::default() }
    }

    async fn climb(&self, target: &Target, ip: IpAddr, port: u16) -> Climb {
        let address = SocketAddr::new(ip, port);
        let outcome = if target.kind == Kind::Udp {
            ClimbOutcome::Datagram(udp::send(address, self.timeouts.connect).await)
        } else {
            match tcp::connect(address, self.timeouts.connect).await {
                (elapsed, Err(failure)) => ClimbOutcome::NotConnected { elapsed, failure },
                (elapsed, Ok((stream, local))) => ClimbOutcome::Connected {
                    elapsed,
                    local,
                    then: self.above(target, port, stream).await,
                },
            }
        };
        Climb { ip, port, outcome }
    }

    async fn above(&self, target: &Target, port: u16, mut stream: TcpStream) -> AboveTcp {
        let host = authority(&target.host, port);
        match target.kind {
            Kind::Dns | Kind::Udp | Kind::Tcp => {
                AboveTcp::Nothing { closed: tcp::settle(&stream).await }
            }
            Kind::Tls => {
                let (observed, _) =
                    self.tls.handshake(stream, &target.host, Alpn::None, self.timeouts.tls).await;
                AboveTcp::Tls(Box::new(observed))
            }
            Kind::Https => self.request(target, stream, &host, http::Request::Get).await,
            Kind::Websocket => {
                self.request(target, stream, &host, http::Request::WebsocketUpgrade).await
            }
            Kind::Http => AboveTcp::Http(
                http::exchange(
                    &mut stream,
                    &host,
                    &target.path,
                    self.timeouts.http,
                    http::Request::Get,
                )
                .await,
            ),
            Kind::Smb => AboveTcp::Smb(smb::negotiate(&mut stream, self.timeouts.http).await),
        }
    }

    /// A request over TLS. Nothing is sent over a session whose certificate does not verify: the
    /// handshake hands out no stream then.
    async fn request(
        &self,
        target: &Target,
        stream: TcpStream,
        host: &str,
        request: http::Request,
    ) -> AboveTcp {
        let (mut observed, session) =
            self.tls.handshake(stream, &target.host, Alpn::Http1, self.timeouts.tls).await;
        if let Some(mut session) = session {
            let answer =
                http::exchange(&mut session, host, &target.path, self.timeouts.http, request).await;
            set_answer(&mut observed, answer);
        }
        AboveTcp::Tls(Box::new(observed))
    }
}

fn set_answer(observed: &mut TlsObservation, answer: crate::observation::HttpObservation) {
    if let TlsOutcome::Established { then, .. } = &mut observed.outcome {
        *then = Some(answer);
    }
}
