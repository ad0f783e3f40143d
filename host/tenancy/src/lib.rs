//! Tenants and how they prove who they are.
//!
//! Owns the keys' digests (never the keys) and the rule that a server without keys listens on
//! loopback only. [`Credentials`] is built once from configuration and lives as long as the
//! server; a change of keys is a restart. It refuses without saying which part was wrong, so that
//! an answer tells nobody whether a key or a tenant exists.
//!
//! # Layout
//! - [`credential`]: keys and who holds them.
//! - [`exposure`]: which addresses may be listened on without keys.
//!
//! # Limits
//! Failed attempts are not throttled and keys have neither scope nor expiry.

pub mod credential;
pub mod exposure;

pub use credential::{CredentialConfig, Credentials, KeyConfig, Unauthorized};
pub use exposure::check_exposure;

use std::net::SocketAddr;

use auricle_speech::tenant::InvalidTenantId;

/// Why keys or addresses in the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TenancyError {
    /// A key is written down for a name that no tenant can have.
    #[error("key {number} of the configuration has no usable tenant")]
    Tenant {
        /// Position of the key in the configuration, from 1.
        number: usize,
        /// What is wrong with the name.
        #[source]
        source: InvalidTenantId,
    },
    /// A key's digest is not 64 hexadecimal digits.
    #[error(
        "key {number} of the configuration has no usable sha256: write the 64 hexadecimal digits of the key's SHA-256, not the key"
    )]
    Digest {
        /// Position of the key in the configuration, from 1.
        number: usize,
    },
    /// Two entries have one digest.
    #[error("key {number} of the configuration is there twice: give every entry a key of its own")]
    Duplicate {
        /// Position of the later one, from 1.
        number: usize,
    },
    /// Whoever reaches this address could use the server.
    #[error(
        "{address} can be reached from other machines and no key is configured: add a key, listen on 127.0.0.1, or set insecure to serve everybody"
    )]
    Exposed {
        /// The address.
        address: SocketAddr,
    },
}
