//! Which addresses may be listened on without keys.

use std::net::SocketAddr;

use crate::{Tenancy, TenancyError};

/// Refuses to serve other machines when no key is asked for.
///
/// Loopback addresses (127.0.0.0/8, `::1`, and the former written as IPv6) are always allowed; all
/// others need keys, or `insecure`.
///
/// # Errors
/// [`TenancyError::Exposed`] with the first address that needs a key.
pub fn check_exposure(
    addrs: &[SocketAddr],
    tenancy: &Tenancy,
    insecure: bool,
) -> Result<(), TenancyError> {
    if insecure || tenancy.asks_for_keys() {
        return Ok(());
    }
    match addrs.iter().find(|a| !a.ip().to_canonical().is_loopback()) {
        Some(address) => Err(TenancyError::Exposed { address: *address }),
        None => Ok(()),
    }
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
    use crate::{CredentialConfig, KeyConfig, Quotas};

    fn addrs(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|a| a.parse().unwrap()).collect()
    }

    #[test]
    fn loopback_needs_no_key() {
        let loopback = addrs(&[
            "127.0.0.1:0",
            "127.1.2.3:80",
            "[::1]:0",
            "[::ffff:127.0.0.1]:0",
        ]);
        check_exposure(&loopback, &Tenancy::open(), false).unwrap();
    }

    #[test]
    fn an_address_others_can_reach_needs_a_key_or_insecure() {
        for open in [
            "0.0.0.0:8000",
            "[::]:8000",
            "192.168.1.2:1",
            "[::ffff:10.0.0.1]:1",
        ] {
            let addrs = addrs(&["127.0.0.1:0", open]);
            let error = check_exposure(&addrs, &Tenancy::open(), false).unwrap_err();
            assert!(error.to_string().starts_with(open), "{error}");
            check_exposure(&addrs, &Tenancy::open(), true).unwrap();
            let key = KeyConfig {
                tenant: "acme".into(),
                sha256: "ab".repeat(32),
            };
            let config = CredentialConfig {
                keys: vec![key],
                ..CredentialConfig::default()
            };
            let keys = Tenancy::new(&config, None, Quotas::default()).unwrap();
            check_exposure(&addrs, &keys, false).unwrap();
        }
    }
}
