//! The static binary needs nothing of its machine, and the image is that binary alone.

use std::process::Command;

use crate::built::{built, repository};
use crate::process::loopback::get;
use crate::process::{Process, alone, folder, needs, until};

/// What the image's folder holds runs in an empty root: no libc, no shell, no /etc of a machine.
#[test]
fn the_binary_runs_in_an_empty_root() {
    let built = built();
    alone(|| {
        needs("readelf", "binutils");
        let program = Command::new("readelf").arg("-l").arg(&built.binary).output().unwrap();
        let headers = String::from_utf8_lossy(&program.stdout).into_owned();
        assert!(headers.contains("LOAD") && !headers.contains("INTERP"), "{headers}");
        let enter = |arguments: &[&str]| {
            let mut command = Command::new("chroot");
            command.args(["--userspec=65532:65532", "--groups="]).arg(&built.image);
            command
                .arg("/usr/bin/vnetprobe")
                .args(arguments)
                .env_clear()
                .env("PATH", "/usr/sbin:/usr/bin");
            command
        };
        let plan = Process::start(&mut enter(&["plan", "--set", "region=usgovvirginia"]))
            .ended()
            .expect(0);
        assert!(plan.stdout.contains("login.microsoftonline.us"), "{}", plan.stdout);
        let daemon = Process::start(&mut enter(&["serve", "--listen", "127.0.0.1:0"]));
        // No trust store and no resolver configuration: said, and no reason to stop.
        let said = daemon.says("failed to read the resolver configuration");
        daemon.says("this machine has no trust store: certificates are judged by tls.ca_files and Mozilla's roots");
        let (_, after) = said.split_once("status page: http://").unwrap();
        let address = after.split_once('/').unwrap().0.parse().unwrap();
        assert_eq!(get(address, "/-/healthy").unwrap().body, "ok");
        assert!(get(address, "/metrics").unwrap().body.contains("vnetprobe_build_info"));
        daemon.signal("TERM");
        daemon.ended().expect(0);
    });
}

#[test]
fn buildah_builds_the_image_and_runs_it() {
    let built = built();
    alone(|| {
        needs("buildah", "buildah");
        let store = folder(&[]);
        let buildah = |arguments: &[&str]| {
            let mut command = Command::new("buildah");
            command.arg("--root").arg(store.path().join("root"));
            command.arg("--runroot").arg(store.path().join("run"));
            command.args(["--storage-driver", "vfs"]).args(arguments);
            command
        };
        let does = |arguments: &[&str]| Process::start(&mut buildah(arguments)).ended().expect(0);
        let recipe = repository("deploy/Containerfile").display().to_string();
        let context = built.image.display().to_string();
        does(&[
            "build",
            "--isolation",
            "chroot",
            "--tag",
            "vnetprobe",
            "--file",
            &recipe,
            &context,
        ]);
        let image = does(&["inspect", "--type", "image", "vnetprobe"]).json();
        let config = &image["OCIv1"]["config"];
        assert_eq!(config["User"], "65532:65532");
        assert_eq!(config["Entrypoint"], serde_json::json!(["/usr/bin/vnetprobe"]));
        assert_eq!(config["Cmd"], serde_json::json!(["serve", "--listen", "0.0.0.0:19115"]));

        does(&["from", "--name", "once", "vnetprobe"]);
        let run = ["run", "--isolation", "chroot", "once", "--", "/usr/bin/vnetprobe"];
        let plan = does(&[&run[..], &["plan"]].concat());
        assert!(plan.stdout.contains("login.microsoftonline.us"), "{}", plan.stdout);
        // As the image starts it; port 19115 is this namespace's own.
        let daemon = Process::start(&mut buildah(
            &[&run[..], &["serve", "--listen", "0.0.0.0:19115"]].concat(),
        ));
        daemon.says("status page: http://");
        let answer = get("127.0.0.1:19115".parse().unwrap(), "/-/healthy").unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));
        // As nobody it still has a place for history.
        let history = until("it is known where history is kept", || {
            let report = get("127.0.0.1:19115".parse().unwrap(), "/api/v1/report")?;
            let report: serde_json::Value = serde_json::from_str(&report.body).ok()?;
            Some(report["history"].clone()).filter(|history| history["kept"] != "memory")
        });
        assert_eq!(history["kept"], "file", "{history}");
    });
}
