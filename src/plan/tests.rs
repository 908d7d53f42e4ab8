use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::catalog;
use crate::parameters::Feature;

fn network() -> NetworkFacts {
    NetworkFacts::default()
}

fn government(parameters: &Parameters) -> Plan {
    let catalog = catalog::embedded(Cloud::UsGovernment).unwrap();
    plan(&catalog, &[], parameters, &network(), |_| false)
}

#[test]
fn a_target_is_measured_once_and_told_for_each_requirement() {
    let plan = government(&Parameters::default());
    let unique: BTreeSet<&Target> = plan.targets.iter().map(AsRef::as_ref).collect();
    assert_eq!(unique.len(), plan.targets.len());
    let ids: BTreeSet<&str> = plan.checks.iter().map(|check| check.id.as_str()).collect();
    assert_eq!(ids.len(), plan.checks.len());
    let login = Host::parse("login.microsoftonline.us").unwrap();
    let needed = |check: &&Arc<Check>| check.target.host == login && check.target.port == Some(443);
    assert!(plan.checks.iter().filter(needed).count() >= 2);
}

#[test]
fn private_is_expected_only_of_a_workspace_with_a_private_endpoint() {
    let with = Parameters { storage_account: Some("mlstore".into()), ..Parameters::default() };
    let without = Parameters { private_endpoint: false, ..with.clone() };
    let private = |plan: &Plan| {
        plan.checks.iter().filter(|c| c.expectation.expect == Expect::Private).count()
    };
    assert!(private(&government(&with)) > 0);
    assert_eq!(private(&government(&without)), 0);
}

#[test]
fn narrowing_keeps_positions_and_targets_consistent() {
    let plan = government(&Parameters::default());
    let narrowed = plan.narrowed(|check| check.target.port == Some(80), |_| false);
    assert!(!narrowed.checks.is_empty());
    for planned in &narrowed.requirements {
        let checks = &narrowed.checks[planned.checks.clone()];
        assert!(checks.iter().all(|check| check.requirement == *planned.requirement.id));
    }
    assert!(narrowed.targets.iter().all(|target| target.port == Some(80)));
    assert_eq!(narrowed.uncovered().count(), 0);
}

prop_compose! {
    fn any_parameters()(
        region in proptest::option::of("[a-z0-9]{1,60}"),
        name in proptest::option::of("\\PC{0,70}"),
        id in proptest::option::of("\\PC{0,40}"),
        storage_account in proptest::option::of("\\PC{0,70}"),
        compute_instances in proptest::collection::vec("\\PC{0,70}", 0..3),
        private_endpoint: bool,
        all_features: bool,
    ) -> Parameters {
        let all = Feature::ALL.iter().copied().filter(|_| all_features);
        let features = all.collect();
        Parameters {
            region, name, id, storage_account, compute_instances, private_endpoint, features,
            ..Parameters::default()
        }
    }
}

#[test]
fn what_does_not_apply_is_not_said_to_be_missing() {
    let catalog = catalog::embedded(Cloud::UsGovernment).unwrap();
    let parameters = Parameters { vantage: Vantage::JumpBox, ..Parameters::default() };
    let left_out = &catalog.requirements[0].id;
    let plan = plan(&catalog, &[], &parameters, &network(), |id| *id == **left_out);
    let mut seen = BTreeSet::new();
    for (requirement, why) in plan.uncovered() {
        let (kind, begins) = match why {
            Uncovered::NotNeeded(_) => ("not needed", "does not apply here: "),
            Uncovered::Excluded => ("excluded", "left out by catalog.exclude"),
            Uncovered::Untestable(_) => ("untestable", ""),
            Uncovered::Unnamed(_) => ("unnamed", "set "),
        };
        seen.insert(kind);
        assert!(why.to_string().starts_with(begins), "{}: {why}", requirement.id);
        assert_eq!(requirement.id == *left_out, kind == "excluded");
    }
    assert_eq!(
        seen.into_iter().collect::<Vec<_>>(),
        ["excluded", "not needed", "unnamed", "untestable"]
    );
    assert!((1..plan.uncovered().count()).contains(&plan.not_needed()));
}

proptest! {
    /// Whatever the parameters are, every requirement ends as checks or as a reason.
    #[test]
    fn nothing_is_dropped(parameters in any_parameters()) {
        let plan = government(&parameters);
        for planned in &plan.requirements {
            let told = planned.uncovered.as_ref().is_some_and(|why| !why.to_string().is_empty());
            prop_assert!(!planned.checks.is_empty() || told, "{}", planned.requirement.id);
        }
    }
}

#[test]
fn extra_probes_are_told_from_the_plan_as_they_were_asked_for() {
    let catalog = catalog::embedded(Cloud::UsGovernment).unwrap();
    let probe = |id: &str, target: &str| ExtraProbe {
        id: id.to_owned(),
        target: crate::target::parse_target(target).unwrap(),
        expect: Expect::Private,
        subnets: vec!["10.20.0.0/16".parse().unwrap()],
        scenarios: vec!["mirror".to_owned()],
    };
    let row = catalog.requirements.iter().rfind(|r| matches!(r.coverage, Coverage::Hosts(_)));
    let probes = [
        probe("mirror", "https://mirror.contoso.mil/simple/?all"),
        probe("names", "dns://names.contoso.mil"),
        probe(&row.unwrap().id, "tcp://10.0.0.9:22"),
    ];
    let plan = plan(&catalog, &probes, &Parameters::default(), &network(), |_| false);
    assert_eq!(plan.extras(probes.len()), probes);
    assert_eq!(plan.extras(0), []);
}
