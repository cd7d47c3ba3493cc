#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sysroot_fuzz::config(data));
