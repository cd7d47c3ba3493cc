//! A Cortex-M microcontroller: `cortex-m-rt` starts it, semihosting prints.

use cortex_m_semihosting::{debug, hprint};

#[cortex_m_rt::entry]
fn start() -> ! {
    crate::run()
}

pub(crate) fn print(text: &str) {
    hprint!("{}", text);
}

pub(crate) fn exit(code: u8) -> ! {
    let status = match code {
        0 => debug::EXIT_SUCCESS,
        _ => debug::EXIT_FAILURE,
    };
    loop {
        debug::exit(status);
    }
}
