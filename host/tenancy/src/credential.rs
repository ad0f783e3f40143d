//! Keys in the configuration and who holds them.
//!
//! They have scope `transcribe`, no public name and no end but the configuration's. Such a key is
//! compared by its SHA-256, in constant time and with every one that is configured, so that neither
//! the time nor the answer says how much of a guess was right.

use auricle_speech::TenantId;
use serde::{Deserialize, Serialize};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::TenancyError;
use crate::key::digest;
use crate::throttle::ThrottleConfig;

/// The keys, as typed in the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CredentialConfig {
    /// Who may come in, beside the holders of keys in the store. Without any key, none is asked for
    /// and everything belongs to tenant `default`.
    pub keys: Vec<KeyConfig>,
    /// Ask for keys although there is none yet. Default `false`.
    pub required: bool,
    /// How many failed attempts are answered.
    pub throttle: ThrottleConfig,
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

/// The keys of the configuration.
#[derive(Clone)]
pub struct Credentials {
    keys: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    tenant: TenantId,
    sha256: [u8; 32],
}

impl Credentials {
    /// No keys.
    #[must_use]
    pub fn none() -> Self {
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

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The position (from 1) of the key `secret` and who holds it, if it is configured.
    pub(crate) fn find(&self, secret: &[u8]) -> Option<(usize, TenantId)> {
        let digest = digest(secret);
        let mut found = 0_u64;
        for (index, key) in self.keys.iter().enumerate() {
            let equal: Choice = key.sha256.ct_eq(&digest);
            found.conditional_assign(&(index as u64 + 1), equal);
        }
        let number = usize::try_from(found).ok()?;
        let key = self.keys.get(number.checked_sub(1)?)?;
        Some((number, key.tenant.clone()))
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("keys", &self.keys.len())
            .finish()
    }
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
    use crate::{Denied, Quotas, Tenancy};

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
        Credentials::new(&CredentialConfig {
            keys,
            ..CredentialConfig::default()
        })
    }

    fn tenancy(keys: Vec<KeyConfig>) -> std::sync::Arc<Tenancy> {
        let config = CredentialConfig {
            keys,
            ..CredentialConfig::default()
        };
        Tenancy::new(&config, None, Quotas::default()).unwrap()
    }

    fn admit(tenancy: &Tenancy, header: Option<&[u8]>) -> Result<String, Denied> {
        let source = std::net::Ipv4Addr::LOCALHOST.into();
        let access = tenancy.admit(header, source)?;
        Ok(access.tenant.as_str().to_owned())
    }

    #[test]
    fn without_keys_everything_belongs_to_the_default_tenant() {
        let open = Tenancy::open();
        assert!(!open.asks_for_keys());
        for header in [None, Some(&b"Bearer anything"[..]), Some(b"")] {
            assert_eq!(admit(&open, header), Ok("default".to_owned()));
        }
    }

    #[test]
    fn a_key_leads_to_its_tenant() {
        let other = "0".repeat(64);
        let keys = tenancy(vec![key("other", &other), key("acme", &ABC.to_uppercase())]);
        for header in ["Bearer abc", "bearer abc", "BEARER   abc "] {
            let tenant = admit(&keys, Some(header.as_bytes())).unwrap();
            assert_eq!(tenant, "acme", "{header}");
        }
    }

    #[test]
    fn no_key_and_a_wrong_key_are_refused() {
        let keys = tenancy(vec![key("acme", ABC), key("empty", EMPTY)]);
        assert_eq!(admit(&keys, None), Err(Denied::Missing));
        for header in ["", "Bearer", "Bearer ", "Basic abc", "abc"] {
            let refused = admit(&keys, Some(header.as_bytes()));
            assert_eq!(refused, Err(Denied::Missing), "{header}");
        }
        for header in ["Bearer abd", "Bearer abc abc", "Bearer \u{e4}"] {
            let refused = admit(&keys, Some(header.as_bytes()));
            assert_eq!(refused, Err(Denied::Wrong), "{header}");
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
