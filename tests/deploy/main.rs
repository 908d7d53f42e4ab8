//! What is deployed, deployed: the package on a Debian 12 that boots its own systemd, the image, the
//! manifests, the scripts. Needs root, and what scripts/setup prepares below target/.

#[path = "../process/mod.rs"]
mod process;

mod built;
mod files;
mod image;
mod machine;
mod story;
