//! What is left of a tenant's minute, in headers as OpenAI's API has them.
//!
//! `requests` are requests; `tokens` are seconds of audio. `device-secs`, which OpenAI does not have,
//! are seconds of measured device time.
//! A quota that is not set has no header.

use std::time::Duration;

use auricle_tenancy::{Flowing, Standing};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Names of one quota's headers.
struct Names {
    limit: HeaderName,
    remaining: HeaderName,
    reset: HeaderName,
}

const REQUESTS: Names = Names {
    limit: HeaderName::from_static("x-ratelimit-limit-requests"),
    remaining: HeaderName::from_static("x-ratelimit-remaining-requests"),
    reset: HeaderName::from_static("x-ratelimit-reset-requests"),
};

const TOKENS: Names = Names {
    limit: HeaderName::from_static("x-ratelimit-limit-tokens"),
    remaining: HeaderName::from_static("x-ratelimit-remaining-tokens"),
    reset: HeaderName::from_static("x-ratelimit-reset-tokens"),
};

const DEVICE: Names = Names {
    limit: HeaderName::from_static("x-ratelimit-limit-device-secs"),
    remaining: HeaderName::from_static("x-ratelimit-remaining-device-secs"),
    reset: HeaderName::from_static("x-ratelimit-reset-device-secs"),
};

/// Puts the headers into an answer.
pub(crate) fn mark(headers: &mut HeaderMap, flowing: &Flowing) {
    for (names, standing) in [
        (REQUESTS, flowing.requests),
        (TOKENS, flowing.audio_secs),
        (DEVICE, flowing.device_secs),
    ] {
        let Some(Standing {
            limit,
            remaining,
            reset,
        }) = standing
        else {
            continue;
        };
        headers.insert(names.limit, limit.into());
        headers.insert(names.remaining, remaining.into());
        if let Ok(value) = HeaderValue::from_str(&duration(reset)) {
            headers.insert(names.reset, value);
        }
    }
}

/// A time as OpenAI writes it: `12ms`, `1.5s`, `6m0s`, `1h0m2s`. Rounded up to a millisecond.
fn duration(time: Duration) -> String {
    let millis = time.as_micros().div_ceil(1000);
    let (secs, rest) = (millis / 1000, millis % 1000);
    if secs == 0 {
        return format!("{rest}ms");
    }
    let mut fraction = String::new();
    if rest > 0 {
        fraction = format!(".{rest:03}").trim_end_matches('0').to_owned();
    }
    let (hours, minutes, secs) = (secs / 3600, secs / 60 % 60, secs % 60);
    match (hours, minutes) {
        (0, 0) => format!("{secs}{fraction}s"),
        (0, _) => format!("{minutes}m{secs}{fraction}s"),
        _ => format!("{hours}h{minutes}m{secs}{fraction}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_openai_writes_them() {
        for (millis, text) in [
            (0, "0ms"),
            (12, "12ms"),
            (1_000, "1s"),
            (1_500, "1.5s"),
            (7_066, "7.066s"),
            (360_000, "6m0s"),
            (3_602_000, "1h0m2s"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
        assert_eq!(duration(Duration::from_micros(10)), "1ms");
    }
}
