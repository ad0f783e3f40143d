//! The tenant's name.

use std::sync::Arc;

/// Name of a tenant: who is isolated from whom, and who pays.
///
/// 1 to 64 characters of `a-z`, `0-9`, `-` and `_`, beginning with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(Arc<str>);

impl TenantId {
    /// Longest name, in bytes.
    pub const MAX_LEN: usize = 64;

    /// Checks and takes over a name.
    ///
    /// # Errors
    /// [`InvalidTenantId`] when the name is empty, too long or has another character.
    pub fn new(name: &str) -> Result<Self, InvalidTenantId> {
        let valid = name.len() <= Self::MAX_LEN
            && name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && name
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'));
        if valid {
            Ok(Self(name.into()))
        } else {
            Err(InvalidTenantId(name.to_owned()))
        }
    }

    /// The tenant that everything belongs to when no key is asked for.
    #[must_use]
    pub fn default_tenant() -> Self {
        Self("default".into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for TenantId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name that no tenant can have.
#[derive(Debug, thiserror::Error)]
#[error(
    "'{0}' cannot name a tenant: use 1 to 64 of a-z, 0-9, '-' and '_', beginning with a letter or digit"
)]
pub struct InvalidTenantId(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_other_characters_are_refused() {
        for name in ["", "-a", "A", "a/b", "a b", "ä", &"a".repeat(65)] {
            assert!(TenantId::new(name).is_err(), "{name}");
        }
        assert!(TenantId::new("acme-2_eu").is_ok());
    }
}
