//! The static binary, the package and the image's folder, made by the commands that people type.
#![expect(clippy::unwrap_used, reason = "a test makes its world")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::process::is_alone;

/// The version that is built.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What `make` made.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) binary: PathBuf,
    pub(crate) package: PathBuf,
    pub(crate) image: PathBuf,
}

/// Builds everything once for all tests of this program, with the quick profile.
pub(crate) fn built() -> &'static Built {
    static BUILT: OnceLock<Built> = OnceLock::new();
    BUILT.get_or_init(|| {
        let target = target();
        // Where the body of a test runs there is no network, and all has been built.
        if !is_alone() {
            let done = Command::new("make")
                .args(["deb", "image", "PROFILE=dev", "DEB_FLAGS=--fast"])
                .current_dir(env!("CARGO_MANIFEST_DIR"))
                .env("CARGO_TARGET_DIR", target)
                // A third of the bytes to link, pack, judge and unpack; no test looks at them.
                .env("CARGO_PROFILE_DEV_DEBUG", "0")
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&done.stderr);
            assert!(done.status.success(), "make deb image (scripts/setup prepares it): {said}");
        }
        let machine = std::env::consts::ARCH;
        let debian = match machine {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Built {
            binary: target.join(format!("{machine}-unknown-linux-gnu/debug/vnetprobe")),
            package: target.join(format!("debian/vnetprobe_{VERSION}_{debian}.deb")),
            image: target.join("image"),
        }
    })
}

/// Cargo's target folder.
pub(crate) fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap()
}

/// A file of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
