//! How urgent a client says that its request is.
//!
//! A client may only step back: nothing that it sends makes a plain request live. Two headers say
//! `batch`: `x-auricle-class: batch`, and `priority: u=7` (RFC 9218, where 7 is for what happens in
//! the background and nobody waits for).

use auricle_speech::RequestClass;
use http::HeaderMap;

/// The urgency that RFC 9218 (4.1) keeps for work in the background.
const BACKGROUND: &str = "7";

/// The class of a request with these headers.
pub(crate) fn of(headers: &HeaderMap) -> RequestClass {
    let own = headers.get("x-auricle-class");
    if own.is_some_and(|value| value == "batch") || urgency(headers) == Some(BACKGROUND) {
        return RequestClass::Batch;
    }
    RequestClass::Interactive
}

/// The parameter `u` of the header `priority`; of several the last one counts (RFC 9651, 4.2.2).
fn urgency(headers: &HeaderMap) -> Option<&str> {
    let values = headers.get_all("priority").into_iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    let members = texts.flat_map(|text| text.split(','));
    let mut urgencies = members.filter_map(|member| member.trim().strip_prefix("u="));
    // A member may have parameters of its own.
    let last = urgencies.next_back();
    last.map(|value| value.split(';').next().unwrap_or(value).trim())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn class(lines: &[(&'static str, &str)]) -> RequestClass {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        of(&headers)
    }

    #[test]
    fn a_request_is_interactive_unless_its_client_steps_back() {
        for lines in [
            &[][..],
            &[("x-auricle-class", "live")],
            &[("x-auricle-class", "Batch")],
            &[("priority", "u=1, i")],
            &[("priority", "u=70")],
            &[("priority", "u=7, u=3")],
            &[("priority", "u=7"), ("priority", "u=0")],
            &[("priority", "xu=7")],
        ] {
            assert_eq!(class(lines), RequestClass::Interactive, "{lines:?}");
        }
        for lines in [
            &[("x-auricle-class", "batch")][..],
            &[("priority", "u=7")],
            &[("priority", "i, u=7")],
            &[("priority", "u=7;x=1")],
            &[("priority", "u=3"), ("priority", "u=7, i")],
        ] {
            assert_eq!(class(lines), RequestClass::Batch, "{lines:?}");
        }
    }
}
