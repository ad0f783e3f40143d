//! The name of a request.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::secrets::Secrets;

/// Header that carries a request's name both ways.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Name of a request: 1 to 128 characters of `A-Z a-z 0-9 . _ : -`, by the client's choice or 16
/// hexadecimal digits of ours. A label for logs: it proves nothing and need not be unique.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// Longest name, in bytes.
    pub const MAX_LEN: usize = 128;

    /// Takes the client's name if it is usable and no credential, or else makes one.
    pub(crate) fn of(headers: &HeaderMap, secrets: &Secrets) -> Self {
        headers
            .get(X_REQUEST_ID)
            .and_then(|value| value.to_str().ok())
            .filter(|text| !secrets.occur_in(text))
            .and_then(Self::checked)
            .unwrap_or_else(Self::generate)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn header_value(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }

    fn checked(text: &str) -> Option<Self> {
        let safe = |b: u8| b.is_ascii_alphanumeric() || b"._:-".contains(&b);
        let valid = (1..=Self::MAX_LEN).contains(&text.len()) && text.bytes().all(safe);
        valid.then(|| Self(text.into()))
    }

    /// Counts from a random start and mixes the count (SplitMix64's finaliser, a bijection), so
    /// that no two names of one process are equal. The start comes from the standard library's
    /// randomly keyed hasher: enough for a label, and no crate more.
    fn generate() -> Self {
        static START: OnceLock<u64> = OnceLock::new();
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let start = *START.get_or_init(|| RandomState::new().build_hasher().finish());
        let mut x = start.wrapping_add(
            COUNT
                .fetch_add(1, Ordering::Relaxed)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15),
        );
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^= x >> 31;
        Self(format!("{x:016x}").into())
    }
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_are_distinct_and_usable() {
        let names: std::collections::HashSet<_> =
            (0..1000).map(|_| RequestId::generate()).collect();
        assert_eq!(names.len(), 1000);
        for name in &names {
            assert_eq!(name.as_str().len(), 16);
            assert!(RequestId::checked(name.as_str()).is_some());
        }
    }

    #[test]
    fn a_name_that_could_break_a_log_is_replaced() {
        for bad in ["", "a b", "a\"b", "a\tb", "<x>", &"a".repeat(129)] {
            assert!(RequestId::checked(bad).is_none(), "{bad}");
        }
        assert!(RequestId::checked(&"a".repeat(128)).is_some());
        assert!(RequestId::checked("req_7:a.b-C").is_some());
    }
}
