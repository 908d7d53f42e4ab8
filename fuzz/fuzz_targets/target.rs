//! Any target: what is read can be written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vnetprobe::target::parse_target;

fuzz_target!(|text: &str| {
    match parse_target(text) {
        Ok(target) => {
            let host = target.host.to_string();
            assert_eq!(vnetprobe::model::Host::parse(&host), Ok(target.host.clone()));
            vnetprobe_fuzz::assert_plain("a host", &host);
        }
        Err(why) => assert!(!why.is_empty()),
    }
});
