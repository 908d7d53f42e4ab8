//! The monitoring pack: rules and dashboard name only what the binary says, a real Prometheus
//! answers every query of theirs, and with a real Alertmanager one fault is one notification.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test stops where its world is not as it says, and reads the files it is about"
)]

#[path = "monitoring/promql.rs"]
mod promql;
#[path = "monitoring/webhook.rs"]
mod webhook;

mod process;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use process::daemon::Daemon;
use process::loopback::{dns_server, dns_server_that, listener, listener_at, refusing_port};
use process::prometheus::{Alertmanager, Prometheus, encoded};
use process::{Process, alone, folder, needs, until};
use serde_json::Value;
use tempfile::TempDir;
use webhook::Webhook;

const RULES: &str = include_str!("../deploy/prometheus/vnetprobe.rules.yml");
const RULE_TESTS: &str = include_str!("../deploy/prometheus/vnetprobe.test.yml");
const SCRAPES: &str = include_str!("../deploy/prometheus/prometheus.yml");
const NOTIFICATIONS: &str = include_str!("../deploy/prometheus/alertmanager.yml");
const DASHBOARD: &str = include_str!("../deploy/grafana/vnetprobe.json");

/// The VNet that the daemons of these tests stand in.
const VNET: &str = "red";

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

// ------------------------------------------------------------------------------- their own tools

fn tool(program: &str, package: &str, folder: &Path, arguments: &[&str]) {
    needs(program, package);
    let ended = Process::start(Command::new(program).current_dir(folder).args(arguments)).ended();
    assert_eq!(ended.code, Some(0), "{program} {arguments:?}: {}{}", ended.stdout, ended.stderr);
}

#[test]
fn promtool_and_amtool_accept_every_file() {
    let folder = repository().join("deploy/prometheus");
    let promtool = |arguments: &[&str]| tool("promtool", "prometheus", &folder, arguments);
    promtool(&["check", "config", "prometheus.yml"]);
    promtool(&["test", "rules", "vnetprobe.test.yml"]);
    tool("amtool", "prometheus-alertmanager", &folder, &["check-config", "alertmanager.yml"]);
}

/// A file with its commented variants in force; what is commented within them stays so.
fn uncommented(text: &str) -> String {
    let lines = text.lines().map(|line| {
        // Two spaces before the sign: prose at the margin stays a comment.
        let variant = line.strip_prefix("  # ").filter(|rest| {
            let rest = rest.trim_start_matches(['#', ' ']);
            rest.starts_with("- ")
                || rest.split_once(':').is_some_and(|(key, _)| {
                    key.chars().all(|c| c.is_ascii_lowercase() || c == '_') && key != "yml"
                })
        });
        match variant {
            Some(rest) => format!("  {rest}"),
            None => line.to_owned(),
        }
    });
    lines.fold(String::new(), |text, line| text + &line + "\n")
}

#[test]
fn the_commented_variants_are_valid() {
    // Prometheus wants jobs with different names.
    let mut number = 0;
    let scrapes = uncommented(SCRAPES)
        .lines()
        .map(|line| {
            number += usize::from(line.contains("job_name"));
            line.replace("job_name: vnetprobe", &format!("job_name: job{number}")) + "\n"
        })
        .collect::<String>();
    assert!(number == 3 && scrapes.contains("\n    basic_auth:"), "{scrapes}");
    let files = folder(&[
        ("prometheus.yml", &scrapes),
        ("alertmanager.yml", &tickets_apart(NOTIFICATIONS)),
        ("vnetprobe.rules.yml", RULES),
    ]);
    let promtool = ["check", "config", "--syntax-only", "prometheus.yml"];
    tool("promtool", "prometheus", files.path(), &promtool);
    let amtool = ["check-config", "alertmanager.yml"];
    tool("amtool", "prometheus-alertmanager", files.path(), &amtool);
}

/// The last of the commented jobs alone, with its files in the configuration's own folder.
fn secured_scrape() -> String {
    let text = uncommented(SCRAPES);
    let (head, _) = text.split_once("alerting:\n").unwrap();
    let (_, job) = text.rsplit_once("  - job_name:").unwrap();
    let head = head.replace("30s", "1s");
    format!("{head}scrape_configs:\n  - job_name:{job}").replace("/etc/prometheus/", "")
}

/// The same with a bearer token instead of a password.
fn with_token(scrapes: &str) -> String {
    let lines = scrapes.lines().filter_map(|line| {
        if ["basic_auth:", "username:", "password_file:"].iter().any(|key| line.contains(key)) {
            return None;
        }
        let sign = if line.contains("authorization:") { "# " } else { "" };
        Some(line.replacen(sign, "", 1) + "\n")
    });
    lines.collect()
}

/// The secured job reads a daemon that wants TLS and says who asks; without either it does not.
#[test]
fn a_secured_daemon_is_scraped_with_a_password_or_a_token() {
    alone(|| {
        let secrets = folder(&[]);
        certificate(secrets.path());
        let (_listening, port) = listener();
        // bcrypt of "a password", SHA-256 of "a token".
        let daemon = Daemon::start(&format!(
            "[workspace]\ncloud = \"none\"\n\n[web]\ncert_file = \"{0}/cert.pem\"\nkey_file = \"{0}/key.pem\"\n\
             basic_auth_users = {{ prometheus = \"$2b$10$abcdefghijklmnopqrstuu3vNumR3RWJ7JJolGiBKkMLEqUfVHJ0C\" }}\n\
             bearer_tokens = {{ scraper = \"e3316e2bafebb6103a3418e8778c0adc960d40213a03a7e7f4fcd3426ed807bf\" }}\n\n\
             [[probe]]\nname = \"open\"\ntarget = \"tcp://127.0.0.1:{port}\"\n",
            secrets.path().display()
        ));
        let vnets = format!("- targets: [\"{}\"]\n  labels: {{ vnet: {VNET} }}\n", daemon.address);
        let certificate = fs::read_to_string(secrets.path().join("cert.pem")).unwrap();
        let password = secured_scrape();
        let token = with_token(&password);
        assert!(
            !token.contains("\n    basic_auth:") && token.contains("\n    authorization:"),
            "{token}"
        );
        for (scrapes, secret, up) in
            [(&password, "a password", 1), (&token, "a token", 1), (&token, "another token", 0)]
        {
            let files = folder(&[
                ("prometheus.yml", scrapes),
                ("vnetprobe.rules.yml", RULES),
                ("vnetprobe-ca.pem", &certificate),
                ("vnetprobe.password", secret),
                ("vnetprobe.token", secret),
            ]);
            fs::create_dir(files.path().join("vnets")).unwrap();
            fs::write(files.path().join("vnets/red.yml"), &vnets).unwrap();
            let prometheus = Prometheus::start(files.path());
            prometheus.answers(&format!("up{{job=\"vnetprobe\", vnet=\"{VNET}\"}} == {up}"), 1);
            prometheus.answers("vnetprobe_build_info", up);
        }
        daemon.stopped().expect(0);
    });
}

/// Alertmanager's configuration with its commented route, and a receiver for that.
fn tickets_apart(text: &str) -> String {
    let text = uncommented(text);
    assert!(text.contains("\n  routes:\n    - matchers: [severity!=\"critical\"]\n"), "{text}");
    text + "  - name: tickets\n    webhook_configs:\n      - url: http://127.0.0.1:8080/tickets\n"
}

// ---------------------------------------------------------------------------- a world to look at

/// Puts `cert.pem` and `key.pem` for loopback into a folder; they end in a week.
fn certificate(folder: &Path) {
    let arguments = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem \
                     -out cert.pem -days 7 -subj /CN=service -addext subjectAltName=IP:127.0.0.1";
    tool("openssl", "openssl", folder, &arguments.split(' ').collect::<Vec<_>>());
}

/// A service with a certificate that ends soon, until the value goes.
struct TlsService {
    _process: Process,
    files: TempDir,
    port: u16,
}

impl TlsService {
    fn start() -> Self {
        let files = folder(&[]);
        let port = refusing_port();
        certificate(files.path());
        let mut command = Command::new("openssl");
        command.current_dir(files.path()).args(["s_server", "-quiet", "-www"]);
        command.args(["-key", "key.pem", "-cert", "cert.pem"]);
        command.args(["-accept", &format!("127.0.0.1:{port}")]);
        let process = Process::start(&mut command);
        until("the TLS service listens", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        Self { _process: process, files, port }
    }
}

/// A daemon with a check of every kind of result: what the queries of the pack ask for is there.
fn full_daemon(service: &TlsService, port: u16) -> Daemon {
    let dns = dns_server(Ipv4Addr::new(203, 0, 113, 7));
    let daemon = Daemon::start(&format!(
        "[workspace]\ncloud = \"none\"\n\n[schedule]\ninterval = \"1s\"\n\n\
         [dns]\nservers = [\"{dns}\"]\nreference = \"\"\n\n\
         [tls]\nca_files = [\"{}\"]\n\n\
         [[probe]]\nname = \"open\"\ntarget = \"tcp://127.0.0.1:{port}\"\nscenarios = [\"work\"]\n\n\
         [[probe]]\nname = \"refusing\"\ntarget = \"tcp://127.0.0.1:{}\"\nscenarios = [\"work\"]\n\n\
         [[probe]]\nname = \"service\"\ntarget = \"tls://127.0.0.1:{}\"\n\n\
         [[probe]]\nname = \"unroutable\"\ntarget = \"tcp://198.51.100.1:443\"\nscenarios = [\"elsewhere\"]\n\n\
         [[probe]]\nname = \"leak\"\ntarget = \"dns://name.example\"\nexpect = \"private\"\n",
        service.files.path().join("cert.pem").display(),
        refusing_port(),
        service.port,
    ));
    daemon.is_ready();
    daemon
}

/// A copy of the pack in which minutes are seconds, with these daemons in the VNet and whoever is
/// paged at this port.
fn hasty_pack(daemon: &Daemon, pager: u16) -> TempDir {
    let rules: String = RULES
        .lines()
        .map(|line| match line.trim_start().split_once(": ") {
            Some(("for" | "keep_firing_for", time)) => {
                let hasty = time.replace('m', "s").replace('h', "m");
                assert!(hasty != time, "{line}");
                line.replace(time, &hasty) + "\n"
            }
            _ => line.to_owned() + "\n",
        })
        .collect();
    let notifications = tickets_apart(NOTIFICATIONS)
        .replace("127.0.0.1:8080", &format!("127.0.0.1:{pager}"))
        .replace("group_wait: 30s", "group_wait: 1s")
        .replace("group_interval: 5m", "group_interval: 5s");
    let vnets = format!("- targets: [\"{}\"]\n  labels: {{ vnet: {VNET} }}\n", daemon.address);
    let files = folder(&[
        ("prometheus.yml", &SCRAPES.replace("30s", "1s")),
        ("vnetprobe.rules.yml", &rules),
        ("alertmanager.yml", &notifications),
    ]);
    fs::create_dir(files.path().join("vnets")).unwrap();
    fs::write(files.path().join("vnets/red.yml"), vnets).unwrap();
    files
}

// -------------------------------------------------------------------------------- names are true

/// The metrics of a daemon as a scrape has them, each with its labels.
struct Exposed(BTreeMap<String, BTreeSet<String>>);

impl Exposed {
    fn read(metrics: &str) -> Self {
        let mut exposed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for line in metrics.lines().filter(|line| !line.starts_with('#')) {
            let (series, _) = line.rsplit_once(' ').unwrap();
            for (name, labels) in promql::names(series).selected {
                let known = exposed.entry(name).or_default();
                known.extend(labels);
                known.extend(TARGET.map(str::to_owned));
            }
        }
        exposed.insert("up".to_owned(), TARGET.map(str::to_owned).into());
        Self(exposed)
    }

    /// Learns what recording rules and alerts add.
    fn learn(&mut self, name: &str, labels: impl IntoIterator<Item = String>) {
        self.0.entry(name.to_owned()).or_default().extend(labels);
    }

    /// What an expression names that does not exist.
    fn ghosts(&self, expression: &str) -> Vec<String> {
        let names = promql::names(expression);
        let mut ghosts = Vec::new();
        let mut known: BTreeSet<&String> = BTreeSet::new();
        for (metric, labels) in &names.selected {
            let Some(exposed) = self.0.get(metric) else {
                ghosts.push(metric.clone());
                continue;
            };
            known.extend(exposed);
            let unknown = labels.iter().filter(|label| !exposed.contains(*label));
            ghosts.extend(unknown.map(|label| format!("{metric}{{{label}}}")));
        }
        let unknown = names.grouped.iter().filter(|label| !known.contains(label));
        ghosts.extend(unknown.map(|label| format!("{label} in {expression}")));
        ghosts
    }
}

/// Labels that a scrape adds.
const TARGET: [&str; 3] = ["job", "instance", "vnet"];

/// Every rule as Prometheus has read it.
fn rules(prometheus: &Prometheus) -> Vec<Value> {
    let groups = prometheus.api("rules")["groups"].as_array().unwrap().clone();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

/// What a template asks Prometheus for, with the labels of the alert filled in.
fn questions(template: &str) -> Vec<String> {
    let filled = |format: &str| {
        let values = ["vnetprobe", "instance"].map(|label| format!("\"{label}\""));
        values.iter().fold(format.replace("\\\"", "\""), |text, v| text.replacen("%q", v, 1))
    };
    let mut questions = Vec::new();
    for after in template.split("printf \"").skip(1) {
        let (format, rest) = after.split_once("\" $labels.job $labels.instance | query").unwrap();
        assert!(rest.starts_with([' ', '|']), "{template}");
        questions.push(filled(format));
    }
    questions
}

fn panels() -> Vec<Value> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    dashboard["panels"].as_array().unwrap().clone()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// Expressions of the dashboard with what a person chose in it.
fn dashboard_queries(host: &str) -> Vec<(String, String)> {
    let chosen = |expression: &str| {
        expression
            .replace("$__rate_interval", "1m")
            .replace("$vnet", VNET)
            .replace("$instance", ".*")
            .replace("$requirement", ".*")
            .replace("$host", host)
    };
    let mut queries = Vec::new();
    for panel in panels() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = chosen(text(&target["expr"]));
            assert!(!query.contains('$'), "unknown variable: {query}");
            queries.push((text(&panel["title"]).to_owned(), query));
        }
    }
    queries
}

#[test]
fn every_query_names_what_is_there_and_is_answered() {
    alone(|| {
        let service = TlsService::start();
        let (_listening, port) = listener();
        let daemon = full_daemon(&service, port);
        let files = hasty_pack(&daemon, 8080);
        let prometheus = Prometheus::start(files.path());
        prometheus.answers("up == 1", 1);

        let mut exposed = Exposed::read(&daemon.get("/metrics").body);
        let mut ghosts = Vec::new();
        let rules = rules(&prometheus);
        for rule in &rules {
            ghosts.extend(exposed.ghosts(text(&rule["query"])));
            if rule["type"] == "recording" {
                // Its labels are those of its outermost `by`; all of them are checked above.
                let labels = promql::names(text(&rule["query"])).grouped;
                exposed.learn(text(&rule["name"]), labels);
            } else {
                let labels = rule["labels"].as_object().unwrap().keys().cloned();
                exposed.learn("ALERTS", labels);
                exposed.learn("ALERTS", ["alertname", "alertstate"].map(str::to_owned));
                for annotation in rule["annotations"].as_object().unwrap().values() {
                    for question in questions(text(annotation)) {
                        ghosts.extend(exposed.ghosts(&question));
                        prometheus.query(&question);
                    }
                }
            }
        }
        let queries = dashboard_queries("127.0.0.1");
        for (_, query) in &queries {
            ghosts.extend(exposed.ghosts(query));
        }
        assert!(ghosts.is_empty(), "no such metric or label: {ghosts:#?}");

        // Each panel has something to show in this world, in which something of everything happens.
        for (title, query) in &queries {
            until(&format!("{title}: {query}"), || {
                Some(prometheus.query(query)).filter(|result| !result.is_empty())
            });
        }
        let evaluated = until("every rule was evaluated", || {
            let rules = self::rules(&prometheus);
            rules.iter().all(|rule| rule["health"] != "unknown").then_some(rules)
        });
        for rule in evaluated {
            assert_eq!(rule["health"], "ok", "{rule}");
        }
        for variable in variables().iter().filter(|variable| variable["type"] == "query") {
            let definition = text(&variable["definition"]);
            let inner =
                definition.strip_prefix("label_values(").unwrap().strip_suffix(')').unwrap();
            let (selector, label) = inner.rsplit_once(", ").unwrap();
            assert_eq!(definition, text(&variable["query"]["query"]));
            let selector = ["vnet", "instance", "host"]
                .iter()
                .fold(selector.to_owned(), |s, name| s.replace(&format!("${name}"), ".*"));
            let ghosts = exposed.ghosts(&format!("count by ({label}) ({selector})"));
            assert!(ghosts.is_empty(), "{definition}: {ghosts:?}");
            let path = format!("label/{label}/values?match[]={}", encoded(&selector));
            let values = prometheus.api(&path.replace("[]", "%5B%5D"));
            assert!(!values.as_array().unwrap().is_empty(), "{definition}");
        }
        daemon.stopped().expect(0);
    });
}

/// `scenario_ready` is 0 for both; an alert must be able to tell them apart.
#[test]
fn a_scenario_that_cannot_be_measured_is_not_blocked() {
    alone(|| {
        let (_listening, port) = listener();
        let daemon = full_daemon(&TlsService::start(), port);
        let metrics = daemon.get("/metrics").body;
        for line in [
            "vnetprobe_scenario_ready{scenario=\"work\"} 0",
            "vnetprobe_scenario_ready{scenario=\"elsewhere\"} 0",
            "vnetprobe_scenario_status{scenario=\"work\",status=\"blocked\"} 1",
            "vnetprobe_scenario_status{scenario=\"elsewhere\",status=\"blocked\"} 0",
            "vnetprobe_scenario_status{scenario=\"elsewhere\",status=\"unknown\"} 1",
            "vnetprobe_schedule_interval_seconds 1",
        ] {
            assert!(metrics.lines().any(|said| said == line), "no {line:?} in:\n{metrics}");
        }
        daemon.stopped().expect(0);
    });
}

// ------------------------------------------------------------------------------------ explanations

/// The name under which a heading of a document can be linked to.
fn anchors(document: &str) -> BTreeSet<String> {
    let headings = document.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

#[test]
fn every_alert_is_explained_and_tested() {
    alone(|| {
        let files = folder(&[("prometheus.yml", SCRAPES), ("vnetprobe.rules.yml", RULES)]);
        let prometheus = Prometheus::start(files.path());
        let alerts: Vec<Value> =
            rules(&prometheus).into_iter().filter(|rule| rule["type"] == "alerting").collect();
        assert!(alerts.len() >= 10, "{alerts:?}");
        for alert in alerts {
            let name = text(&alert["name"]);
            let severity = text(&alert["labels"]["severity"]);
            assert!(["critical", "warning", "info"].contains(&severity), "{name}: {severity}");
            assert!(alert["duration"].as_f64().unwrap() > 0.0, "{name} fires at once");
            for words in ["summary", "description"] {
                assert!(!text(&alert["annotations"][words]).is_empty(), "{name}: no {words}");
            }
            has_runbook(&alert);
            is_tested(name);
        }
    });
}

fn has_runbook(alert: &Value) {
    let name = text(&alert["name"]);
    let url = text(&alert["annotations"]["runbook_url"]);
    let base = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/");
    let path = url.strip_prefix(base).unwrap_or_else(|| panic!("{name}: {url}"));
    let (file, anchor) = path.split_once('#').unwrap_or_else(|| panic!("{name}: {url}"));
    if path.contains("{{") {
        // The cause fills it in. Each has its place in the document: tests/causes.rs.
        assert!(file.starts_with("docs/causes.md"), "{name}: {url}");
        let cause = ["{{ $labels.cause }}", "{{ .Labels.cause }}{{ end }}"];
        assert!(cause.contains(&anchor), "{name}: {url}");
        return;
    }
    let document = fs::read_to_string(repository().join(file)).unwrap();
    assert!(anchors(&document).contains(anchor), "{name}: {file} has no heading for #{anchor}");
}

/// A case in which it fires, and one in which it does not.
fn is_tested(name: &str) {
    let cases = RULE_TESTS.split("- eval_time:").skip(1);
    let (fires, silent): (Vec<&str>, Vec<&str>) = cases
        .filter(|case| case.lines().any(|line| line.trim() == format!("alertname: {name}")))
        .partition(|case| case.contains("exp_alerts:"));
    assert!(!fires.is_empty() && !silent.is_empty(), "{name}: {fires:?} {silent:?}");
}

// --------------------------------------------------------------------------------- the dashboard

fn variables() -> Vec<Value> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    dashboard["templating"]["list"].as_array().unwrap().clone()
}

#[test]
fn the_dashboard_can_be_imported_anywhere() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 36);
    assert!(dashboard.get("id").is_none_or(Value::is_null), "an id belongs to one Grafana");
    let variables = variables();
    assert_eq!(
        (text(&variables[0]["type"]), text(&variables[0]["name"])),
        ("datasource", "datasource")
    );
    for variable in &variables[1..] {
        assert_eq!(variable["datasource"]["uid"], "${datasource}", "{variable}");
    }
    let mut ids = BTreeSet::new();
    let mut cells = BTreeSet::new();
    let mut rows = Vec::new();
    for panel in panels() {
        let title = text(&panel["title"]);
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: its id is taken");
        let place = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
        let [x, y, w, h] = place;
        assert!(x + w <= 24, "{title} is wider than the page");
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(cells.insert(cell), "{title} lies on another panel");
        }
        if panel["type"] == "row" {
            rows.push(title.to_owned());
            continue;
        }
        assert!(!text(&panel["description"]).is_empty(), "{title} is not explained");
        assert!(!text(&panel["fieldConfig"]["defaults"]["unit"]).is_empty(), "{title}: no unit");
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{title} asks nothing");
        let mut references = BTreeSet::new();
        for target in targets {
            assert!(references.insert(text(&target["refId"])), "{title}: {target}");
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
        }
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
    }
    assert_eq!(rows, ["Fleet", "VNet $vnet", "Check $host"]);
}

// ------------------------------------------------------------------------------------ one fault

/// Gives this namespace an address that services can stand on.
fn add_address(address: Ipv4Addr) {
    let address = format!("{address}/32");
    tool("ip", "iproute2", Path::new("/"), &["address", "add", &address, "dev", "lo"]);
}

/// Names of the alerts of a notification.
fn alerts_of(notification: &Value) -> BTreeSet<String> {
    let alerts = notification["alerts"].as_array().unwrap();
    alerts.iter().map(|alert| text(&alert["labels"]["alertname"]).to_owned()).collect()
}

/// A private zone loses its link: a name that was private is public, on which three checks and two
/// scenarios depend. Whoever is on duty hears of it once, and once more when it is over.
#[test]
fn one_fault_is_one_notification_and_one_resolution() {
    alone(|| {
        let [private, public] = [Ipv4Addr::new(10, 20, 0, 7), Ipv4Addr::new(203, 0, 113, 7)];
        let mut services = Vec::new();
        for address in [private, public] {
            add_address(address);
            services.extend([8001, 8002, 8003].map(|port| listener_at((address, port))));
        }
        let answer = Arc::new(Mutex::new(private));
        let says = Arc::clone(&answer);
        let dns = dns_server_that(move || *says.lock().unwrap());
        let probe = |name: &str, port: u16, scenario: &str| {
            format!(
                "[[probe]]\nname = \"{name}\"\ntarget = \"tcp://mlstore.blob.example:{port}\"\n\
                 expect = \"private\"\nscenarios = [\"{scenario}\"]\n\n"
            )
        };
        let daemon = Daemon::start(&format!(
            "[workspace]\ncloud = \"none\"\n\n[schedule]\ninterval = \"1s\"\n\n\
             [dns]\nservers = [\"{dns}\"]\nreference = \"\"\n\n{}{}{}",
            probe("one", 8001, "notebooks"),
            probe("two", 8002, "notebooks"),
            probe("three", 8003, "images"),
        ));
        daemon.is_ready();
        let webhook = Webhook::start();
        let files = hasty_pack(&daemon, webhook.port);
        let alertmanager = Alertmanager::start(files.path());
        let prometheus = Prometheus::start(files.path());
        // All is well, and seen to be.
        prometheus.answers("vnet_instance:vnetprobe_scenarios_blocked:sum == 0", 1);
        prometheus.answers("sum(vnetprobe_checks{status=\"pass\"}) == 3", 1);

        // With its patience of seconds the pack may miss the daemon before the first scrape: that is
        // told in a group without a VNet.
        let notifications = || {
            let mut all = webhook.at("/");
            all.retain(|said| said["groupLabels"]["vnet"] == VNET);
            all
        };
        *answer.lock().unwrap() = public;
        let paged = until("somebody is paged", || notifications().first().cloned());
        assert_eq!(paged["status"], "firing", "{paged}");
        assert_eq!(paged["groupLabels"], serde_json::json!({ "vnet": VNET }), "{paged}");
        let both =
            ["VnetprobePrivateEndpointPublic", "VnetprobeScenarioBlocked"].map(str::to_owned);
        assert_eq!(alerts_of(&paged), both.into(), "{paged}");
        let blocked = &paged["alerts"]
            .as_array()
            .unwrap()
            .iter()
            .find(|alert| alert["labels"]["alertname"] == "VnetprobeScenarioBlocked")
            .unwrap()["annotations"];
        assert_eq!(blocked["summary"], "Blocked in red: images, notebooks");
        assert!(
            text(&blocked["runbook_url"]).ends_with("causes.md#private_endpoint_missing"),
            "{blocked}"
        );

        *answer.lock().unwrap() = private;
        let resolved = until("it is over", || notifications().get(1).cloned());
        assert_eq!(resolved["status"], "resolved", "{resolved}");
        assert_eq!(alerts_of(&resolved), alerts_of(&paged));
        // Alertmanager has no group left for this receiver: nothing more can come of it.
        until("no group is left", || {
            let groups = alertmanager.api("alerts/groups?receiver=network-operations");
            groups.as_array().unwrap().is_empty().then_some(())
        });
        assert_eq!(notifications().len(), 2, "{:#?}", notifications());
        daemon.stopped().expect(0);
    });
}
