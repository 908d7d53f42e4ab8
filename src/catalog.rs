//! The catalogs: data files, one per cloud, that say what must be reachable, from where and why.
//!
//! They are embedded in the binary and can be replaced by a file, so every rule that the rest of
//! the program relies on is checked here, and every row that breaks one is named.
//!
//! A row of kind `https` or `websocket` asks for its `path` (`/` unless it says so). Its `service`
//! (`storage`, `key_vault`, `container_registry`, `workspace`) says whose answers to expect there, so
//! that something else that answers is noticed; without it any answer but a refusal is good.

use std::collections::BTreeSet;

use crate::condition::Condition;
use crate::model::{Cloud, Direction, Host, Kind, Proof};
use crate::parameters::{Feature, Parameters};
use crate::requirement::{Catalog, Coverage, HostTemplate, Requirement, Scenario, Template};

mod raw;

/// The embedded catalog of a cloud; an empty one for [`Cloud::None`].
pub fn embedded(cloud: Cloud) -> Result<Catalog, Vec<String>> {
    match cloud {
        Cloud::UsGovernment => parse(include_str!("../catalog/usgovernment.toml")),
        Cloud::Public => parse(include_str!("../catalog/public.toml")),
        Cloud::China => parse(include_str!("../catalog/china.toml")),
        Cloud::None => Ok(Catalog {
            cloud,
            date: String::new(),
            scenarios: Vec::new(),
            requirements: Vec::new(),
        }),
    }
}

/// Reads a catalog, or says of every wrong row what is wrong with it.
pub fn parse(text: &str) -> Result<Catalog, Vec<String>> {
    let raw: raw::Catalog =
        toml::from_str(text).map_err(|error| vec![error.to_string().trim_end().to_owned()])?;
    let mut errors = Vec::new();
    if raw.date.parse::<jiff::civil::Date>().is_err() {
        errors.push(format!("date: `{}` is not a date such as 2026-11-01", raw.date));
    }
    let sources = sources(&raw.sources, &mut errors);
    let scenarios = scenarios(&raw, &mut errors);
    let known: BTreeSet<&str> = scenarios.iter().map(|scenario| scenario.id.as_str()).collect();
    let mut ids = BTreeSet::new();
    let mut requirements = Vec::new();
    for row in raw.requirements {
        let mut flaws = Flaws { id: row.id.clone(), errors: &mut errors };
        if !ids.insert(row.id.clone()) {
            flaws.add("the id is used twice");
        }
        check_words(&row, &sources, &known, &mut flaws);
        requirements.extend(requirement(row, &mut flaws));
    }
    if errors.is_empty() {
        Ok(Catalog { cloud: raw.cloud, date: raw.date, scenarios, requirements })
    } else {
        Err(errors)
    }
}

/// Collects what is wrong with one row.
struct Flaws<'a> {
    id: String,
    errors: &'a mut Vec<String>,
}

impl Flaws<'_> {
    fn add(&mut self, what: impl std::fmt::Display) {
        self.errors.push(format!("{}: {what}", self.id));
    }
}

fn sources(rows: &[raw::Source], errors: &mut Vec<String>) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for source in rows {
        if source.key.is_empty() || source.key.contains(char::is_whitespace) {
            errors.push(format!("source `{}`: a key is one word", source.key));
        }
        if source.title.is_empty() {
            errors.push(format!("source `{}`: the title is empty", source.key));
        }
        if !keys.insert(source.key.clone()) {
            errors.push(format!("source `{}`: the key is used twice", source.key));
        }
    }
    keys
}

fn scenarios(catalog: &raw::Catalog, errors: &mut Vec<String>) -> Vec<Scenario> {
    let mut ids = BTreeSet::new();
    let used: BTreeSet<&str> = catalog
        .requirements
        .iter()
        .flat_map(|row| row.scenarios.iter().map(String::as_str))
        .collect();
    for scenario in &catalog.scenarios {
        let mut flaws = Flaws { id: format!("scenario {}", scenario.id), errors };
        if !is_id(&scenario.id, '_') {
            flaws.add("an id consists of a-z, 0-9 and `_`");
        }
        if !ids.insert(scenario.id.as_str()) {
            flaws.add("the id is used twice");
        }
        if !used.contains(scenario.id.as_str()) {
            flaws.add("no requirement names it");
        }
        if scenario.title.is_empty() || scenario.purpose.is_empty() {
            flaws.add("title and purpose cannot be empty");
        }
    }
    let typed = |scenario: &raw::Scenario| Scenario {
        id: scenario.id.clone(),
        title: scenario.title.clone(),
        purpose: scenario.purpose.clone(),
    };
    catalog.scenarios.iter().map(typed).collect()
}

fn is_id(text: &str, mark: char) -> bool {
    !text.is_empty()
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == mark)
}

/// What can be said of a row without understanding its hosts.
fn check_words(
    row: &raw::Requirement,
    sources: &BTreeSet<String>,
    scenarios: &BTreeSet<&str>,
    flaws: &mut Flaws<'_>,
) {
    if !is_id(&row.id, '-') {
        flaws.add("an id consists of a-z, 0-9 and `-`");
    }
    for (name, empty) in [
        ("scenarios", row.scenarios.is_empty()),
        ("vantage", row.vantage.is_empty()),
        ("edition", row.edition.is_empty()),
        ("source", row.source.is_empty()),
        ("purpose", row.purpose.is_empty()),
    ] {
        if empty {
            flaws.add(format_args!("`{name}` is empty"));
        }
    }
    for scenario in row.scenarios.iter().filter(|id| !scenarios.contains(id.as_str())) {
        flaws.add(format_args!("there is no scenario `{scenario}`"));
    }
    for source in &row.source {
        let key = source.split_whitespace().next().unwrap_or_default();
        if !sources.contains(key) {
            flaws.add(format_args!("there is no source `{key}`"));
        }
    }
    for (what, duplicate) in [
        ("ports", has_duplicate(&row.ports)),
        ("scenarios", has_duplicate(&row.scenarios)),
        ("vantage", has_duplicate(&row.vantage)),
        ("edition", has_duplicate(&row.edition)),
    ] {
        if duplicate {
            flaws.add(format_args!("`{what}` has an entry twice"));
        }
    }
}

fn has_duplicate<T: Ord>(items: &[T]) -> bool {
    items.iter().collect::<BTreeSet<_>>().len() < items.len()
}

fn requirement(row: raw::Requirement, flaws: &mut Flaws<'_>) -> Option<Requirement> {
    let ports = ports(&row, flaws);
    let when = row.when.as_deref().and_then(|text| {
        Condition::parse(text).map_err(|error| flaws.add(format_args!("when: {error}"))).ok()
    });
    if let Some(zone) = row.zone.as_ref().filter(|zone| !is_host(zone)) {
        flaws.add(format_args!("zone: `{zone}` is not the name of a zone"));
    }
    if !row.path.starts_with('/') || row.path.contains(char::is_whitespace) {
        flaws.add(format_args!("path: `{}` does not begin with / or has a blank", row.path));
    }
    if row.service.is_some() && row.kind != Some(Kind::Https) {
        flaws.add("service: only kind https gets a service's answer");
    }
    if row.direction == Direction::Inbound && row.untestable.is_none() {
        flaws.add("inbound traffic cannot be tested from inside: say so in `untestable`");
    }
    let pattern = template(&row.pattern, flaws)?;
    let coverage = coverage(&pattern, row.hosts, row.untestable, flaws)?;
    Some(Requirement {
        id: row.id.into(),
        pattern,
        ports: ports.into(),
        transport: row.transport,
        kind: row.kind,
        expect: row.expect,
        coverage,
        scenarios: row.scenarios.into(),
        service_tag: row.service_tag.map(Into::into),
        zone: row.zone.map(Into::into),
        vantage: row.vantage.into(),
        when,
        direction: row.direction,
        required: row.required,
        edition: row.edition.into(),
        source: row.source.into(),
        purpose: row.purpose.into(),
        path: row.path.into(),
        service: row.service,
    })
}

fn ports(row: &raw::Requirement, flaws: &mut Flaws<'_>) -> Vec<u16> {
    let mut ports = Vec::new();
    for port in &row.ports {
        match u16::try_from(*port) {
            Ok(port) if port > 0 => ports.push(port),
            _ => flaws.add(format_args!("port {port} is not between 1 and 65535")),
        }
    }
    let kind = row.kind.unwrap_or(Kind::Dns);
    if row.ports.is_empty() && kind != Kind::Dns && row.untestable.is_none() {
        flaws.add(format_args!("kind {kind} needs a port"));
    }
    ports
}

fn template(text: &str, flaws: &mut Flaws<'_>) -> Option<Template> {
    Template::parse(text).map_err(|error| flaws.add(error)).ok()
}

/// How a row can be tested: by hosts that stand for its pattern, by the pattern itself where it
/// is a name, or not at all.
fn coverage(
    pattern: &Template,
    hosts: Option<Vec<raw::HostRow>>,
    untestable: Option<String>,
    flaws: &mut Flaws<'_>,
) -> Option<Coverage> {
    match (hosts, untestable) {
        (Some(_), Some(_)) => {
            flaws.add("`hosts` and `untestable` exclude each other");
            None
        }
        (None, Some(reason)) => {
            if reason.is_empty() {
                flaws.add("`untestable` gives no reason");
            }
            Some(Coverage::Untestable(reason))
        }
        (Some(rows), None) => {
            if rows.is_empty() {
                flaws.add("`hosts` is empty");
            }
            let hosts = rows.into_iter().filter_map(|row| {
                let host = template(&row.host, flaws)?;
                check_host(&host, flaws);
                Some(HostTemplate { host, proof: row.proof })
            });
            Some(Coverage::Hosts(hosts.collect()))
        }
        (None, None) if is_name(pattern) => {
            check_host(pattern, flaws);
            Some(Coverage::Hosts(vec![HostTemplate { host: pattern.clone(), proof: Proof::Exact }]))
        }
        (None, None) => {
            flaws.add(format_args!(
                "`{pattern}` is not the name of a host: it needs `hosts` or `untestable`"
            ));
            None
        }
    }
}

/// Whether a pattern is a host's name, and not a wildcard or a service tag such as
/// `Storage.{region}`.
fn is_name(pattern: &Template) -> bool {
    let text = pattern.as_str();
    !pattern.is_wildcard() && text.contains('.') && !text.contains(|c: char| c.is_ascii_uppercase())
}

fn check_host(template: &Template, flaws: &mut Flaws<'_>) {
    match template.fill(&example()) {
        Ok(texts) => {
            for text in texts.iter().filter(|text| !is_host(text)) {
                flaws.add(format_args!("`{template}` gives `{text}`, which is not a host name"));
            }
        }
        Err(missing) => flaws.add(format_args!("no example value for {missing:?}")),
    }
}

fn is_host(text: &str) -> bool {
    text.contains('.') && Host::parse(text).is_ok()
}

/// A workspace of which everything is known, with names as long as Azure allows.
fn example() -> Parameters {
    let known = |length: usize| Some("x".repeat(length));
    Parameters {
        region: Some("usgovvirginia".to_owned()),
        name: known(33),
        id: Some("00000000-0000-0000-0000-000000000000".to_owned()),
        storage_account: known(24),
        key_vault: known(24),
        container_registry: known(50),
        compute_instances: known(24).into_iter().collect(),
        online_endpoints: known(32).into_iter().collect(),
        features: Feature::ALL.iter().copied().collect(),
        ..Parameters::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_catalog_is_valid_and_of_its_cloud() {
        for cloud in Cloud::ALL {
            let catalog = embedded(*cloud).unwrap_or_else(|e| panic!("{cloud}:\n{}", e.join("\n")));
            assert_eq!(catalog.cloud, *cloud);
            assert_eq!(catalog.requirements.is_empty(), *cloud == Cloud::None);
        }
    }

    const HEAD: &str = r#"
        cloud = "public"
        date = "2026-11-01"
        [[source]]
        key = "FW"
        title = "t"
        [[scenario]]
        id = "studio"
        title = "t"
        purpose = "p"
    "#;

    const ROW: &str = r#"
        [[requirement]]
        id = "row"
        pattern = "ml.azure.us"
        ports = [443]
        transport = "tcp"
        expect = "any"
        scenarios = ["studio"]
        vantage = ["any"]
        edition = ["current"]
        source = ["FW 'table'"]
        purpose = "p"
    "#;

    #[test]
    fn a_named_host_covers_itself() {
        let catalog = parse(&format!("{HEAD}{ROW}")).unwrap();
        let row = &catalog.requirements[0];
        let Coverage::Hosts(hosts) = &row.coverage else { panic!("{row:?}") };
        assert_eq!((hosts[0].host.as_str(), hosts[0].proof), ("ml.azure.us", Proof::Exact));
        assert!(row.required && &*row.path == "/" && row.direction == Direction::Outbound);
    }

    #[test]
    fn every_broken_rule_is_named_with_its_row() {
        for (from, to, expected) in [
            ("\"row\"", "\"Row\"", "Row: an id consists of"),
            ("[443]", "[443, 0, 70000]", "row: port 70000"),
            ("[443]", "[443, 443]", "row: `ports` has an entry twice"),
            ("[443]", "[]\nkind = \"tls\"", "row: kind tls needs a port"),
            ("ml.azure.us", "*.ml.azure.us", "needs `hosts` or `untestable`"),
            ("ml.azure.us", "AzureMonitor", "needs `hosts` or `untestable`"),
            ("ml.azure.us", "Storage.{region}", "needs `hosts` or `untestable`"),
            ("ml.azure.us", "{regoin}.ml.azure.us", "row: `regoin` is not one of"),
            ("ml.azure.us", "ml..azure.us", "not a host name"),
            ("[\"studio\"]", "[\"attic\"]", "row: there is no scenario `attic`"),
            ("[\"studio\"]", "[\"attic\"]", "scenario studio: no requirement names it"),
            ("[\"studio\"]", "[]", "row: `scenarios` is empty"),
            ("FW 'table'", "FWX", "row: there is no source `FWX`"),
            ("[\"current\"]", "[]", "row: `edition` is empty"),
            ("expect", "when = \"hbi and\"\nexpect", "row: when: the condition ends"),
            ("expect", "direction = \"inbound\"\nexpect", "row: inbound traffic"),
            ("expect", "untestable = \"\"\nexpect", "row: `untestable` gives no reason"),
            ("expect", "hosts = []\nexpect", "row: `hosts` is empty"),
            ("expect", "zone = \"a b\"\nexpect", "row: zone"),
            ("expect", "path = \"x\"\nexpect", "row: path"),
            ("expect", "service = \"key_vault\"\nexpect", "row: service: only kind https"),
            ("expect", "service = \"fax\"\nexpect", "unknown variant `fax`"),
            ("expect", "note = 1\nexpect", "unknown field `note`"),
        ] {
            let text = format!("{HEAD}{}", ROW.replacen(from, to, 1));
            let errors = parse(&text).unwrap_err().join("\n");
            assert!(errors.contains(expected), "{to}: {errors}");
        }
        let errors = parse(&format!("{HEAD}{ROW}{ROW}")).unwrap_err();
        assert_eq!(errors, ["row: the id is used twice"]);
    }

    #[test]
    fn errors_of_several_rows_come_together() {
        let other = ROW.replace("\"row\"", "\"other\"").replace("[443]", "[0]");
        let first = ROW.replace("[443]", "[0]");
        assert_eq!(parse(&format!("{HEAD}{first}{other}")).unwrap_err().len(), 2);
    }
}
