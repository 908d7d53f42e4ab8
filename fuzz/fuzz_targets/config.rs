//! Any probes.toml is read or refused with every mistake shown at its place.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vnetprobe::config::parse;
use vnetprobe::limits;

fuzz_target!(|text: &str| {
    if let Err(errors) = parse(text) {
        let shown = errors.render("probes.toml", text);
        assert!(!shown.is_empty());
        vnetprobe_fuzz::assert_plain("a complaint", &shown);
        assert!(shown.len() <= 64 * 1024 * limits::CONFIG_ERRORS);
    }
});
