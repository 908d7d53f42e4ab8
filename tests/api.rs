//! The API and its description: `docs/openapi.json` is what is served, and what is served is true
//! to it, which schemathesis tries with good and bad requests against the real binary.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test stops where its world is not as it says, and it makes that world"
)]

mod process;

use std::path::Path;
use std::process::Command;

use process::daemon::Daemon;
use process::loopback::{refusing_port, send, web_server};
use process::{Process, alone, folder};
use serde_json::{Value, json};
use vnetprobe::blackbox::MODULES;
use vnetprobe::cause::Cause;
use vnetprobe::wire::VERSION;

const DOCUMENT: &str = include_str!("../docs/openapi.json");
/// Where `scripts/setup` puts it.
const SCHEMATHESIS: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/target/schemathesis/bin/schemathesis");
/// Requests made for each route.
const EXAMPLES: &str = "40";
/// The route whose answer does not end; tests/page.rs reads it.
const ENDLESS: &str = "/api/v1/events";
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"];

fn document() -> Value {
    serde_json::from_str(DOCUMENT).unwrap()
}

fn words(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect()
}

#[test]
fn closed_lists_are_those_of_the_program() {
    let document = document();
    let codes: Vec<&str> = Cause::ALL.iter().map(|cause| cause.as_str()).collect();
    assert_eq!(words(&document["components"]["schemas"]["Cause"]["enum"]), codes);
    let names: Vec<&str> = MODULES
        .iter()
        .flat_map(|(name, others, _)| std::iter::once(*name).chain(others.iter().copied()))
        .collect();
    let parameters = document["paths"]["/probe"]["get"]["parameters"].as_array().unwrap();
    let module = parameters.iter().find(|parameter| parameter["name"] == "module").unwrap();
    assert_eq!(words(&module["schema"]["enum"]), names);
    assert_eq!(document["info"]["version"], VERSION);
}

/// A daemon with a host that answers, one that does not, and a name that nobody knows.
fn daemon() -> (Daemon, [String; 2]) {
    let targets = [web_server(), refusing_port()].map(|port| format!("http://127.0.0.1:{port}/"));
    let config = format!(
        "[workspace]\ncloud = \"none\"\n\n[schedule]\ninterval = \"2s\"\n
[[probe]]\nname = \"good\"\ntarget = \"{}\"\nscenarios = [\"work\"]\n
[[probe]]\nname = \"bad\"\ntarget = \"{}\"\nscenarios = [\"work\"]\n
[[probe]]\nname = \"name\"\ntarget = \"dns://name.example\"\n",
        targets[0], targets[1]
    );
    let daemon = Daemon::start(&config);
    daemon.is_ready();
    (daemon, targets)
}

#[test]
fn what_is_served_is_what_is_committed() {
    alone(|| {
        let (daemon, _) = daemon();
        assert_eq!(daemon.get("/api/v1/openapi.json").body, DOCUMENT);
        // Every route that is described exists, with the methods that are described and no other.
        let document = document();
        for (path, described) in document["paths"].as_object().unwrap() {
            let path = path.replace("{id}", "good");
            for method in METHODS {
                if (path.as_str(), method) == (ENDLESS, "GET") {
                    continue;
                }
                let request =
                    format!("{method} {path} HTTP/1.0\r\nhost: {}\r\n\r\n", daemon.address);
                let status = send(daemon.address, &request).unwrap().status;
                let known = described.get(method.to_ascii_lowercase()).is_some();
                assert_eq!(status != 405, known, "{method} {path}: {status}");
            }
        }
        daemon.stopped().expect(0);
    });
}

/// Everything the program can be asked for stands in `src/server`.
#[test]
fn every_route_is_described() {
    let document = document();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![root.join("src/server.rs")];
    files.extend(std::fs::read_dir(root.join("src/server")).unwrap().map(|f| f.unwrap().path()));
    let mut found = 0;
    for file in files.iter().filter(|file| file.is_file()) {
        let text = std::fs::read_to_string(file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for route in code.split(".route(").skip(1) {
            let path = route.split('"').nth(1).unwrap();
            assert!(document["paths"].get(path).is_some(), "{path} is not in docs/openapi.json");
            found += 1;
        }
    }
    assert_eq!(found, document["paths"].as_object().unwrap().len());
}

/// The document as a strict reader would have it: no field that is not described. Besides, it
/// names things that are there, or nothing but refusals would be tried.
fn strict(targets: &[String; 2], ids: &Value) -> Value {
    fn close(schema: &mut Value) {
        match schema {
            Value::Object(fields) => {
                if fields.contains_key("properties") && fields.contains_key("type") {
                    fields.insert("additionalProperties".to_owned(), json!(false));
                }
                fields.values_mut().for_each(close);
            }
            Value::Array(items) => items.iter_mut().for_each(close),
            _ => {}
        }
    }
    let mut document = document();
    close(&mut document["components"]["schemas"]);
    let request = &mut document["components"]["schemas"]["ProbeRequest"]["properties"];
    request["targets"]["items"] = json!({"type": "string", "enum": targets});
    request["subnets"]["items"] = json!({"type": "string", "enum": ["10.20.0.0/16", "fd00::/8"]});
    for path in ["/checks/{id}", "/api/v1/checks/{id}"] {
        document["paths"][path]["get"]["parameters"][0]["schema"] =
            json!({"anyOf": [{"type": "string", "enum": ids}, {"type": "string", "minLength": 1}]});
    }
    let probe = document["paths"]["/probe"]["get"]["parameters"].as_array_mut().unwrap();
    probe[0]["schema"] = json!({"type": "string", "enum": targets});
    probe[3]["schema"] = json!({"type": "string", "enum": ["name.example"]});
    // No schema can say that `from` must not be later than `to`.
    let history = document["paths"]["/api/v1/history"]["get"]["parameters"].as_array_mut().unwrap();
    history[0]["schema"] = json!({"anyOf": [
        {"type": "string", "enum": ["2000-01-01T00:00:00Z", "2000-01-01"]},
        {"type": "string", "pattern": "^[1-9][0-9]{0,2}[mhd]$"},
    ]});
    history[1]["schema"] = json!({"type": "string", "enum": ["9999-12-30T22:00:00Z"]});
    let form = "application/x-www-form-urlencoded";
    document["paths"]["/probe-form"]["post"]["requestBody"]["content"][form]["schema"]["properties"] = json!({
        "targets": {"type": "string", "enum": targets},
        "expect": {"$ref": "#/components/schemas/Expect"},
        "subnets": {"type": "string", "enum": ["", "10.20.0.0/16"]},
    });
    document
}

#[test]
fn schemathesis_finds_nothing() {
    assert!(Path::new(SCHEMATHESIS).exists(), "this test needs schemathesis; run scripts/setup");
    alone(|| {
        let (daemon, targets) = daemon();
        let report = daemon.json("/api/v1/report");
        let ids: Vec<&Value> =
            report["checks"].as_array().unwrap().iter().map(|check| &check["id"]).collect();
        let strict = strict(&targets, &json!(ids)).to_string();
        let folder = folder(&[("openapi.json", &strict)]);
        let mut command = Command::new(SCHEMATHESIS);
        command.current_dir(folder.path()).arg("run").arg("openapi.json");
        command.args(["--url", &format!("http://{}", daemon.address), "--checks", "all"]);
        command.args(["--max-examples", EXAMPLES, "--no-color", "--exclude-path", ENDLESS]);
        command.args(["--generation-deterministic", "--workers", "1", "--continue-on-failure"]);
        let ended = Process::start(&mut command).ended();
        assert_eq!(ended.code, Some(0), "{}\n{}", ended.stdout, ended.stderr);
        let document = document();
        let routes = document["paths"].as_object().unwrap().values();
        let count: usize = routes.map(|methods| methods.as_object().unwrap().len()).sum();
        let all = format!("{} selected / {count} total", count - 1);
        assert!(ended.stdout.contains(&all), "{}", ended.stdout);
        // It has worked all the time, and still does.
        assert_eq!(daemon.json("/api/v1/report")["complete"], true);
        daemon.stopped().expect(0);
    });
}
