//! Any message that carries the question's id is read without a panic and within the limits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vnetprobe::limits;
use vnetprobe::probe::dns_message::{Family, Question, Reply};
use vnetprobe_fuzz::assert_plain;

fuzz_target!(|data: &[u8]| {
    let Some((family, rest)) = data.split_first() else { return };
    let family = if family & 1 == 0 { Family::V4 } else { Family::V6 };
    let question = Question::new("a.example", family, true).expect("a question");
    // The id is drawn by lot: without it, no message would be looked into.
    let mut message = question.bytes[..2].to_vec();
    message.extend(rest.iter().skip(2));
    match question.read(&message) {
        Reply::Answer(answer) => {
            assert!(answer.chain.len() <= limits::CNAME_CHAIN);
            assert!(answer.addresses.len() <= limits::ADDRESSES_PER_ANSWER);
            for alias in &answer.chain {
                assert_plain("an alias", &alias.from);
                assert_plain("an alias", &alias.to);
            }
        }
        Reply::Malformed(why) => assert_plain("a complaint", &why),
        Reply::Truncated | Reply::NoEdns | Reply::Stranger => {}
    }
});
