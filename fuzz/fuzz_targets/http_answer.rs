//! Any answer to an HTTP request, in pieces of any size: head, interim answers, chunks, body.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vnetprobe::limits;
use vnetprobe::observation::HttpOutcome;
use vnetprobe::probe::http::{Parsed, Request, exchange, parse_head};
use vnetprobe_fuzz::{LIMIT, Peer, assert_plain, run};

fuzz_target!(|data: &[u8]| {
    let Some((step, data)) = data.split_first() else { return };
    if let Parsed::Head(head) = parse_head(data) {
        assert!(head.length <= data.len());
    }
    for request in [Request::Get, Request::WebsocketUpgrade] {
        let seen = run(exchange(&mut Peer::new(data, *step), "a.example", "/", LIMIT, request));
        match seen.outcome {
            HttpOutcome::Answer { status, headers, body } => {
                assert!(status <= 999);
                assert!(body.chars().count() <= limits::HTTP_BODY_CHARS);
                assert_plain("a body", &body);
                for (_, value) in &headers {
                    assert!(value.chars().count() <= limits::TEXT_CHARS + 1);
                    assert_plain("a header", value);
                }
            }
            HttpOutcome::NotHttp(opening) => assert_plain("an opening", &opening),
            HttpOutcome::Timeout => panic!("it waited for a peer that had closed"),
            HttpOutcome::Closed => {}
        }
    }
});
