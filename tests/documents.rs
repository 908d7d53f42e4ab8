//! The plan of a fully described workspace against the source documents, row by row, and the plan
//! of every cloud against its own catalog. Plans send nothing.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "reads the transcribed rows and the catalogs, and stops where they are not as they should be"
)]

mod process;

use std::collections::BTreeSet;

use process::run;
use serde::Deserialize;
use serde_json::Value;

const ID: &str = "03ce50c0-2e18-48ad-9e4a-ca338f571072";

/// Every parameter there is, for a cloud and its region.
fn described(cloud: &str, region: &str) -> Vec<String> {
    let cloud = format!("cloud={cloud}");
    let region = format!("region={region}");
    let id = format!("id={ID}");
    let settings = [
        cloud.as_str(),
        &region,
        &id,
        "name=mlw-research",
        "storage_account=mlstore",
        "key_vault=mlvault",
        "container_registry=mlacr",
        "compute_instances=[\"ci-alice\", \"ci-bob\"]",
        "online_endpoints=[\"score-1\"]",
        "private_endpoint=true",
        "features=[\"hbi\", \"rstudio\", \"batch_endpoints\", \
         \"firewall_between_compute_and_storage\", \"kubernetes\", \"private_monitor\", \
         \"public_ip_compute\"]",
        "vantage=any",
    ];
    settings.iter().map(|setting| format!("--set={setting}")).collect()
}

fn plan(settings: &[String]) -> Plan {
    let mut arguments = vec!["plan", "--format", "json"];
    arguments.extend(settings.iter().map(String::as_str));
    let answer = run(&arguments).expect(0);
    assert_eq!(answer.stderr, "");
    serde_json::from_str(&answer.stdout).unwrap()
}

#[derive(Debug, Deserialize)]
struct Plan {
    requirements: Vec<Planned>,
}

#[derive(Debug, Deserialize)]
struct Planned {
    id: String,
    pattern: String,
    ports: Vec<u16>,
    transport: String,
    direction: String,
    checks: Vec<Check>,
    uncovered: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Check {
    id: String,
    host: String,
    port: Option<u16>,
    kind: String,
}

impl Planned {
    /// Ports without a check, when nothing says why.
    fn gaps(&self) -> Vec<u16> {
        if self.uncovered.as_deref().is_some_and(|reason| !reason.trim().is_empty()) {
            return Vec::new();
        }
        let covers = |port: &u16| self.checks.iter().any(|check| check.covers(*port));
        self.ports.iter().copied().filter(|port| !covers(port)).collect()
    }

    /// Whether there is neither a check nor a reason.
    fn is_forgotten(&self) -> bool {
        self.checks.is_empty() && self.uncovered.as_deref().is_none_or(|r| r.trim().is_empty())
    }
}

impl Check {
    /// A name that is only looked up stands for its ports: the row says that no port can be tried.
    fn covers(&self, port: u16) -> bool {
        self.port == Some(port) || self.kind == "dns"
    }
}

// --------------------------------------------------------------------------------- the documents

#[derive(Debug, Deserialize)]
struct Rows {
    row: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Row {
    document: String,
    table: String,
    text: String,
    pattern: String,
    ports: Vec<u16>,
    direction: String,
    transport: String,
}

fn rows() -> Vec<Row> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/document-rows.toml");
    let rows: Rows = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    rows.row
}

/// What the plan lacks of one row.
fn missing(row: &Row, plan: &Plan) -> Vec<String> {
    let planned: Vec<&Planned> = plan
        .requirements
        .iter()
        .filter(|planned| {
            (&planned.pattern, &planned.direction, &planned.transport)
                == (&row.pattern, &row.direction, &row.transport)
        })
        .collect();
    let ports: BTreeSet<u16> = planned.iter().flat_map(|p| &p.ports).copied().collect();
    if planned.is_empty() {
        return vec!["no requirement".to_owned()];
    }
    let mut missing = Vec::new();
    for port in row.ports.iter().filter(|port| !ports.contains(port)) {
        missing.push(format!("no requirement with port {port}"));
    }
    for planned in planned {
        if planned.is_forgotten() {
            missing.push(format!("{} has neither a check nor a reason", planned.id));
        }
        for port in planned.gaps() {
            missing.push(format!("{} has neither a check of port {port} nor a reason", planned.id));
        }
    }
    missing
}

#[test]
fn every_row_of_the_documents_is_planned_or_has_a_reason() {
    let plan = plan(&described("usgovernment", "usgovvirginia"));
    let rows = rows();
    assert!(rows.len() > 100, "only {} rows were read", rows.len());
    let failures: Vec<String> = rows
        .iter()
        .flat_map(|row| {
            missing(row, &plan).into_iter().map(move |what| {
                let Row { document, table, text, pattern, direction, transport, .. } = row;
                format!(
                    "{document}, {table}: {text}\n    {pattern} {direction} {transport}: {what}"
                )
            })
        })
        .collect();
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn a_fully_described_workspace_leaves_only_what_cannot_be_tested() {
    let plan = plan(&described("usgovernment", "usgovvirginia"));
    let unset: Vec<&str> = plan
        .requirements
        .iter()
        .filter_map(|planned| planned.uncovered.as_deref())
        .filter(|reason| reason.split("; ").any(|part| part.starts_with("set ")))
        .collect();
    assert_eq!(unset, [""; 0], "every parameter is set");
    // The hosts that this workspace alone has, spelled out.
    for host in [
        "mlstore.blob.core.usgovcloudapi.net",
        "mlstore.file.core.usgovcloudapi.net",
        "mlvault.vault.usgovcloudapi.net",
        "mlacr.azurecr.us",
        &format!("{ID}.workspace.usgovvirginia.api.ml.azure.us"),
        "ci-alice.usgovvirginia.instances.azureml.us",
        "ci-bob.usgovvirginia.instances.azureml.us",
    ] {
        let planned = plan.requirements.iter().flat_map(|p| &p.checks).any(|c| c.host == host);
        assert!(planned, "no check of {host}");
    }
}

// -------------------------------------------------------------------------------- every catalog

/// Ids of a catalog's rows, as its file has them.
fn catalog_rows(cloud: &str) -> Vec<String> {
    let path = format!("{}/catalog/{cloud}.toml", env!("CARGO_MANIFEST_DIR"));
    let catalog: toml::Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
    let rows = catalog["requirement"].as_array().unwrap();
    rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_row_of_every_catalog_is_planned_or_has_a_reason() {
    let mut failures = Vec::new();
    for (cloud, region) in
        [("usgovernment", "usgovvirginia"), ("public", "eastus"), ("china", "chinanorth3")]
    {
        for settings in [vec![format!("--set=cloud={cloud}")], described(cloud, region)] {
            let plan = plan(&settings);
            let ids: Vec<&str> = plan.requirements.iter().map(|p| p.id.as_str()).collect();
            assert_eq!(ids, catalog_rows(cloud), "{cloud}: rows and their order");
            for planned in &plan.requirements {
                if planned.is_forgotten() {
                    failures.push(format!("{cloud} {}: no check and no reason", planned.id));
                }
                for port in planned.gaps() {
                    failures.push(format!("{cloud} {}: no check of port {port}", planned.id));
                }
            }
            let ids: Vec<&String> =
                plan.requirements.iter().flat_map(|p| &p.checks).map(|check| &check.id).collect();
            let distinct: BTreeSet<&&String> = ids.iter().collect();
            assert_eq!(distinct.len(), ids.len(), "{cloud}: a check's id appears twice");
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_notebook_host_has_a_label_that_dns_takes() {
    // The documents: ml-NAME-REGION-ID, the name cut so that the label has at most 63 characters.
    for (name, region, label) in [
        ("mlw-research", "usgovvirginia", format!("ml-mlw-resea-usgovvirginia-{ID}")),
        ("short", "usgovarizona", format!("ml-short-usgovarizona-{ID}")),
        (
            "a23456789b123456789c123456789d123",
            "usgovtexas",
            format!("ml-a23456789b12-usgovtexas-{ID}"),
        ),
    ] {
        assert!(label.len() <= 63, "{label}");
        let settings = [
            format!("--set=name={name}"),
            format!("--set=region={region}"),
            format!("--set=id={ID}"),
        ];
        let plan = plan(&settings);
        let hosts: BTreeSet<&str> = plan
            .requirements
            .iter()
            .flat_map(|planned| &planned.checks)
            .map(|check| check.host.as_str())
            .filter(|host| host.starts_with("ml-"))
            .collect();
        let expected = format!("{label}.{region}.notebooks.usgovcloudapi.net");
        assert_eq!(hosts.into_iter().collect::<Vec<_>>(), [expected.as_str()]);
    }
}

// ------------------------------------------------------------------------------------ the shape

#[test]
fn the_default_configuration_has_a_plan() {
    let table = run(&["plan"]).expect(0);
    assert_eq!(table.stderr, "");
    assert!(table.stdout.contains("requirements of usgovernment"), "{}", table.stdout);
    assert!(table.stdout.contains("login.microsoftonline.us:443 tls"), "{}", table.stdout);
    assert!(table.stdout.contains("uncovered: set workspace.region"), "{}", table.stdout);
    // The shipped file says the same as no file at all.
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/probes.toml");
    assert_eq!(run(&["plan", "--config", file]).expect(0).stdout, table.stdout);
}

#[test]
fn the_same_input_gives_the_same_plan() {
    let mut arguments = vec!["plan", "--format", "json"];
    let settings = described("usgovernment", "usgovvirginia");
    arguments.extend(settings.iter().map(String::as_str));
    assert_eq!(run(&arguments).stdout, run(&arguments).stdout);
}

#[test]
fn the_plan_has_the_fields_of_its_schema() {
    let json: Value = run(&["plan", "--format", "json"]).expect(0).json();
    assert_eq!(json["schema"], "vnetprobe.plan/v1");
    let requirements = json["requirements"].as_array().unwrap();
    for requirement in requirements {
        let keys: Vec<&String> = requirement.as_object().unwrap().keys().collect();
        assert_eq!(
            keys,
            [
                "checks",
                "direction",
                "edition",
                "id",
                "pattern",
                "ports",
                "purpose",
                "required",
                "scenarios",
                "service",
                "service_tag",
                "source",
                "transport",
                "uncovered",
                "zone"
            ]
        );
    }
    let checks: Vec<&Value> =
        requirements.iter().flat_map(|r| r["checks"].as_array().unwrap()).collect();
    assert!(!checks.is_empty());
    for check in checks {
        let keys: Vec<&String> = check.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["expect", "host", "id", "kind", "port", "proof"]);
    }
}
