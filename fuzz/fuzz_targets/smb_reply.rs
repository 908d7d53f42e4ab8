//! Any answer to an SMB2 negotiation, whole and in pieces: what was decided stays decided.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vnetprobe::observation::SmbOutcome;
use vnetprobe::probe::smb::{Reply, negotiate, parse_reply};
use vnetprobe_fuzz::{LIMIT, Peer, assert_plain, run};

fuzz_target!(|data: &[u8]| {
    let whole = parse_reply(data);
    for end in 0..data.len().min(256) {
        let part = parse_reply(&data[..end]);
        assert!(part == Reply::Incomplete || part == whole, "{part:?} became {whole:?}");
    }
    match run(negotiate(&mut Peer::new(data, 7), LIMIT)).outcome {
        SmbOutcome::NotSmb(opening) => assert_plain("an opening", &opening),
        SmbOutcome::Timeout => panic!("it waited for a peer that had closed"),
        SmbOutcome::Negotiated { .. } | SmbOutcome::Refused { .. } | SmbOutcome::Closed => {}
    }
});
