//! The server of `serve`: its sockets, its certificate, and what is said about them at the start.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::{info, warn};

use super::Refusal;
use crate::limits;
use crate::server::auth::Access;
use crate::server::control::Controls;
use crate::server::desk::Desk;
use crate::server::history::Shelf;
use crate::server::listen::Listener;
use crate::server::rendered::Rendered;
use crate::server::serve::{Serving, serve};
use crate::server::tls::Certificates;
use crate::server::{ServerState, router};
use crate::settings::web::{Listen, Web};
use crate::snapshot::Snapshot;

/// The server, ready to begin.
pub(super) struct Server {
    web: Web,
    listeners: Vec<Listener>,
    certificates: Option<Certificates>,
    /// Who may ask; a reload replaces what is in it.
    pub(super) access: Arc<Access>,
}

/// Finds everything wrong with a server's files without opening a socket.
pub(super) fn check(web: &Web) -> Result<(), Refusal> {
    certificates(web).map(drop)
}

fn certificates(web: &Web) -> Result<Option<Certificates>, Refusal> {
    web.tls.as_ref().map(Certificates::load).transpose().map_err(Refusal::usage)
}

/// Opens the sockets: those that systemd passed, else those of the command line, else those of the
/// configuration.
pub(super) async fn open(web: Web, listen: Vec<Listen>) -> Result<Server, Refusal> {
    let certificates = certificates(&web)?;
    let access = Arc::new(Access::new(&web).map_err(Refusal::ours)?);
    let mut listeners = Listener::passed().map_err(Refusal::ours)?;
    if listeners.is_empty() {
        for at in if listen.is_empty() { &web.listen } else { &listen } {
            listeners.push(Listener::bind(at).await.map_err(Refusal::ours)?);
        }
    }
    Ok(Server { web, listeners, certificates, access })
}

impl Server {
    /// Says where the page is, and who else can read it.
    pub(super) fn announce(&self, checks: usize, interval: Duration) {
        for warning in self.listeners.iter().filter_map(|listener| self.warning(listener)) {
            warn!("{warning}");
        }
        let scheme = if self.certificates.is_some() { "https" } else { "http" };
        for listener in &self.listeners {
            let every = format!("{checks} checks every {} s", interval.as_secs());
            let page = match listener.at() {
                Listen::Tcp(at) => {
                    format!(
                        "status page: {scheme}://{at}/  metrics: {scheme}://{at}/metrics  {every}"
                    )
                }
                at @ Listen::Unix(_) => format!("status page: {at}  metrics: /metrics  {every}"),
            };
            info!("{page}");
        }
    }

    fn warning(&self, listener: &Listener) -> Option<String> {
        if listener.is_local() {
            return None;
        }
        let at = listener.at();
        match (self.certificates.is_some(), self.web.authenticates()) {
            (true, true) => None,
            (true, false) => Some(format!(
                "{at} is reachable from other machines, without authentication; whoever reaches it reads everything"
            )),
            (false, true) => Some(format!(
                "{at} is reachable from other machines, without TLS: passwords and tokens cross the network in clear text; set web.cert_file"
            )),
            (false, false) => Some(format!(
                "{at} is reachable from other machines, without TLS or authentication; prefer a loopback address"
            )),
        }
    }

    /// Answers until told to stop.
    pub(super) fn serve(
        self,
        snapshots: watch::Receiver<Arc<Snapshot>>,
        controls: Controls,
        desk: watch::Receiver<Arc<dyn Desk>>,
        past: Option<Arc<dyn Shelf>>,
        stop: impl Future<Output = ()> + Send,
    ) -> impl Future<Output = io::Result<()>> + Send {
        let fresh_within = Some(limits::SNAPSHOT_AGE);
        let (access, desk) = (self.access, Some(desk));
        let rendered = Rendered::default();
        let forget = rendered.clone().follow(snapshots.clone());
        let router = router(ServerState {
            rendered,
            fresh_within,
            desk,
            past,
            // Called where the engine runs; the answer is awaited where readers are.
            probing: Some(Handle::current()),
            ..ServerState::new(snapshots, access, controls)
        });
        let serving =
            Serving::new(router, self.certificates, Arc::new(|notice: &str| warn!("{notice}")));
        let served = serve(self.listeners, serving, stop);
        async {
            tokio::select! {
                served = served => served,
                never = forget => match never {},
            }
        }
    }
}
