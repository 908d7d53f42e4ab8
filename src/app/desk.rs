//! Probes on request: with what the daemon itself probes with, run once over what was asked for.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, watch};

use super::Refusal;
use crate::adhoc::Allowed;
use crate::blackbox::{Job, Sight};
use crate::catalog;
use crate::config::{self, Config};
use crate::engine::{Engine, Options};
use crate::history::Setting;
use crate::journal::Past;
use crate::limits;
use crate::model::Cloud;
use crate::plan::{self, ExtraProbe};
use crate::probe::Live;
use crate::probe::experiments::FollowUps;
use crate::probe::turns::Turns;
use crate::requirement::Catalog;
use crate::schedule::Repeat;
use crate::server::desk::{Desk, Run};

/// What the routes that probe are served from.
#[derive(Debug)]
pub(super) struct Front {
    live: Arc<Live>,
    setting: Setting,
    options: Options,
    /// No requirements: only what is asked for is measured.
    catalog: Catalog,
    /// The configuration without its probes, and how many of those end the plan.
    config: Config,
    probes: usize,
}

impl Front {
    /// A desk beside a daemon that was made from this; another one takes its place when the
    /// configuration is reloaded. The last `probes` requirements of the plan are its `[[probe]]`s.
    pub(super) fn open(
        config: &Config,
        probes: usize,
        live: &Live,
        setting: &Setting,
        options: &Options,
    ) -> Result<Arc<dyn Desk>, Refusal> {
        // Whoever asks must see the follow-ups, however lately the daemon made the same.
        let follow_ups = Arc::new(FollowUps::new(config.parameters.cloud, Repeat::Once));
        Ok(Arc::new(Self {
            // It probes on the readers' thread, whose delays are its own.
            live: Arc::new(Live { follow_ups, turns: Turns::default(), ..live.clone() }),
            setting: Setting { interval: None, ..setting.clone() },
            options: Options {
                repeat: Repeat::Once,
                concurrency: options.concurrency.min(limits::ADHOC_CONCURRENCY),
                seed: options.seed,
            },
            catalog: catalog::embedded(Cloud::None)
                .map_err(|errors| Refusal::ours(errors.join("\n")))?,
            config: config.clone(),
            probes,
        }))
    }
}

impl Desk for Front {
    fn run(&self, probes: Vec<ExtraProbe>) -> Run {
        let network = &self.setting.network;
        let plan = plan::plan(&self.catalog, &probes, &self.config.parameters, network, |_| false);
        let setting = Setting { plan: Arc::new(plan), ..self.setting.clone() };
        let mut engine =
            Engine::new(Arc::clone(&self.live), setting, &self.options, Past::default());
        let (publish, snapshots) = watch::channel(engine.snapshot());
        let last = Box::pin(async move {
            let (_orders, obeyed) = mpsc::channel(1);
            engine.run(&publish, obeyed, tokio::time::sleep(limits::ADHOC_TIME)).await
        });
        Run { snapshots, last }
    }

    fn blackbox(&self, job: Job, limit: Duration, allowed: Allowed) -> BoxFuture<'static, Sight> {
        let live = Arc::clone(&self.live);
        Box::pin(async move { live.blackbox(&job, limit, &allowed).await })
    }

    fn patience(&self) -> Duration {
        self.config.settings.timeouts.budget()
    }

    fn probe_suffixes(&self) -> Vec<String> {
        self.config.settings.web.probe_suffixes.clone()
    }

    fn configuration(&self) -> String {
        let probes = self.setting.plan.extras(self.probes);
        config::shown(&Config { probes, ..self.config.clone() })
    }
}
