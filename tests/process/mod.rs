//! Runs the real binary and what stands around it, without a packet on the machine's own network.
//!
//! A test that measures anything wraps its body in [`alone`]: the body then runs in a network
//! namespace of its own that has nothing but loopback. It is a process namespace too, so that
//! whatever a test starts ends with it, however it ends.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test stops where its world is not as it says, and it makes that world"
)]
#![allow(dead_code, reason = "every test program uses its own part")]

pub(crate) mod daemon;
pub(crate) mod loopback;
pub(crate) mod prometheus;

use std::any::type_name;
use std::io::Read;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long anything may take before a test gives it up as stuck. Nothing is expected to take
/// this long, and no test passes because it did.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long the whole body of [`alone`] may take.
const PATIENCE_FOR_A_TEST: Duration = Duration::from_mins(4);
/// How often something that cannot be waited for is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Tells a test that it runs in its own namespace already.
const ALONE: &str = "VNETPROBE_TEST_RUNS_ALONE";
/// What the environment of a person or a pipeline could change about the answers.
const UNWANTED: &[&str] = &[
    "ALL_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "JOURNAL_STREAM",
    "NOTIFY_SOCKET",
    "NO_COLOR",
    "NO_PROXY",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "STATE_DIRECTORY",
    "all_proxy",
    "https_proxy",
    "http_proxy",
    "no_proxy",
];

/// Runs a test's body in a network namespace of its own: the test program starts itself again
/// for this one test. Call it with a closure at the test's top level, which gives it its name.
pub(crate) fn alone<Body: FnOnce()>(body: Body) {
    if std::env::var_os(ALONE).is_some() {
        return body();
    }
    let path = type_name::<Body>();
    let test = path.split_once("::").map_or(path, |(_, rest)| rest);
    let test = test.strip_suffix("::{{closure}}").unwrap_or(test);
    // Without the mapping where that is allowed; a person who is not root needs it.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "unshare"]);
    command.args(["--net", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc"]);
    if !is_privileged() {
        command.arg("--map-root-user");
    }
    command.args(["sh", "-c", "ip link set lo up && exec \"$@\"", "sh"]);
    command.arg(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--include-ignored"]).env(ALONE, "1");
    // What the body leaves behind when it is killed goes, too.
    let files = folder(&[]);
    command.env("TMPDIR", files.path());
    let ended = Process::start(&mut command).ended_within(PATIENCE_FOR_A_TEST);
    assert!(
        ended.code == Some(0) && ended.stdout.contains("test result: ok. 1 passed"),
        "{test}, alone in a network namespace (that needs unshare, setpriv and ip: Debian packages \
         util-linux and iproute2; and root or user namespaces):\n{}\n{}",
        ended.stdout,
        ended.stderr
    );
}

/// Whether this is the test's body in its own namespace, not the test program that started it.
pub(crate) fn is_alone() -> bool {
    std::env::var_os(ALONE).is_some()
}

fn is_privileged() -> bool {
    static PRIVILEGED: OnceLock<bool> = OnceLock::new();
    *PRIVILEGED.get_or_init(|| {
        let done = Command::new("unshare").args(["--net", "true"]).stderr(Stdio::null()).status();
        done.is_ok_and(|status| status.success())
    })
}

/// Stops a test that would send packets from the machine itself.
pub(crate) fn must_be_alone(command: &str) {
    let sends = ["check", "probe", "serve"].contains(&command);
    assert!(
        !sends || std::env::var_os(ALONE).is_some(),
        "`vnetprobe {command}` sends packets: wrap this test's body in `alone`"
    );
}

/// The real binary with these arguments, in an empty folder and an environment without surprises.
pub(crate) fn vnetprobe(arguments: &[&str]) -> Command {
    for argument in arguments {
        must_be_alone(argument);
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_vnetprobe"));
    command.args(arguments).current_dir(env!("CARGO_TARGET_TMPDIR"));
    for name in UNWANTED {
        command.env_remove(name);
    }
    command
}

/// Runs the real binary to its end.
pub(crate) fn run(arguments: &[&str]) -> Ended {
    Process::start(&mut vnetprobe(arguments)).ended()
}

/// Runs the real binary to its end in a folder whose `probes.toml` says this.
pub(crate) fn run_with(config: &str, arguments: &[&str]) -> Ended {
    let folder = folder(&[("probes.toml", config)]);
    Process::start(vnetprobe(arguments).current_dir(folder.path())).ended()
}

/// A folder with these files, which goes when the value goes.
pub(crate) fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// Puts a text over a file of this namespace's machine. Only the namespace sees it, until its end.
pub(crate) fn cover(place: &str, text: &str) {
    assert!(std::env::var_os(ALONE).is_some(), "{place} belongs to the machine");
    // What is mounted cannot be removed; `alone` does it when the namespace is gone.
    let over = folder(&[("over", text)]).keep().join("over");
    let done = Command::new("mount").arg("--bind").arg(&over).arg(place).status().unwrap();
    assert!(done.success(), "failed to cover {place}");
}

/// Fails the test with a sentence when a program is not installed.
pub(crate) fn needs(program: &str, package: &str) {
    let found = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(
        found.is_ok(),
        "this test needs `{program}`; install it with `apt-get install {package}`"
    );
}

/// A program that runs. It is killed when this value goes, also when the test panics.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    stdout: Stream,
    stderr: Stream,
}

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Absent when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Stops the test unless the program ended with this code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "exit code; stdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }

    /// The answer as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error} in {}\n{}", self.stdout, self.stderr))
    }
}

impl Process {
    /// Starts a program without input; what it writes is kept.
    pub(crate) fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("failed to start {command:?}: {error}"));
        let stdout = Stream::read(child.stdout.take().unwrap());
        let stderr = Stream::read(child.stderr.take().unwrap());
        Self { child, stdout, stderr }
    }

    /// Waits until standard error contains this text and gives all of it.
    #[track_caller]
    pub(crate) fn says(&self, text: &str) -> String {
        self.stderr.until(text)
    }

    /// Whether standard error contains this text by now.
    pub(crate) fn has_said(&self, text: &str) -> bool {
        self.stderr.text.0.lock().unwrap().contains(text)
    }

    /// Its number, as this namespace sees it.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name: `INT`, `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success(), "{kill}");
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until it ends by itself.
    #[track_caller]
    pub(crate) fn ended(self) -> Ended {
        self.ended_within(PATIENCE)
    }

    #[track_caller]
    fn ended_within(mut self, patience: Duration) -> Ended {
        let status = self.status_within(patience);
        let (stdout, stderr) = (self.stdout.finish(), self.stderr.finish());
        assert!(
            status.is_none_or(|status| status.signal().is_none()),
            "ended by a signal: {status:?}; stderr:\n{stderr}"
        );
        let code = status.and_then(|status| status.code());
        assert!(status.is_some(), "did not end; stdout:\n{stdout}\nstderr:\n{stderr}");
        Ended { code, stdout, stderr }
    }

    fn status_within(&mut self, patience: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + patience;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            thread::sleep(LOOK_EVERY);
        }
        self.kill();
        None
    }

    fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What a program writes to one of its outputs, as it comes.
#[derive(Debug)]
struct Stream {
    text: Arc<(Mutex<String>, Condvar)>,
    reader: Option<JoinHandle<()>>,
}

impl Stream {
    fn read(mut source: impl Read + Send + 'static) -> Self {
        let text = Arc::new((Mutex::new(String::new()), Condvar::new()));
        let shared = Arc::clone(&text);
        let reader = thread::spawn(move || {
            let mut bytes = Vec::new();
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = source.read(&mut piece) {
                bytes.extend(piece.iter().take(count));
                *shared.0.lock().unwrap() = String::from_utf8_lossy(&bytes).into_owned();
                shared.1.notify_all();
            }
        });
        Self { text, reader: Some(reader) }
    }

    #[track_caller]
    fn until(&self, wanted: &str) -> String {
        let (text, changed) = &*self.text;
        let lacks = |said: &mut String| !said.contains(wanted);
        let (said, patience) =
            changed.wait_timeout_while(text.lock().unwrap(), PATIENCE, lacks).unwrap();
        assert!(!patience.timed_out(), "never said {wanted:?}, only:\n{said}");
        said.clone()
    }

    fn finish(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.text.0.lock().unwrap().clone()
    }
}

/// Looks until there is something to see, for a bounded time.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let limit = Instant::now() + PATIENCE;
    while Instant::now() < limit {
        if let Some(seen) = look() {
            return seen;
        }
        thread::sleep(LOOK_EVERY);
    }
    panic!("it never came to this: {what}");
}
