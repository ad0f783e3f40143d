//! Failed attempts with keys are counted, and too many are told to stop.
//!
//! By source address (of IPv6 the /64, which is what one customer gets) and by the public name of an
//! existing key. Only failures are counted and only failures are refused: a right key is let in
//! whatever others did, even from the same address. Guessing is hopeless (256 bits) at any speed;
//! what the throttle keeps small is the work and the log that guessing makes.
//!
//! # Limits
//! Behind a proxy everybody has the proxy's address. Who has more addresses than are remembered
//! gets some failures more.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::bucket::Bucket;
use crate::key::KeyId;

/// How many failed attempts are answered before they are refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ThrottleConfig {
    /// Failures from one address, or with one key's name, within `window_secs` that are answered
    /// 401; more are answered 429. Default 20.
    pub max_failures: u32,
    /// Default 60.
    pub window_secs: u32,
    /// Addresses and names that are remembered at once; about 100 bytes each. Default 10,000.
    pub max_tracked: usize,
}

impl Default for ThrottleConfig {
    fn default() -> Self {
        Self {
            max_failures: 20,
            window_secs: 60,
            max_tracked: 10_000,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Culprit {
    Address(IpAddr),
    Key(KeyId),
}

/// Counts failures.
#[derive(Debug)]
pub(crate) struct Throttle {
    config: ThrottleConfig,
    failures: Mutex<HashMap<Culprit, Bucket>>,
}

impl Throttle {
    pub(crate) fn new(config: ThrottleConfig) -> Self {
        Self {
            config,
            failures: Mutex::default(),
        }
    }

    /// Counts a failure; says how long to wait when there were too many already.
    pub(crate) fn failed(
        &self,
        source: IpAddr,
        key: Option<&KeyId>,
        now: Instant,
    ) -> Option<Duration> {
        let address = Some(Culprit::Address(network(source)));
        let culprits = address
            .into_iter()
            .chain(key.map(|id| Culprit::Key(id.clone())));
        let (size, window) = (
            self.config.max_failures,
            Duration::from_secs(self.config.window_secs.into()),
        );
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = culprits.filter_map(|culprit| {
            self.make_room(&mut failures, &culprit, now);
            let bucket = failures.entry(culprit).or_insert_with(|| Bucket::new(now));
            bucket.take(1.0, size, window, now).err()
        });
        waits.max()
    }

    /// Forgets those who have been quiet for long, or somebody, when there are too many.
    fn make_room(&self, failures: &mut HashMap<Culprit, Bucket>, new: &Culprit, now: Instant) {
        if failures.len() < self.config.max_tracked || failures.contains_key(new) {
            return;
        }
        let window = Duration::from_secs(self.config.window_secs.into());
        failures.retain(|_, bucket| !bucket.is_full(self.config.max_failures, window, now));
        // Half at once, so that this is not done for every one of a flood of addresses.
        let excess = failures.len().saturating_sub(self.config.max_tracked / 2);
        let anybody: Vec<_> = failures.keys().take(excess).cloned().collect();
        for culprit in anybody {
            failures.remove(&culprit);
        }
    }
}

/// What belongs to one sender: an IPv4 address, the first half of an IPv6 one.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let first_half = u128::from(v6) & (u128::MAX << 64);
            IpAddr::V6(first_half.into())
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::net::Ipv4Addr;

    use super::*;

    fn throttle() -> Throttle {
        Throttle::new(ThrottleConfig {
            max_failures: 3,
            window_secs: 30,
            max_tracked: 10,
        })
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_told_to_wait_after_its_failures_and_another_is_not() {
        let (throttle, begin) = (throttle(), Instant::now());
        for _ in 0..3 {
            assert_eq!(throttle.failed(address("192.0.2.1"), None, begin), None);
        }
        let wait = throttle.failed(address("192.0.2.1"), None, begin).unwrap();
        assert!((9.9..=10.0).contains(&wait.as_secs_f64()), "{wait:?}");
        assert_eq!(throttle.failed(address("192.0.2.2"), None, begin), None);
        let later = begin + wait;
        assert_eq!(throttle.failed(address("192.0.2.1"), None, later), None);
    }

    #[test]
    fn a_keys_name_is_protected_from_many_addresses() {
        let (throttle, now) = (throttle(), Instant::now());
        let key = KeyId::parse("k3v9x2ab").unwrap();
        let waits = (0..6).map(|n| throttle.failed(Ipv4Addr::from(n).into(), Some(&key), now));
        assert_eq!(waits.filter(Option::is_some).count(), 3);
    }

    #[test]
    fn addresses_of_one_customer_count_together() {
        let (throttle, now) = (throttle(), Instant::now());
        let waits = (0..6).map(|n| throttle.failed(address(&format!("2001:db8::{n}")), None, now));
        assert_eq!(waits.filter(Option::is_some).count(), 3);
        let mapped = address("::ffff:192.0.2.1");
        assert_eq!(network(mapped), address("192.0.2.1"));
    }

    #[test]
    fn a_flood_of_addresses_is_forgotten_in_time() {
        let (throttle, now) = (throttle(), Instant::now());
        for n in 0..10_000 {
            throttle.failed(Ipv4Addr::from(n).into(), None, now);
        }
        assert!(throttle.failures.lock().unwrap().len() <= 10);
    }
}
