//! The `sysroot` command.

fn main() -> std::process::ExitCode {
    sysroot::cli::main()
}
