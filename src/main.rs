//! The `sysroot` command.

fn main() {}
