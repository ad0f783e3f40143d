//! Lines for the operator's log.
//!
//! The host labels each line with the tenant and the component, cuts it at 4,096 bytes, and leaves
//! out what an instance writes after its 1,000th line.

pub use crate::bindings::auricle::runtime::log::{Level, write};
use std::sync::Once;

pub use crate::{debug, error, info, warn};

/// Has the message of every later panic written to the log; without it the operator learns only where
/// the component failed. Call it first in every exported function: the second call costs nothing.
pub fn panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        std::panic::set_hook(Box::new(|panic| write(Level::Error, &panic.to_string())));
    });
}

/// Writes a line about something that failed and cost a request.
#[macro_export]
macro_rules! error {
    ($($arg:tt)*) => { $crate::log::write($crate::log::Level::Error, &::std::format!($($arg)*)) };
}

/// Writes a line about something that is wrong and was worked around.
#[macro_export]
macro_rules! warn {
    ($($arg:tt)*) => { $crate::log::write($crate::log::Level::Warn, &::std::format!($($arg)*)) };
}

/// Writes a line about normal work.
#[macro_export]
macro_rules! info {
    ($($arg:tt)*) => { $crate::log::write($crate::log::Level::Info, &::std::format!($($arg)*)) };
}

/// Writes a line for whoever is looking for a fault; off by default.
#[macro_export]
macro_rules! debug {
    ($($arg:tt)*) => { $crate::log::write($crate::log::Level::Debug, &::std::format!($($arg)*)) };
}
