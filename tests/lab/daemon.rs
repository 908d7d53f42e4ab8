//! `vnetprobe serve` on the client: what its page shows, and how quiet it stays.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::lab::Lab;
use crate::program;

/// Nothing else listens in the client's namespace.
const ADDRESS: &str = "127.0.0.1:19115";
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
        let url = format!("http://{ADDRESS}{path}");
        let output =
            self.lab.run_in_client(Path::new("curl"), &["-sS", "--max-time", "10", &url])?;
        ensure!(
            output.status.success(),
            "curl {url}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
