//! whisper.cpp's and ggml's log lines, handed to `tracing` under the target `whisper.cpp`.
//!
//! Their levels are not ours: what they call "info" is a table of tensor sizes at every load, so
//! it becomes `trace`. An "error" that only repeats a result code we already return becomes
//! `debug`: a cancelled request would else look like a fault.

use std::ffi::{CStr, c_char, c_void};
use std::sync::Once;

use whisper_rs::GGMLLogLevel;

/// Routes the log lines of both libraries. Takes effect once.
#[allow(unsafe_code, reason = "the C library takes a C callback")]
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    // SAFETY: `receive` does not unwind (tracing's subscribers are the host's own and do not
    // panic), keeps no pointer, and needs no user data. whisper_log_set passes it on to ggml.
    ONCE.call_once(|| unsafe {
        whisper_rs::set_log_callback(Some(receive), std::ptr::null_mut());
    });
}

/// The callback.
#[allow(unsafe_code, reason = "reads a C string")]
unsafe extern "C" fn receive(level: u32, text: *const c_char, _user_data: *mut c_void) {
    if text.is_null() {
        return;
    }
    // SAFETY: the library passes a NUL-terminated string that lives for the duration of the call.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    let text = text.trim_end();
    if text.is_empty() {
        return;
    }
    match GGMLLogLevel::from(level) {
        GGMLLogLevel::Error if !repeats_a_result_code(text) => {
            tracing::warn!(target: "whisper.cpp", "{text}");
        }
        GGMLLogLevel::Error | GGMLLogLevel::Warn => {
            tracing::debug!(target: "whisper.cpp", "{text}");
        }
        _ => tracing::trace!(target: "whisper.cpp", "{text}"),
    }
}

/// Lines that whisper.cpp writes whenever `whisper_full` returns a non-zero code.
fn repeats_a_result_code(text: &str) -> bool {
    ["failed to encode", "failed to decode", "failed to eval"]
        .iter()
        .any(|end| text.ends_with(end))
        || text.contains("encoder_begin_callback returned false")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cancelled_call_is_not_logged_as_a_fault() {
        assert!(repeats_a_result_code(
            "whisper_full_with_state: failed to encode"
        ));
        assert!(!repeats_a_result_code(
            "whisper_model_load: tensor 'x' has wrong size in model file"
        ));
    }
}
