//! The real Prometheus reads the metrics: its linter has no complaint, and a server of its own
//! scrapes the daemon and answers for a failing check.

mod process;

use std::process::Command;

use process::daemon::Daemon;
use process::loopback::{listener, refusing_port, web_server};
use process::prometheus::Prometheus;
use process::{Process, alone, folder, needs};
use serde_json::Value;

/// A daemon with something that works, something that refuses and something of every kind that
/// loopback has to offer.
fn daemon(port: u16, refusing: u16) -> Daemon {
    let web = web_server();
    let daemon = Daemon::start(&format!(
        "[workspace]\ncloud = \"none\"\n\n[schedule]\ninterval = \"1s\"\n\n\
         [[probe]]\nname = \"listening\"\ntarget = \"tcp://127.0.0.1:{port}\"\n\n\
         [[probe]]\nname = \"refusing\"\ntarget = \"tcp://127.0.0.1:{refusing}\"\nscenarios = [\"work\"]\n\n\
         [[probe]]\nname = \"web\"\ntarget = \"http://127.0.0.1:{web}/\"\n\n\
         [[probe]]\nname = \"not tls\"\ntarget = \"https://127.0.0.1:{web}/\"\n\n\
         [[probe]]\nname = \"name\"\ntarget = \"dns://name.example\"\n"
    ));
    daemon.is_ready();
    daemon
}

#[test]
fn promtool_has_no_complaint() {
    alone(|| {
        needs("promtool", "prometheus");
        let (_listening, port) = listener();
        let daemon = daemon(port, refusing_port());
        let metrics = daemon.get("/metrics").body;
        assert!(metrics.contains("vnetprobe_probe_cause_info{"), "{metrics}");
        let files = folder(&[("metrics", &metrics)]);
        let mut promtool = Command::new("sh");
        promtool.current_dir(files.path()).args(["-c", "promtool check metrics < metrics"]);
        let checked = Process::start(&mut promtool).ended().expect(0);
        assert_eq!((checked.stdout.as_str(), checked.stderr.as_str()), ("", ""));
        daemon.stopped().expect(0);
    });
}

#[test]
fn prometheus_answers_for_a_failing_check() {
    alone(|| {
        let (_listening, port) = listener();
        let refusing = refusing_port();
        let daemon = daemon(port, refusing);
        let yaml = format!(
            "global: {{ scrape_interval: 1s, scrape_timeout: 1s }}\n\
             scrape_configs:\n\
             - job_name: vnetprobe\n\
             \x20 static_configs: [ {{ targets: [ '{}' ] }} ]\n",
            daemon.address
        );
        let files = folder(&[("prometheus.yml", &yaml)]);
        let prometheus = Prometheus::start(files.path());
        prometheus.answers("up == 1", 1);

        let cause = prometheus.answers("vnetprobe_probe_cause_info{cause=\"tcp_refused\"}", 1);
        let labels = &cause[0]["metric"];
        for (label, value) in [
            ("requirement", "refusing"),
            ("host", "127.0.0.1"),
            ("port", refusing.to_string().as_str()),
            ("kind", "tcp"),
        ] {
            assert_eq!(labels[label], value, "{labels}");
        }
        assert_eq!(cause[0]["value"][1], "1");

        // What people alert on: refused, not TLS, and the name that nobody can look up.
        let failing = prometheus.answers("vnetprobe_probe_success == 0", 3);
        let mut requirements: Vec<&Value> =
            failing.iter().map(|series| &series["metric"]["requirement"]).collect();
        requirements.sort_by_key(ToString::to_string);
        assert_eq!(requirements, ["name", "not-tls", "refusing"]);
        prometheus.answers("vnetprobe_scenario_ready{scenario=\"work\"} == 0", 1);
        prometheus.answers(
            "vnetprobe_probe_success == 0 and on (requirement, host, port, kind) \
             vnetprobe_probe_cause_info{cause=\"tcp_refused\"}",
            1,
        );
        // Counters count, seen over several scrapes.
        prometheus.answers("increase(vnetprobe_probe_attempts_total[1m]) > 0", 5);
        daemon.stopped().expect(0);
        prometheus.answers("up == 0", 1);
    });
}
