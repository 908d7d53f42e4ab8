//! One catalog row: what must be reachable, from where, why, and by which source.

use std::fmt;
use std::sync::Arc;

use crate::condition::Condition;
use crate::model::{Direction, Edition, Expect, Kind, Proof, Service, Transport, Vantage};
use crate::parameters::{Parameters, Placeholder};

/// A text with placeholders in braces: `{storage_account}.blob.core.usgovcloudapi.net`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: Arc<str>,
    placeholders: Box<[Placeholder]>,
}

impl Template {
    /// Parses a template; unknown or unclosed placeholders are errors.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut placeholders = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let (_, after) = rest.split_at(open + 1);
            let Some((name, tail)) = after.split_once('}') else {
                return Err(format!("a `{{` is not closed in `{text}`"));
            };
            placeholders.push(name.parse::<Placeholder>().map_err(|e| e.to_string())?);
            rest = tail;
        }
        Ok(Self { text: text.into(), placeholders: placeholders.into() })
    }

    /// A text without placeholders.
    pub fn literal(text: &str) -> Self {
        Self { text: text.into(), placeholders: Box::default() }
    }

    /// Every text it stands for, or the placeholders whose values are not known.
    pub fn fill(&self, parameters: &Parameters) -> Result<Vec<String>, Vec<Placeholder>> {
        let missing: Vec<Placeholder> = self
            .placeholders
            .iter()
            .copied()
            .filter(|p| parameters.values(*p).is_empty())
            .collect();
        if !missing.is_empty() {
            return Err(missing);
        }
        let mut filled = vec![self.text.to_string()];
        for placeholder in &*self.placeholders {
            let values = parameters.values(*placeholder);
            let slot = format!("{{{placeholder}}}");
            filled = filled
                .iter()
                .flat_map(|text| values.iter().map(|value| text.replacen(&slot, value, 1)))
                .collect();
        }
        Ok(filled)
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it stands for more hosts than can be listed.
    pub fn is_wildcard(&self) -> bool {
        self.text.contains('*')
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// A concrete host, or a template for some, that covers a requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostTemplate {
    /// The host.
    pub host: Template,
    /// How well it stands for the pattern.
    pub proof: Proof,
}

/// How a requirement can be tested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Coverage {
    /// By probing these hosts.
    Hosts(Vec<HostTemplate>),
    /// Not from here, for this reason.
    Untestable(String),
}

/// One catalog row, already valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// Stable id, also a metric label.
    pub id: Box<str>,
    /// As the source writes it.
    pub pattern: Template,
    /// Ports; empty when only the name matters.
    pub ports: Box<[u16]>,
    /// What carries it.
    pub transport: Transport,
    /// The kind of its checks, when it is not the port's own.
    pub kind: Option<Kind>,
    /// What the name must resolve to.
    pub expect: Expect,
    /// How it can be tested.
    pub coverage: Coverage,
    /// Scenarios that need it.
    pub scenarios: Box<[String]>,
    /// The service tag a network rule would name, where one exists in this cloud.
    pub service_tag: Option<Box<str>>,
    /// The private DNS zone that serves it.
    pub zone: Option<Box<str>>,
    /// From where it matters.
    pub vantage: Box<[Vantage]>,
    /// When it applies.
    pub when: Option<Condition>,
    /// Which way the traffic goes.
    pub direction: Direction,
    /// A failure blocks its scenarios; otherwise it only degrades them.
    pub required: bool,
    /// Which editions of the documents have it.
    pub edition: Box<[Edition]>,
    /// Where it is written.
    pub source: Box<[String]>,
    /// What it is for.
    pub purpose: Box<str>,
    /// Request path for kinds that send an HTTP request.
    pub path: Box<str>,
    /// Whose answer that request gets, where its shape is known.
    pub service: Option<Service>,
}

impl Requirement {
    /// The kind of a check on one of its ports.
    pub fn kind_of(&self, port: Option<u16>) -> Kind {
        match (self.kind, self.transport, port) {
            (Some(kind), _, _) => kind,
            (None, _, None) => Kind::Dns,
            (None, Transport::Udp, Some(_)) => Kind::Udp,
            (None, _, Some(port)) => Kind::of_port(port),
        }
    }

    /// Whether it matters at this vantage.
    pub fn matters_at(&self, vantage: Vantage) -> bool {
        vantage == Vantage::Any
            || self.vantage.contains(&Vantage::Any)
            || self.vantage.contains(&vantage)
    }
}

/// A thing people do with a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    /// Stable id, also a metric label.
    pub id: String,
    /// For people.
    pub title: String,
    /// What does not work while it is blocked.
    pub purpose: String,
}

/// What one cloud needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalog {
    /// Its cloud, as written in metrics.
    pub cloud: crate::model::Cloud,
    /// The day it was last compared with the sources.
    pub date: String,
    /// Scenarios in reading order.
    pub scenarios: Vec<Scenario>,
    /// Rows in reading order.
    pub requirements: Vec<Requirement>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_fill_lists_and_name_what_is_missing() {
        let template =
            Template::parse("{compute_instance}-22.{region}.instances.azureml.us").unwrap();
        let mut parameters = Parameters {
            compute_instances: vec!["ci-alice".into(), "ci-bob".into()],
            ..Parameters::default()
        };
        assert_eq!(template.fill(&parameters), Err(vec![Placeholder::Region]));
        parameters.region = Some("usgovvirginia".into());
        assert_eq!(
            template.fill(&parameters).unwrap(),
            [
                "ci-alice-22.usgovvirginia.instances.azureml.us",
                "ci-bob-22.usgovvirginia.instances.azureml.us"
            ]
        );
        assert!(Template::parse("{regoin}.x").is_err());
        assert!(Template::parse("{region.x").is_err());
    }
}
