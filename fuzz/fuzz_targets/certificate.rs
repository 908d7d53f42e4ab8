//! Any certificate: its facts are bounded and printable, or it is refused in printable words.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vnetprobe::limits;
use vnetprobe::probe::certificate::facts;
use vnetprobe_fuzz::assert_plain;

fuzz_target!(|data: &[u8]| match facts(data) {
    Ok(facts) => {
        assert!(facts.names.len() <= limits::CERTIFICATE_NAMES);
        let texts = [&facts.subject, &facts.issuer].into_iter().chain(&facts.names);
        for text in texts.chain(&facts.issuer_url) {
            assert!(text.chars().count() <= limits::TEXT_CHARS + 1);
            assert_plain("a fact", text);
        }
    }
    Err(why) => assert_plain("a complaint", &why),
});
