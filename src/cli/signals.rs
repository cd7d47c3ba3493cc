//! Signals: the first one asks the work to stop, the second one ends the process.

use crate::events::{Cancel, Cancelled};

/// Watches for signals from now on.
///
/// Where no handler can be installed the signals keep their default action,
/// which also stops everything, only less politely.
#[cfg(unix)]
pub(super) fn watch(cancel: &Cancel) {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
    // With a handler a write over the limit is an error that can be told; the
    // default is to die.
    let _ = signal_hook::flag::register(SIGXFSZ, std::sync::Arc::default());
    let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP]) else {
        return;
    };
    let cancel = cancel.clone();
    std::thread::spawn(move || {
        for signal in signals.forever() {
            let why = if signal == SIGINT {
                Cancelled::Interrupt
            } else {
                Cancelled::Terminate
            };
            if cancel.get().is_some() {
                signal_hook::low_level::exit(128 + signal);
            }
            cancel.set(why);
        }
    });
}

#[cfg(not(unix))]
pub(super) fn watch(_cancel: &Cancel) {}
