//! A history file that somebody spoiled: four bytes say where (three, little-endian) and what is
//! put there, and so on. It is answered from or refused without being changed, and a daemon goes on
//! with it or with a new one beside it; nothing is ever removed.
#![no_main]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use vnetprobe::archive::{self, Place};
use vnetprobe::history::{History, Outcome};
use vnetprobe::inquiry::Inquiry;
use vnetprobe::journal::Past;
use vnetprobe::limits;
use vnetprobe::render::events::sentence;
use vnetprobe::snapshot::Snapshot;
use vnetprobe_fuzz::{assert_plain, now, run, setting};

const TARGETS: [&str; 3] = ["a.example", "tcp://b.example:22", "dns://c.example"];

fn place(folder: &Path) -> Place {
    Place {
        path: folder.join("history.sqlite"),
        retention: Duration::from_hours(24),
        max_bytes: 1 << 20,
    }
}

/// What a daemon that just started tells, having measured everything once.
fn snapshot(past: Past) -> Arc<Snapshot> {
    let mut history = History::new(setting(&TARGETS, ""), past, now());
    history.note_start("fuzz");
    for slot in 0..TARGETS.len() {
        let seen = Outcome::Observed(Arc::default());
        history.fold(slot, &seen, now());
    }
    Arc::new(history.snapshot(now(), 0, 0))
}

/// A daemon's life: what it knew at its start, and that it ended in order.
fn live(place: Place, name: &str) -> Past {
    let setting = setting(&TARGETS, "");
    let ids: BTreeSet<&str> = setting.plan.checks.iter().map(|check| check.id.as_str()).collect();
    let (writing, past) = archive::open(place, name.to_owned(), &ids, now());
    for (id, check) in &past.checks {
        assert!(ids.contains(id.as_str()));
        assert!(check.strip.samples().len() <= limits::STRIP_SAMPLES);
    }
    run(writing.finish(snapshot(past.clone())));
    past
}

fn whole() -> &'static [u8] {
    static WHOLE: OnceLock<Vec<u8>> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        live(place(folder.path()), "first");
        let past = live(place(folder.path()), "second");
        assert!(past.last_event > 0, "nothing was kept");
        fs::read(place(folder.path()).path).expect("a file")
    })
}

fuzz_target!(|data: &[u8]| {
    let mut bytes = whole().to_vec();
    for change in data.chunks_exact(4) {
        let at = u32::from_le_bytes([change[0], change[1], change[2], 0]);
        let at = usize::try_from(at).unwrap_or_default() % bytes.len();
        bytes[at] = change[3];
    }
    // An odd end cuts the file.
    if data.len() % 4 != 0 {
        bytes.truncate(data.len() * 997 % bytes.len());
    }
    let folder = tempfile::tempdir().expect("a folder");
    let place = place(folder.path());
    fs::write(&place.path, &bytes).expect("a file");

    let inquiry = Inquiry::of_query("limit=3", now()).expect("a question");
    match archive::read(&place.path, &inquiry) {
        Ok(answer) => {
            assert!(answer.found.events.len() <= 3);
            for event in &answer.found.events {
                assert_plain("a sentence", &sentence(event));
            }
        }
        Err(why) => assert_plain("a reason", &why),
    }
    assert!(fs::read(&place.path).expect("a file") == bytes, "reading changed the file");

    live(place.clone(), "third");
    let whole = archive::read(&place.path, &inquiry);
    let aside = fs::read_dir(folder.path()).expect("a folder").filter_map(Result::ok);
    let aside = aside.filter(|entry| entry.file_name().to_string_lossy().contains(".damaged-"));
    // With the old one out of the way, the new one works.
    assert!(aside.count() == 0 || whole.is_ok(), "{whole:?}");
    assert!(place.path.exists(), "the file is gone");
});
