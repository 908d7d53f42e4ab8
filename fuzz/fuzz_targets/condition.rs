//! Any condition of a catalog row is read and decided, or refused with a reason.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vnetprobe::condition::Condition;
use vnetprobe::parameters::Parameters;

fuzz_target!(|text: &str| match Condition::parse(text) {
    Ok(condition) => {
        let _ = condition.holds(&Parameters::default());
    }
    Err(why) => assert!(!why.is_empty()),
});
