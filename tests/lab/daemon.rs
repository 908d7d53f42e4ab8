//! `vnetprobe serve` on the client: what its page shows, and how quiet it stays.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::lab::Lab;
use crate::program;

/// Nothing else listens in the client's namespace.
const ADDRESS: &str = "127.0.0.1:19115";
/// The port of it.
pub(crate) const PORT: u16 = 19115;
/// How long a first round may take.
const READY: Duration = Duration::from_mins(1);

/// A daemon that runs; it ends with this value.
pub(crate) struct Daemon<'a> {
    lab: &'a Lab,
    child: Child,
}

impl<'a> Daemon<'a> {
    /// Starts one and waits until every check has a result.
    pub(crate) fn ready(lab: &'a Lab, config: &Path) -> Result<Self> {
        let log = config.with_file_name("serve.log");
        let mut command = lab.client(program());
        command.args(["serve", "--listen", ADDRESS, "--config"]).arg(config);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?);
        let child = command.spawn().with_context(|| format!("starting {command:?}"))?;
        let mut daemon = Self { lab, child };
        let began = Instant::now();
        while daemon.get("/-/ready").ok().as_deref() != Some("ready") {
            if let Some(status) = daemon.child.try_wait()? {
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                bail!("vnetprobe serve ended with {status}: {said}");
            }
            ensure!(began.elapsed() < READY, "vnetprobe serve has no first round after {READY:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(daemon)
    }

    /// Asks for a path with curl.
    pub(crate) fn get(&self, path: &str) -> Result<String> {
        answer(self.start_get(path)?)
    }

    /// Begins to ask.
    pub(crate) fn start_get(&self, path: &str) -> Result<Child> {
        let mut command = self.lab.client(Path::new("curl"));
        command.args(["-sS", "--max-time", "30", &format!("http://{ADDRESS}{path}")]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().with_context(|| format!("starting {command:?}"))
    }

    /// The folder that the system has about its process.
    pub(crate) fn proc(&self) -> PathBuf {
        Path::new("/proc").join(self.child.id().to_string())
    }

    /// Sends it a signal, by name.
    pub(crate) fn signal(&self, name: &str) -> Result<()> {
        let process = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &process]).status()?;
        ensure!(status.success(), "kill -s {name} ended with {status}");
        Ok(())
    }

    /// Tells it to end; its exit code.
    pub(crate) fn end(mut self) -> Result<Option<i32>> {
        self.signal("TERM")?;
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            ensure!(began.elapsed() < READY, "vnetprobe serve did not end in {READY:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// What was answered to a question that was begun.
pub(crate) fn answer(curl: Child) -> Result<String> {
    let output = curl.wait_with_output()?;
    ensure!(output.status.success(), "curl: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
