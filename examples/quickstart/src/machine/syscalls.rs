//! x86-64 Linux without a C library: two system calls.

use core::arch::{asm, global_asm};

// The kernel enters with an aligned stack and no return address; `call` makes
// it what a function expects.
global_asm!(".global _start", "_start:", "call {start}", start = sym start);

extern "C" fn start() -> ! {
    crate::run()
}

pub(crate) fn print(text: &str) {
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        let written: isize;
        // SAFETY: write(1, pointer, length) reads `rest` and clobbers what is
        // named here.
        unsafe {
            asm!(
                "syscall",
                inlateout("rax") 1_isize => written,
                in("rdi") 1, in("rsi") rest.as_ptr(), in("rdx") rest.len(),
                out("rcx") _, out("r11") _, options(nostack, readonly),
            );
        }
        match usize::try_from(written).ok().and_then(|n| rest.get(n..)) {
            Some(left) if written > 0 => rest = left,
            _ => exit(74),
        }
    }
}

pub(crate) fn exit(code: u8) -> ! {
    // SAFETY: exit_group does not return.
    unsafe {
        asm!("syscall", in("rax") 231, in("rdi") u64::from(code), options(noreturn, nostack));
    }
}
