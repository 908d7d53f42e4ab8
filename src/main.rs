//! The `vnetprobe` command.

fn main() -> std::process::ExitCode {
    vnetprobe::app::main()
}
