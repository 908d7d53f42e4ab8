//! What a service manager is told: the daemon runs with a real socket where systemd's would be.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test stops where its world is not as it says, and it makes that world"
)]

mod process;

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use process::loopback::{get, listener};
use process::{Process, alone, folder, vnetprobe};
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
