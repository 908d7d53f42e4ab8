//! What the history file holds: a batch of samples or an event's JSON; the first byte chooses.
//! What is read, written and read again is the same, and people are shown nothing but text.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use vnetprobe::archive::batch::{pack, unpack};
use vnetprobe::inquiry::Found;
use vnetprobe::journal::Event;
use vnetprobe::render::events::{sentence, table};
use vnetprobe::render::layout::Layout;
use vnetprobe::wire::{Kept, history_json};
use vnetprobe_fuzz::assert_plain;

fn samples(data: &[u8]) {
    let Some(mut samples) = unpack(data) else { return };
    assert!(samples.len() <= data.len() / 4, "{} of {} bytes", samples.len(), data.len());
    let packed = pack(&mut samples);
    assert_eq!(unpack(&packed), Some(samples));
}

fn event(data: &[u8]) {
    let Ok(event) = serde_json::from_slice::<Event>(data) else { return };
    // Times are kept to the microsecond, so the first writing rounds and the second must not.
    let text = serde_json::to_string(&event).expect("an event is JSON");
    let event: Event = serde_json::from_str(&text).expect("its JSON is an event");
    assert_eq!(serde_json::to_string(&event).expect("an event is JSON"), text);
    assert_plain("a sentence", &sentence(&event));
    let found = Found { events: vec![Arc::new(event)], more: true };
    assert_plain("a table", &table(&found, Layout { width: 80, color: false }));
    let json = history_json(&found, Kept::File);
    assert_plain("an answer", &json);
    serde_json::from_str::<serde_json::Value>(&json).expect("an answer is JSON");
}

fuzz_target!(|data: &[u8]| {
    match data.split_first() {
        Some((choice, data)) if choice % 2 == 0 => samples(data),
        Some((_, data)) => event(data),
        None => {}
    }
});
