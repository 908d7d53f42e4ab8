//! From requirements and parameters to checks. Pure and total: every requirement ends as checks
//! or as an uncovered row with its reason.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::check::{Check, Expectation, Target};
use crate::model::{Cloud, Direction, Expect, Host, Kind, Proof, Vantage};
use crate::parameters::{NetworkFacts, Parameters};
use crate::requirement::{Catalog, Coverage, HostTemplate, Requirement, Scenario};

/// What will be checked and what cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The catalog's cloud.
    pub cloud: Cloud,
    /// The catalog's date.
    pub catalog_date: String,
    /// The workspace's name, as told; empty when it was not.
    pub workspace: String,
    /// Where this machine stands, as told.
    pub vantage: Vantage,
    /// The region, as told; empty when it was not.
    pub region: String,
    /// Scenarios that have at least one check or uncovered row, in reading order.
    pub scenarios: Vec<Scenario>,
    /// All requirements in reading order.
    pub requirements: Vec<PlannedRequirement>,
    /// All checks, in the order of their requirements.
    pub checks: Vec<Arc<Check>>,
    /// What is measured, each once, in order of first use.
    pub targets: Vec<Arc<Target>>,
}

/// A requirement with what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedRequirement {
    /// The row.
    pub requirement: Arc<Requirement>,
    /// Positions of its checks in [`Plan::checks`].
    pub checks: std::ops::Range<usize>,
    /// Why (some of) it is not covered by a check.
    pub uncovered: Option<Uncovered>,
}

/// Why a requirement is not, or not wholly, covered by a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Uncovered {
    /// It does not apply here, so nothing is missing.
    NotNeeded(String),
    /// The configuration leaves it out.
    Excluded,
    /// Nothing that runs here could test it.
    Untestable(String),
    /// Its hosts cannot be named, or not all of them.
    Unnamed(String),
}

impl Uncovered {
    /// Whether it does not apply here at all.
    pub fn is_not_needed(&self) -> bool {
        matches!(self, Self::NotNeeded(_))
    }
}

impl fmt::Display for Uncovered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotNeeded(why) => write!(f, "does not apply here: {why}"),
            Self::Excluded => f.write_str("left out by catalog.exclude"),
            Self::Untestable(why) | Self::Unnamed(why) => f.write_str(why),
        }
    }
}

/// An extra check from `[[probe]]` or from the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraProbe {
    /// Its name, which becomes the requirement's id.
    pub id: String,
    /// What to probe.
    pub target: Target,
    /// What to expect of the name.
    pub expect: Expect,
    /// Subnets it must lie in, when private.
    pub subnets: Vec<ipnet::IpNet>,
    /// Scenarios it counts for.
    pub scenarios: Vec<String>,
}

/// Plans a catalog and extra probes for one workspace. `exclude` decides by requirement id.
pub fn plan(
    catalog: &Catalog,
    extra: &[ExtraProbe],
    parameters: &Parameters,
    network: &NetworkFacts,
    exclude: impl Fn(&str) -> bool,
) -> Plan {
    let mut builder = Builder {
        parameters,
        network,
        plan: Plan::empty(catalog, parameters),
        targets: BTreeMap::new(),
    };
    for requirement in &catalog.requirements {
        let excluded = exclude(&requirement.id);
        builder.add(Arc::new(requirement.clone()), excluded);
    }
    for probe in extra {
        builder.add_extra(probe);
    }
    builder.finish(catalog)
}

impl Plan {
    fn empty(catalog: &Catalog, parameters: &Parameters) -> Self {
        Self {
            cloud: catalog.cloud,
            catalog_date: catalog.date.clone(),
            workspace: parameters.name.clone().unwrap_or_default(),
            vantage: parameters.vantage,
            region: parameters.region.clone().unwrap_or_default(),
            scenarios: Vec::new(),
            requirements: Vec::new(),
            checks: Vec::new(),
            targets: Vec::new(),
        }
    }

    /// The same plan with only the checks that `keep` wants; requirements left without checks go,
    /// uncovered ones stay only when nothing was asked for but `keep_uncovered`.
    #[must_use]
    pub fn narrowed(
        self,
        keep: impl Fn(&Check) -> bool,
        keep_uncovered: impl Fn(&Requirement) -> bool,
    ) -> Self {
        let mut narrowed = Self {
            requirements: Vec::new(),
            checks: Vec::new(),
            targets: Vec::new(),
            ..self.clone()
        };
        for planned in &self.requirements {
            let start = narrowed.checks.len();
            let wanted = self.checks.get(planned.checks.clone()).unwrap_or_default();
            narrowed.checks.extend(wanted.iter().filter(|check| keep(check)).cloned());
            let checks = start..narrowed.checks.len();
            let uncovered =
                planned.uncovered.clone().filter(|_| keep_uncovered(&planned.requirement));
            if !checks.is_empty() || uncovered.is_some() {
                narrowed.requirements.push(PlannedRequirement {
                    requirement: Arc::clone(&planned.requirement),
                    checks,
                    uncovered,
                });
            }
        }
        narrowed.targets = self
            .targets
            .iter()
            .filter(|t| narrowed.checks.iter().any(|c| c.target == **t))
            .cloned()
            .collect();
        narrowed.scenarios.retain(|scenario| {
            narrowed.requirements.iter().any(|p| p.requirement.scenarios.contains(&scenario.id))
        });
        narrowed
    }

    /// Requirements no check covers, with the reason.
    pub fn uncovered(&self) -> impl Iterator<Item = (&Requirement, &Uncovered)> {
        self.requirements
            .iter()
            .filter_map(|p| p.uncovered.as_ref().map(|why| (p.requirement.as_ref(), why)))
    }

    /// The last so many requirements as the extra probes that they were made of.
    pub fn extras(&self, count: usize) -> Vec<ExtraProbe> {
        let first = self.requirements.len().saturating_sub(count);
        let planned = self.requirements.get(first..).unwrap_or_default();
        let probes =
            planned.iter().filter_map(|PlannedRequirement { requirement, checks, .. }| {
                // One that asks what another row asks, by the same name, has no check of its own.
                let own = self.checks.get(checks.start).filter(|_| !checks.is_empty());
                let check =
                    own.or_else(|| self.checks.iter().find(|c| c.requirement == *requirement.id))?;
                Some(ExtraProbe {
                    id: requirement.id.to_string(),
                    target: (*check.target).clone(),
                    expect: requirement.expect,
                    subnets: check.expectation.subnets.clone(),
                    scenarios: requirement.scenarios.to_vec(),
                })
            });
        probes.collect()
    }

    /// How many of these are missing nothing, because they do not apply here.
    pub fn not_needed(&self) -> usize {
        self.uncovered().filter(|(_, why)| why.is_not_needed()).count()
    }
}

struct Builder<'a> {
    parameters: &'a Parameters,
    network: &'a NetworkFacts,
    plan: Plan,
    targets: BTreeMap<Target, Arc<Target>>,
}

impl Builder<'_> {
    fn add(&mut self, requirement: Arc<Requirement>, excluded: bool) {
        let start = self.plan.checks.len();
        let uncovered = if excluded {
            Some(Uncovered::Excluded)
        } else {
            self.not_applicable(&requirement)
                .or_else(|| self.cover(&requirement).map(Uncovered::Unnamed))
        };
        self.plan.requirements.push(PlannedRequirement {
            checks: start..self.plan.checks.len(),
            requirement,
            uncovered,
        });
    }

    /// Why a requirement needs no check here at all.
    fn not_applicable(&self, requirement: &Requirement) -> Option<Uncovered> {
        if let Coverage::Untestable(reason) = &requirement.coverage {
            return Some(Uncovered::Untestable(reason.clone()));
        }
        if requirement.direction == Direction::Inbound {
            return Some(Uncovered::Untestable(
                "inbound traffic cannot be tested from inside the VNet".to_owned(),
            ));
        }
        if let Some(condition) = requirement.when.as_ref().filter(|c| !c.holds(self.parameters)) {
            return Some(Uncovered::NotNeeded(format!(
                "needed only when `{condition}`, which this configuration does not say"
            )));
        }
        if !requirement.matters_at(self.parameters.vantage) {
            let from: Vec<&str> = requirement.vantage.iter().map(|v| v.as_str()).collect();
            return Some(Uncovered::NotNeeded(format!(
                "matters from {}; this machine is the {}",
                from.join(" or "),
                self.parameters.vantage
            )));
        }
        None
    }

    /// Adds a requirement's checks; the reason if some of its hosts could not be named.
    fn cover(&mut self, requirement: &Arc<Requirement>) -> Option<String> {
        let Coverage::Hosts(templates) = &requirement.coverage else { return None };
        let mut reasons = Vec::new();
        for template in templates {
            match template.host.fill(self.parameters) {
                Ok(texts) => {
                    for text in texts {
                        if let Err(reason) = self.add_host(requirement, template, &text) {
                            reasons.push(reason);
                        }
                    }
                }
                Err(missing) => {
                    let keys: Vec<&str> = missing.iter().map(|p| p.config_keys()).collect();
                    reasons.push(format!("set {} to cover {}", keys.join(" and "), template.host));
                }
            }
        }
        reasons.dedup();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }

    fn add_host(
        &mut self,
        requirement: &Arc<Requirement>,
        template: &HostTemplate,
        text: &str,
    ) -> Result<(), String> {
        let host =
            Host::parse(text).map_err(|error| format!("`{text}` is not a host name: {error}"))?;
        let ports: Vec<Option<u16>> = match &*requirement.ports {
            [] => vec![None],
            ports => ports.iter().copied().map(Some).collect(),
        };
        // Without a private endpoint the workspace's own hosts may resolve either way.
        let expect = match requirement.expect {
            Expect::Private if !self.parameters.private_endpoint => Expect::Any,
            expect => expect,
        };
        for port in ports {
            let kind = requirement.kind_of(port);
            let port = port.filter(|_| kind != Kind::Dns);
            let target =
                Target { host: host.clone(), port, kind, path: requirement.path.to_string() };
            self.add_check(requirement, target, template.proof, expect, Vec::new());
        }
        Ok(())
    }

    fn add_check(
        &mut self,
        requirement: &Requirement,
        target: Target,
        proof: Proof,
        expect: Expect,
        subnets: Vec<ipnet::IpNet>,
    ) {
        let mut id = format!("{}@{}", requirement.id, target.authority());
        id.shrink_to_fit();
        if self
            .plan
            .checks
            .iter()
            .rev()
            .take_while(|c| c.requirement == *requirement.id)
            .any(|c| c.id == id)
        {
            return;
        }
        let declared =
            self.network.endpoint_addresses.get(&target.host).cloned().unwrap_or_default();
        let shared = self.shared(target);
        self.plan.checks.push(Arc::new(Check {
            id,
            requirement: requirement.id.to_string(),
            target: shared,
            expectation: Expectation {
                expect,
                zone: requirement.zone.as_deref().map(str::to_owned),
                declared,
                subnets,
            },
            proof,
            pattern: requirement.pattern.to_string(),
            scenarios: requirement.scenarios.to_vec(),
            required: requirement.required,
            public_service: !requirement.source.is_empty(),
            service: requirement.service,
            service_tag: requirement.service_tag.as_deref().map(|tag| self.filled_tag(tag)),
            purpose: requirement.purpose.to_string(),
        }));
    }

    /// A service tag with its region, or the global tag when the region is not known.
    fn filled_tag(&self, tag: &str) -> String {
        match &self.parameters.region {
            Some(region) => tag.replace("{region}", region),
            None => tag.replace(".{region}", ""),
        }
    }

    /// The one copy of a target that all its checks share.
    fn shared(&mut self, target: Target) -> Arc<Target> {
        if let Some(shared) = self.targets.get(&target) {
            return Arc::clone(shared);
        }
        let shared = Arc::new(target.clone());
        self.targets.insert(target, Arc::clone(&shared));
        self.plan.targets.push(Arc::clone(&shared));
        shared
    }

    fn add_extra(&mut self, probe: &ExtraProbe) {
        let start = self.plan.checks.len();
        let requirement = Arc::new(Requirement::of_probe(probe));
        self.add_check(
            &requirement,
            probe.target.clone(),
            Proof::Exact,
            probe.expect,
            probe.subnets.clone(),
        );
        self.plan.requirements.push(PlannedRequirement {
            checks: start..self.plan.checks.len(),
            requirement,
            uncovered: None,
        });
    }

    fn finish(mut self, catalog: &Catalog) -> Plan {
        // A scenario none of whose rows applies (no RStudio here) would only be noise.
        let parameters = self.parameters;
        let named: Vec<&String> = self
            .plan
            .requirements
            .iter()
            .map(|planned| planned.requirement.as_ref())
            .filter(|requirement| requirement.when.as_ref().is_none_or(|c| c.holds(parameters)))
            .flat_map(|requirement| &requirement.scenarios)
            .collect();
        let mut scenarios: Vec<Scenario> =
            catalog.scenarios.iter().filter(|s| named.contains(&&s.id)).cloned().collect();
        for id in named {
            if !scenarios.iter().any(|scenario| scenario.id == *id) {
                scenarios.push(Scenario {
                    id: id.clone(),
                    title: id.clone(),
                    purpose: String::new(),
                });
            }
        }
        self.plan.scenarios = scenarios;
        self.plan.requirements.shrink_to_fit();
        self.plan.checks.shrink_to_fit();
        self.plan.targets.shrink_to_fit();
        self.plan
    }
}

impl Requirement {
    /// The row that an extra probe amounts to.
    fn of_probe(probe: &ExtraProbe) -> Self {
        use crate::model::Transport;
        let pattern = crate::requirement::Template::literal(&probe.target.host.to_string());
        Self {
            id: probe.id.as_str().into(),
            coverage: Coverage::Hosts(vec![HostTemplate {
                host: pattern.clone(),
                proof: Proof::Exact,
            }]),
            pattern,
            ports: probe.target.port.into_iter().collect(),
            transport: if probe.target.kind == Kind::Udp { Transport::Udp } else { Transport::Tcp },
            kind: Some(probe.target.kind),
            expect: probe.expect,
            scenarios: probe.scenarios.as_slice().into(),
            service_tag: None,
            zone: None,
            vantage: [Vantage::Any].into(),
            when: None,
            direction: Direction::Outbound,
            required: true,
            edition: Box::default(),
            source: Box::default(),
            purpose: Box::default(),
            path: probe.target.path.as_str().into(),
            service: None,
        }
    }
}

#[cfg(test)]
mod tests;
