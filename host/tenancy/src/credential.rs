//! Keys and who holds them.
//!
//! A key is compared by its SHA-256, in constant time and with every configured key, so that
//! neither the time nor the answer says how much of a guess was right. A slow password hash is not
//! needed: keys are made of 32 random bytes, not chosen by people.

use auricle_speech::TenantId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::TenancyError;

/// The keys, as typed in the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CredentialConfig {
    /// Who may come in. Empty: no key is asked for and everything belongs to tenant `default`.
    pub keys: Vec<KeyConfig>,
}

/// One key, as typed in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyConfig {
    /// Who holds the key. A tenant may hold several, for instance while one is replaced.
    pub tenant: String,
    /// SHA-256 of the key, 64 hexadecimal digits.
    pub sha256: String,
}

/// Who may come in, and as whom.
#[derive(Clone)]
pub struct Credentials {
    /// Empty: no key is asked for.
    keys: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    tenant: TenantId,
    sha256: [u8; 32],
}

impl Credentials {
    /// No key is asked for; everything belongs to tenant `default`.
    #[must_use]
    pub fn open() -> Self {
        Self { keys: Vec::new() }
    }

    /// Checks and takes over the keys of the configuration.
    ///
    /// # Errors
    /// [`TenancyError`] naming the first entry that cannot be used.
    pub fn new(config: &CredentialConfig) -> Result<Self, TenancyError> {
        let mut keys: Vec<Key> = Vec::with_capacity(config.keys.len());
        for (index, entry) in config.keys.iter().enumerate() {
            let number = index + 1;
            let tenant = TenantId::new(&entry.tenant)
                .map_err(|source| TenancyError::Tenant { number, source })?;
            let sha256 = parse_sha256(&entry.sha256).ok_or(TenancyError::Digest { number })?;
            if keys.iter().any(|key| key.sha256 == sha256) {
                return Err(TenancyError::Duplicate { number });
            }
            keys.push(Key { tenant, sha256 });
        }
        Ok(Self { keys })
    }

    /// Whether a request must carry a key.
    #[must_use]
    pub fn asks_for_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Whose request it is, by the value of its `Authorization` header.
    ///
    /// # Errors
    /// [`Unauthorized`] when keys are configured and the header holds none of them.
    pub fn resolve(&self, authorization: Option<&[u8]>) -> Result<TenantId, Unauthorized> {
        if !self.asks_for_keys() {
            return Ok(TenantId::default_tenant());
        }
        let header = authorization.ok_or(Unauthorized::Missing)?;
        let secret = bearer(header).ok_or(Unauthorized::Missing)?;
        let digest: [u8; 32] = Sha256::digest(secret).into();
        let mut found = 0_u64;
        for (index, key) in self.keys.iter().enumerate() {
            let equal: Choice = key.sha256.ct_eq(&digest);
            found.conditional_assign(&(index as u64 + 1), equal);
        }
        let index = usize::try_from(found).ok().and_then(|n| n.checked_sub(1));
        index
            .and_then(|index| self.keys.get(index))
            .map(|key| key.tenant.clone())
            .ok_or(Unauthorized::Wrong)
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("keys", &self.keys.len())
            .finish()
    }
}

/// Why a request was not let in. Both are answered with 401.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unauthorized {
    /// There is no key in the request.
    #[error("no key was sent: send it as 'Authorization: Bearer KEY'")]
    Missing,
    /// The key is not one of ours.
    #[error("the key is not valid here: check it, or ask whoever runs this server for one")]
    Wrong,
}

/// The key in `Bearer KEY`; the scheme's name may be in any case (RFC 9110, 11.1).
fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = header.split_at_checked("Bearer ".len())?;
    let secret = rest.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"Bearer ") && !secret.is_empty()).then_some(secret)
}

fn parse_sha256(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let mut value = 0;
        for digit in pair {
            value = value * 16 + char::from(*digit).to_digit(16)?;
        }
        *byte = u8::try_from(value).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "tests"
    )]

    use super::*;

    /// SHA-256 of "abc" (FIPS 180-4, example) and of the empty string.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn key(tenant: &str, sha256: &str) -> KeyConfig {
        KeyConfig {
            tenant: tenant.into(),
            sha256: sha256.into(),
        }
    }

    fn credentials(keys: Vec<KeyConfig>) -> Result<Credentials, TenancyError> {
        Credentials::new(&CredentialConfig { keys })
    }

    #[test]
    fn without_keys_everything_belongs_to_the_default_tenant() {
        let open = Credentials::open();
        assert!(!open.asks_for_keys());
        for header in [None, Some(&b"Bearer anything"[..]), Some(b"")] {
            assert_eq!(open.resolve(header), Ok(TenantId::default_tenant()));
        }
    }

    #[test]
    fn a_key_leads_to_its_tenant() {
        let other = "0".repeat(64);
        let keys = credentials(vec![key("other", &other), key("acme", &ABC.to_uppercase())]);
        let keys = keys.unwrap();
        for header in ["Bearer abc", "bearer abc", "BEARER   abc "] {
            let tenant = keys.resolve(Some(header.as_bytes())).unwrap();
            assert_eq!(tenant.as_str(), "acme", "{header}");
        }
    }

    #[test]
    fn no_key_and_a_wrong_key_are_refused() {
        let keys = credentials(vec![key("acme", ABC), key("empty", EMPTY)]).unwrap();
        assert_eq!(keys.resolve(None), Err(Unauthorized::Missing));
        for header in ["", "Bearer", "Bearer ", "Basic abc", "abc"] {
            let refused = keys.resolve(Some(header.as_bytes()));
            assert_eq!(refused, Err(Unauthorized::Missing), "{header}");
        }
        for header in ["Bearer abd", "Bearer abc abc", "Bearer \u{e4}"] {
            let refused = keys.resolve(Some(header.as_bytes()));
            assert_eq!(refused, Err(Unauthorized::Wrong), "{header}");
        }
    }

    #[test]
    fn an_unusable_entry_is_named_by_its_number() {
        let good = key("acme", ABC);
        for digest in [
            "",
            "abc",
            &ABC[1..],
            &ABC.replace('b', "g"),
            &"ä".repeat(32),
        ] {
            let error = credentials(vec![good.clone(), key("b", digest)]).unwrap_err();
            assert!(matches!(error, TenancyError::Digest { number: 2 }));
        }
        let error = credentials(vec![key("Not A Tenant", ABC)]).unwrap_err();
        assert!(matches!(error, TenancyError::Tenant { number: 1, .. }));
        let error = credentials(vec![good.clone(), good]).unwrap_err();
        assert!(matches!(error, TenancyError::Duplicate { number: 2 }));
    }

    #[test]
    fn a_key_is_never_printed() {
        let keys = credentials(vec![key("acme", ABC)]).unwrap();
        let text = format!("{keys:?}");
        assert!(!text.contains("ba78") && !text.contains("186"), "{text}");
    }
}
