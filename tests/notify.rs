//! What a service manager and its journal are told: the daemon runs with real sockets where systemd's
//! would be.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test stops where its world is not as it says, and it makes that world"
)]

mod process;

use std::collections::BTreeMap;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use process::loopback::{get, listener, refusing_port};
use process::{Process, alone, folder, is_alone, vnetprobe};
use tempfile::TempDir;

/// A service manager that hears what one daemon says.
struct Manager {
    socket: UnixDatagram,
    folder: TempDir,
}

impl Manager {
    fn new() -> Self {
        let (_, port) = listener();
        let config = format!(
            "[workspace]\ncloud = \"none\"\n[[probe]]\nname = \"one\"\ntarget = \"tcp://127.0.0.1:{port}\"\n"
        );
        let folder = folder(&[("probes.toml", &config)]);
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        // Only for a daemon that says nothing; the test fails then.
        socket.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        Self { socket, folder }
    }

    /// Starts the daemon as a service with these variables besides.
    fn starts(&self, variables: &[(&str, &str)]) -> Process {
        let mut command = vnetprobe(&["serve", "--listen", "127.0.0.1:0"]);
        command.current_dir(self.folder.path());
        command.env("NOTIFY_SOCKET", self.folder.path().join("notify"));
        Process::start(command.envs(variables.iter().copied()))
    }

    fn hears(&self) -> String {
        let mut message = [0; 4096];
        let length = self.socket.recv(&mut message).unwrap();
        String::from_utf8_lossy(&message[..length]).into_owned()
    }

    fn hears_until(&self, line: &str) -> String {
        loop {
            let message = self.hears();
            if message.lines().any(|said| said.starts_with(line)) {
                return message;
            }
        }
    }
}

#[test]
fn ready_is_said_when_the_listener_answers_and_stopping_before_the_end() {
    alone(|| {
        let manager = Manager::new();
        let daemon = manager.starts(&[]);
        let first = manager.hears();
        assert!(first.starts_with("READY=1\nSTATUS="), "{first}");
        let said = daemon.says("status page: http://");
        let (_, after) = said.split_once("status page: http://").unwrap();
        let address = after.split_once('/').unwrap().0.parse().unwrap();
        assert_eq!(get(address, "/-/healthy").unwrap().status, 200);

        let found = manager.hears_until("STATUS=1 fault");
        assert!(found.starts_with("WATCHDOG=1\n"), "{found}");
        daemon.signal("TERM");
        let last = manager.hears_until("STOPPING=1");
        assert_eq!(last, "STOPPING=1\nSTATUS=Stopping.\n");
        daemon.ended().expect(0);
    });
}

#[test]
fn the_watchdog_is_fed_again_and_again() {
    alone(|| {
        let manager = Manager::new();
        let daemon = manager.starts(&[("WATCHDOG_USEC", "400000")]);
        for _ in 0..4 {
            manager.hears_until("WATCHDOG=1");
        }
        daemon.signal("TERM");
        daemon.ended().expect(0);
    });
}

#[test]
fn a_reload_begins_and_ends_whatever_comes_of_it() {
    alone(|| {
        let manager = Manager::new();
        let daemon = manager.starts(&[]);
        manager.hears_until("READY=1");
        daemon.signal("HUP");
        let begun = manager.hears_until("RELOADING=1");
        assert!(begun.contains("\nMONOTONIC_USEC="), "{begun}");
        manager.hears_until("READY=1");
        std::fs::write(manager.folder.path().join("probes.toml"), "mistake = 1").unwrap();
        daemon.signal("HUP");
        manager.hears_until("RELOADING=1");
        manager.hears_until("READY=1");
        daemon.signal("TERM");
        daemon.ended().expect(0);
    });
}

#[test]
fn a_manager_that_is_not_there_stops_nothing() {
    alone(|| {
        let manager = Manager::new();
        std::fs::remove_file(manager.folder.path().join("notify")).unwrap();
        let daemon = manager.starts(&[]);
        daemon.says("failed to tell the service manager: ");
        daemon.says("1 fault");
        daemon.signal("TERM");
        daemon.ended().expect(0);
    });
}

// ---------------------------------------------------------------------------------- the journal

/// A journal that hears what one daemon logs, at the place where systemd has it.
struct Journal(UnixDatagram);

impl Journal {
    fn new() -> Self {
        assert!(is_alone(), "/run belongs to the machine");
        let script = "mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal";
        assert!(Command::new("sh").args(["-c", script]).status().unwrap().success());
        let socket = UnixDatagram::bind("/run/systemd/journal/socket").unwrap();
        // Only for a daemon that says nothing; the test fails then.
        socket.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        Self(socket)
    }

    /// The fields of the first record that has this one.
    fn record_with(&self, field: &str) -> BTreeMap<String, String> {
        loop {
            let mut message = vec![0; 65536];
            let length = self.0.recv(&mut message).unwrap();
            let record = fields(&message[..length]);
            if record.contains_key(field) {
                return record;
            }
        }
    }
}

/// Fields as <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/> has them: `NAME=VALUE`, or the name, the
/// length in eight bytes and the value.
fn fields(mut record: &[u8]) -> BTreeMap<String, String> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut fields = BTreeMap::new();
    while let Some(end) = record.iter().position(|byte| *byte == b'\n') {
        let (line, rest) = (&record[..end], &record[end + 1..]);
        if let Some(sign) = line.iter().position(|byte| *byte == b'=') {
            fields.insert(text(&line[..sign]), text(&line[sign + 1..]));
            record = rest;
        } else {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap());
            let value = &rest[8..8 + usize::try_from(length).unwrap()];
            fields.insert(text(line), text(value));
            record = &rest[8 + value.len() + 1..];
        }
    }
    fields
}

/// A daemon with one check that fails, started so that `$stream` says where standard error goes.
fn failing_daemon(stream: &str, format: &str) -> (Process, TempDir) {
    let config = format!(
        "[workspace]\ncloud = \"none\"\n[[probe]]\nname = \"one\"\ntarget = \"tcp://127.0.0.1:{}\"\n",
        refusing_port()
    );
    let folder = folder(&[("probes.toml", &config)]);
    let daemon = vnetprobe(&["serve", "--listen", "127.0.0.1:0", "--log-format", format]);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{stream} exec \"$@\""), "sh"]).arg(daemon.get_program());
    command.args(daemon.get_args()).current_dir(folder.path());
    for (name, value) in daemon.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    (Process::start(&mut command), folder)
}

#[test]
fn a_change_of_state_is_a_record_with_fields() {
    alone(|| {
        let journal = Journal::new();
        // As systemd sets it: the device and inode that standard error is.
        let systemd = "JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2); export JOURNAL_STREAM;";
        for (stream, format) in [("", "journald"), (systemd, "auto")] {
            let (daemon, _files) = failing_daemon(stream, format);
            let record = journal.record_with("VNETPROBE_CHECK");
            for (field, value) in [
                ("PRIORITY", "4"),
                ("SYSLOG_IDENTIFIER", "vnetprobe"),
                ("VNETPROBE_WAS", "unknown"),
                ("VNETPROBE_STATUS", "fail"),
                ("VNETPROBE_CAUSE", "tcp_refused"),
            ] {
                assert_eq!(record.get(field).map(String::as_str), Some(value), "{record:#?}");
            }
            assert!(record["VNETPROBE_CHECK"].starts_with("one@127.0.0.1:"), "{record:#?}");
            assert!(record["MESSAGE"].contains("refused the connection"), "{record:#?}");
            daemon.signal("TERM");
            // Everything went to the journal, nothing is said twice.
            assert_eq!(daemon.ended().expect(0).stderr, "");
        }
    });
}

/// The variable is inherited by whatever a service starts, such as a shell on a compute instance.
#[test]
fn who_redirects_standard_error_gets_the_lines_there() {
    alone(|| {
        let _journal = Journal::new();
        for (stream, format) in
            [("JOURNAL_STREAM=1:1; export JOURNAL_STREAM;", "auto"), ("", "auto")]
        {
            let (daemon, _files) = failing_daemon(stream, format);
            daemon.says("tcp_refused");
            daemon.signal("TERM");
            daemon.ended().expect(0);
        }
    });
}

#[test]
fn without_a_journal_the_lines_go_to_standard_error() {
    alone(|| {
        let journal = Journal::new();
        std::fs::remove_file("/run/systemd/journal/socket").unwrap();
        let (daemon, _files) = failing_daemon("", "journald");
        daemon.says("tcp_refused");
        daemon.signal("TERM");
        daemon.ended().expect(0);
        drop(journal);
    });
}
