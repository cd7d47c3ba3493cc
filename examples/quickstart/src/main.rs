//! Prints one line, on the host and on three machines without an operating
//! system or without its C library.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod heap;

#[cfg_attr(target_arch = "arm", path = "machine/cortex_m.rs")]
#[cfg_attr(target_arch = "aarch64", path = "machine/virt.rs")]
#[cfg_attr(target_arch = "x86_64", path = "machine/syscalls.rs")]
#[cfg(target_os = "none")]
mod machine;

#[cfg(not(target_os = "none"))]
fn main() {
    match quickstart::report(quickstart::TEXT) {
        Ok(line) => println!("{line}"),
        Err(error) => {
            eprintln!("quickstart: {error}");
            std::process::exit(1);
        }
    }
}

/// What every machine without an operating system does once it is up.
#[cfg(target_os = "none")]
fn run() -> ! {
    let code = match quickstart::report(quickstart::TEXT) {
        Ok(line) => {
            machine::print(&line);
            machine::print("\n");
            0
        }
        Err(_) => 1,
    };
    machine::exit(code)
}

#[cfg(target_os = "none")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    machine::print("panic\n");
    machine::exit(101)
}
