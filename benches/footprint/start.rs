//! From exec to the first answer and to the first complete snapshot, and what one run costs.

use std::process::Command;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::catalog::{self, Plan};
use crate::figures::daemon::Running;
use crate::figures::world::{self, free_port};
use crate::figures::{BINARY, Spread, met};
use crate::{Bench, peer};

const STARTS: usize = 21;
const ROUNDS: usize = 3;
/// Batches of runs, and how many runs each has, as a shell counts milliseconds.
const BATCHES: usize = 5;
const BATCH: usize = 20;
/// The targets, in milliseconds.
const FIRST_ANSWER: f64 = 15.0;
const PROCESSOR: f64 = 10.0;

pub(crate) fn measure(bench: &Bench, plan: &Plan) -> String {
    let config = bench.write("start.toml", &catalog::config(&bench.ca, "1m"));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        ours.push(ms(serve(&config.to_string_lossy(), "/-/healthy")));
        let (_process, address, start) = peer::start(bench);
        peer::answers(address, "/-/healthy");
        theirs.push(ms(start.elapsed()));
    }
    let rounds: Vec<f64> =
        (0..ROUNDS).map(|_| ms(serve(&config.to_string_lossy(), "/-/ready"))).collect();
    let [ours, theirs, rounds] = [ours, theirs, rounds].map(|runs| Spread::of(&runs));
    let probe = format!(
        "[workspace]\ncloud = \"none\"\n[dns]\nservers = [\"{}\"]\nreference = \"\"\n[tls]\nca_files = [\"{}\"]\n\
         [[probe]]\nname = \"one\"\ntarget = \"tls://h1.{}:443\"\n",
        world::DNS,
        bench.ca.display(),
        world::SUFFIX
    );
    let one = bench.write("one.toml", &probe);
    let version = processor(&format!("{BINARY} --version"));
    let check = processor(&format!("{BINARY} check --config {}", one.display()));
    format!(
        "Start, {STARTS} times in turn with the whole Government catalog ({} checks), from exec to the \
         first HTTP answer: vnetprobe {ours:.1} ms, blackbox_exporter {theirs:.1} ms. Target: under \
         {FIRST_ANSWER:.0} ms: {}. To the first complete snapshot (`/-/ready`) in a healthy world, where the first \
         round is spread over a tenth of the interval of a minute: {:.1} s.\n\n\
         Processor time of one run, the mean of {BATCH}: `vnetprobe --version` {version:.1} ms, `vnetprobe \
         check` of one TLS target {check:.1} ms. Target: starts and exits in under {PROCESSOR:.0} ms: {}.",
        plan.checks().count(),
        met(ours.median < FIRST_ANSWER),
        Spread { median: rounds.median / 1e3, low: rounds.low / 1e3, high: rounds.high / 1e3 },
        met(version.median < PROCESSOR && check.median < PROCESSOR),
    )
}

/// Time until `serve` answers this path with 200.
fn serve(config: &str, path: &str) -> Duration {
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], free_port()));
    let start = Instant::now();
    let child = Command::new(BINARY)
        .args([
            "serve",
            "--log-format",
            "json",
            "--listen",
            &address.to_string(),
            "--config",
            config,
        ])
        .stderr(std::process::Stdio::null())
        .spawn();
    let _process = Running(child.expect("the binary runs"));
    if path == "/-/ready" {
        // What is awaited for seconds must not take the processor meanwhile.
        while !crate::figures::daemon::get(address, path).is_some_and(|text| text.contains(" 200 "))
        {
            std::thread::sleep(Duration::from_millis(5));
        }
    } else {
        peer::answers(address, path);
    }
    start.elapsed()
}

/// Milliseconds of processor time of a command, as the shell's `time` counts them.
fn processor(command: &str) -> Spread {
    #[derive(Deserialize)]
    struct Times(f64, f64);
    let script = format!(
        "TIMEFORMAT='[%3U, %3S]'; time for ((i = 0; i < {BATCH}; i++)); do {command} >/dev/null 2>&1 || exit 1; done"
    );
    let runs: Vec<f64> = (0..BATCHES)
        .map(|_| {
            let output = Command::new("bash").args(["-c", &script]).output().expect("bash runs");
            assert!(output.status.success(), "{command} ends well");
            let Times(user, system) = serde_json::from_slice(&output.stderr).expect("two numbers");
            (user + system) * 1e3 / BATCH as f64
        })
        .collect();
    Spread::of(&runs)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
