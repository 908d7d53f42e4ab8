//! The `vnetprobe` command.

/// Transient buffers of sessions lie between strings that are kept for days: this allocator keeps them
/// apart (docs/decisions/0006). Its settings are in `.cargo/config.toml`.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    vnetprobe::app::main()
}
