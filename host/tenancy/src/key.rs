//! What a key looks like and what it may do.
//!
//! `sk-k3v9x2ab-` and 64 hexadecimal digits. The eight characters are the key's public name: they are
//! shown, logged and looked up by. The digits are 32 random bytes. Of the whole text only the SHA-256
//! is kept: a slow password hash is not needed for what nobody chose or remembers.

use std::collections::BTreeSet;

use auricle_speech::TenantId;
use rustix::rand::{GetRandomFlags, getrandom};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What every key of ours begins with; scanners for leaked secrets know it.
const PREFIX: &str = "sk-";

/// Characters of a key's public name: digits and letters that are not taken for each other.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Characters of a key's public name: 40 bits.
const ID_LEN: usize = 8;

/// Bytes of randomness in a key.
const SECRET_BYTES: usize = 32;

/// Public name of a key: 8 characters. Proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId(String);

impl KeyId {
    /// Takes over a name that could be a key's.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let valid = text.len() == ID_LEN && text.bytes().all(|b| ALPHABET.contains(&b));
        valid.then(|| Self(text.to_owned()))
    }

    /// The name that a key, as it was sent, says it has.
    #[must_use]
    pub fn of_key(key: &[u8]) -> Option<Self> {
        let rest = std::str::from_utf8(key).ok()?.strip_prefix(PREFIX)?;
        let (id, _) = rest.split_once('-')?;
        Self::parse(id)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for KeyId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("a key's id has 8 characters, as in sk-ID-…")
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.0
    }
}

/// A class of things that a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Use the API: transcribe, detect languages, list models.
    Transcribe,
    /// Change the tenant's own deployments.
    Deploy,
    /// Administer the server. Stands alone: such a key belongs to no tenant and opens nothing else.
    Admin,
}

impl Scope {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transcribe => "transcribe",
            Self::Deploy => "deploy",
            Self::Admin => "admin",
        }
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A key as it is kept and shown: everything but the secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Public name.
    pub id: KeyId,
    /// Who holds it; nobody for a key with scope `admin`.
    pub tenant: Option<TenantName>,
    /// What people call it; may be empty.
    pub name: String,
    /// What it may do; not empty.
    pub scopes: BTreeSet<Scope>,
    /// Unix time, in seconds.
    pub created_at: u64,
    /// Unix time, in seconds, from which on it opens nothing.
    pub expires_at: Option<u64>,
    /// Unix time, in seconds, at which it was revoked.
    pub revoked_at: Option<u64>,
    /// Unix time, in seconds, of a use; written down at most every 5 minutes.
    pub last_used_at: Option<u64>,
    /// The key that took its place.
    pub replaced_by: Option<KeyId>,
}

impl Key {
    /// Whether it opens anything at `now`, as far as time decides.
    #[must_use]
    pub fn is_live(&self, now: u64) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|at| now < at)
    }
}

/// A tenant's name in what is written and read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantName(pub TenantId);

impl TryFrom<String> for TenantName {
    type Error = auricle_speech::tenant::InvalidTenantId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        TenantId::new(&text).map(Self)
    }
}

impl From<TenantName> for String {
    fn from(name: TenantName) -> Self {
        name.0.as_str().to_owned()
    }
}

/// A key that has just been made. The only place where its text is; it is not printed by `{:?}`.
pub struct FreshKey {
    /// Public name.
    pub id: KeyId,
    /// The whole key, for whoever asked for it.
    pub text: String,
    /// What is kept of it.
    pub sha256: [u8; 32],
}

impl FreshKey {
    /// Makes a key from the system's randomness.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn generate() -> std::io::Result<Self> {
        let id: String = random::<ID_LEN>()?
            .iter()
            .filter_map(|byte| ALPHABET.get(usize::from(byte % 32)))
            .map(|symbol| char::from(*symbol))
            .collect();
        let mut text = format!("{PREFIX}{id}-");
        text.push_str(&hex::encode(random::<SECRET_BYTES>()?));
        Ok(Self {
            id: KeyId(id),
            sha256: digest(text.as_bytes()),
            text,
        })
    }
}

impl std::fmt::Debug for FreshKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FreshKey").field("id", &self.id).finish()
    }
}

/// What is kept of a key.
pub(crate) fn digest(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        filled += getrandom(rest, GetRandomFlags::empty())?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_fresh_key_tells_its_name_and_is_like_no_other() {
        let keys: BTreeSet<String> = (0..100)
            .map(|_| FreshKey::generate().unwrap())
            .inspect(|key| {
                assert_eq!(KeyId::of_key(key.text.as_bytes()).as_ref(), Some(&key.id));
                assert_eq!(key.text.len(), 3 + 8 + 1 + 64);
                assert_eq!(key.sha256, digest(key.text.as_bytes()));
                assert!(!format!("{key:?}").contains(&key.text));
            })
            .map(|key| key.text)
            .collect();
        assert_eq!(keys.len(), 100);
    }

    #[test]
    fn only_a_key_of_ours_has_a_name() {
        for text in [
            "",
            "sk-",
            "sk-short-x",
            "sk-k3v9x2ab",
            "sk-K3V9X2AB-x",
            "pk-k3v9x2ab-x",
        ] {
            assert_eq!(KeyId::of_key(text.as_bytes()), None, "{text}");
        }
        assert_eq!(KeyId::of_key(b"sk-k3v9x2ab-\xff"), None);
        assert!(KeyId::of_key(b"sk-k3v9x2ab-anything").is_some());
    }

    #[test]
    fn a_key_lives_until_it_expires_or_is_revoked() {
        let mut key = Key {
            id: KeyId::parse("k3v9x2ab").unwrap(),
            tenant: None,
            name: String::new(),
            scopes: BTreeSet::from([Scope::Admin]),
            created_at: 10,
            expires_at: Some(20),
            revoked_at: None,
            last_used_at: None,
            replaced_by: None,
        };
        assert!(key.is_live(19) && !key.is_live(20));
        key.revoked_at = Some(11);
        assert!(!key.is_live(12));
    }
}
