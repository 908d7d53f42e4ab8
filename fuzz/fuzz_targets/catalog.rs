//! Any catalog is read, and then planned with, or refused with reasons.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vnetprobe::catalog::parse;
use vnetprobe::parameters::{NetworkFacts, Parameters};

fuzz_target!(|text: &str| match parse(text) {
    Ok(catalog) => {
        let network = NetworkFacts::default();
        let parameters = Parameters { region: Some("eastus".to_owned()), ..Parameters::default() };
        let plan = vnetprobe::plan::plan(&catalog, &[], &parameters, &network, |_| false);
        for planned in &plan.requirements {
            assert!(planned.uncovered.is_some() || !planned.checks.is_empty());
        }
    }
    Err(errors) => assert!(!errors.is_empty()),
});
