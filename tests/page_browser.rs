//! The page in real Chromium: with and without script, filter, copy, live updates, accessibility,
//! narrow and dark, hostile texts inert. `tests/page-browser/` says what is done and expected.
//!
//! Fixture snapshots stand behind the real router; the last test has the real binary.
#![expect(clippy::unwrap_used, reason = "a test stops where its world is not as it says")]
#![expect(clippy::disallowed_methods, reason = "the test listens on loopback itself")]

mod fixture;
mod process;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path as Segment, State};
use axum::http::StatusCode;
use axum::routing::post;
use fixture::faults::{first_round, five_faults, healthy, hostile, many};
use process::daemon::Daemon;
use process::loopback::{listener, refusing_port};
use process::{Ended, Process, alone, needs};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use vnetprobe::server::auth::Access;
use vnetprobe::server::control::Controls;
use vnetprobe::server::listen::Listener;
use vnetprobe::server::serve::{Serving, serve};
use vnetprobe::server::{self, ServerState};
use vnetprobe::settings::web::Web;
use vnetprobe::snapshot::Snapshot;

/// Starts the browser's script; the browser itself is Debian's.
fn browser(script: &str, arguments: &[&str]) -> Process {
    needs("node", "nodejs");
    needs("chromium", "chromium");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page-browser");
    assert!(
        folder.join("node_modules/playwright-core").exists(),
        "scripts/setup installs what tests/page-browser needs"
    );
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page");
    std::fs::create_dir_all(&pictures).unwrap();
    let mut command = Command::new("node");
    command.arg(folder.join(script)).args(arguments).env("PICTURES", pictures);
    Process::start(&mut command)
}

fn passes(ended: Ended) {
    let ended = ended.expect(0);
    assert!(ended.stdout.contains("all steps done"), "{}\n{}", ended.stdout, ended.stderr);
}

/// The server under test, which the browser's script can give another snapshot, stop and start.
struct Stage {
    publish: watch::Sender<Arc<Snapshot>>,
    address: SocketAddr,
    running: Mutex<Option<(oneshot::Sender<()>, tokio::task::JoinHandle<()>)>>,
}

impl Stage {
    /// The same address each time.
    async fn start(&self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        let listeners = vec![Listener::tcp(listener).unwrap()];
        let controls = Controls {
            reload: tokio::sync::mpsc::channel(1).0,
            log_level: Arc::new(|| "info".into()),
            set_log_level: Arc::new(|_| Ok(())),
        };
        let access = Arc::new(Access::new(&Web::default()).unwrap());
        let state = ServerState::new(self.publish.subscribe(), access, controls);
        let router = server::router(state);
        let serving = Serving::new(router, None, Arc::new(|_: &str| {}));
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(async move {
            let stopped = async { stopped.await.unwrap_or_default() };
            serve(listeners, serving, stopped).await.unwrap();
        });
        *self.running.lock().unwrap() = Some((stop, running));
    }

    async fn stop(&self) {
        let (stop, serving) = self.running.lock().unwrap().take().unwrap();
        drop(stop);
        serving.await.unwrap();
    }
}

fn world(name: &str) -> Option<Snapshot> {
    match name {
        "healthy" => Some(healthy()),
        "five-faults" => Some(five_faults()),
        "first-round" => Some(first_round()),
        "hostile" => Some(hostile()),
        "many" => Some(many(1_000)),
        _ => None,
    }
}

async fn order(State(stage): State<Arc<Stage>>, Segment(what): Segment<String>) -> StatusCode {
    match what.as_str() {
        "stop" => stage.stop().await,
        "start" => stage.start().await,
        name => match world(name) {
            Some(mut snapshot) => {
                // Each one newer than the one before, as an engine's are.
                let before = stage.publish.borrow().taken_at;
                snapshot.taken_at = before + jiff::SignedDuration::from_secs(1);
                stage.publish.send_replace(Arc::new(snapshot));
            }
            None => return StatusCode::NOT_FOUND,
        },
    }
    StatusCode::OK
}

/// Runs a script against fixture snapshots.
fn staged(script: &str) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let ended = runtime.block_on(async {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let (publish, _) = watch::channel(Arc::new(five_faults()));
        let stage = Arc::new(Stage { publish, address, running: Mutex::default() });
        stage.start().await;
        let orders = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let control = orders.local_addr().unwrap();
        let router = Router::new().route("/{what}", post(order)).with_state(stage);
        tokio::spawn(async { axum::serve(orders, router).await });
        let [page, control] = [address, control].map(|at| format!("http://{at}"));
        let script = script.to_owned();
        tokio::task::spawn_blocking(move || browser(&script, &[&page, &control]).ended())
            .await
            .unwrap()
    });
    passes(ended);
}

#[test]
fn with_and_without_script() {
    alone(|| staged("page.mjs"));
}

#[test]
fn nothing_stands_in_the_way_of_anyone() {
    alone(|| staged("access.mjs"));
}

#[test]
fn the_real_daemon_updates_an_open_page() {
    alone(|| {
        let (listening, port) = listener();
        let refusing = refusing_port();
        let config = format!(
            "[workspace]\ncloud = \"none\"\n\n[schedule]\ninterval = \"1s\"\n\n\
             [[probe]]\nname = \"server\"\ntarget = \"tcp://127.0.0.1:{port}\"\nscenarios = [\"work\"]\n\n\
             [[probe]]\nname = \"refusing\"\ntarget = \"tcp://127.0.0.1:{refusing}\"\nscenarios = [\"play\"]\n"
        );
        let daemon = Daemon::start(&config);
        daemon.is_ready();
        let id = format!("server@127.0.0.1:{port}");
        daemon.has_status(&id, "pass");
        let script = browser("daemon.mjs", &[&format!("http://{}", daemon.address), &id]);
        script.says("the page is open");
        drop(listening);
        passes(script.ended());
        daemon.stopped().expect(0);
    });
}
