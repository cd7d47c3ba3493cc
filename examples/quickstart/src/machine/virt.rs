//! QEMU's `virt` machine for AArch64: the PL011 serial port prints, and
//! semihosting ends the emulator.

use core::arch::{asm, global_asm};

// Floating point is trapped at reset, and compiled code may use its registers
// for copying; QEMU has already cleared .bss.
global_asm!(
    ".section .text.start, \"ax\"",
    ".global _start",
    "_start:",
    "mrs x0, cpacr_el1",
    "orr x0, x0, #(3 << 20)",
    "msr cpacr_el1, x0",
    "isb",
    "adrp x0, __stack_top",
    "add x0, x0, :lo12:__stack_top",
    "mov sp, x0",
    "b {start}",
    start = sym start,
);

extern "C" fn start() -> ! {
    crate::run()
}

/// The data register of the machine's first PL011.
const SERIAL: *mut u8 = 0x0900_0000 as *mut u8;

pub(crate) fn print(text: &str) {
    for byte in text.bytes() {
        // SAFETY: the board's manual puts a write-only FIFO there, which QEMU
        // never fills.
        unsafe { SERIAL.write_volatile(byte) };
    }
}

pub(crate) fn exit(code: u8) -> ! {
    const SYS_EXIT: u64 = 0x18;
    const APPLICATION_EXIT: u64 = 0x20026;
    let block = [APPLICATION_EXIT, u64::from(code)];
    loop {
        // SAFETY: `hlt #0xf000` is the semihosting call; it reads the block.
        unsafe {
            asm!("hlt #0xf000", in("x0") SYS_EXIT, in("x1") block.as_ptr(), options(nostack, readonly));
        }
    }
}
