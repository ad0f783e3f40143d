//! The settings of the deployment that this component runs in.

use std::fmt::Display;
use std::str::FromStr;

pub use crate::bindings::auricle::runtime::configuration::get;

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("configuration '{key}' is '{value}': {reason}")]
pub struct ConfigError {
    /// The setting's name.
    pub key: String,
    /// Its value.
    pub value: String,
    /// What is wrong with it, or what it may be.
    pub reason: String,
}

/// The setting `key` as a `T`; `default` when the deployment does not set it.
///
/// # Errors
/// [`ConfigError`] when the value is not a `T`.
pub fn parse_or<T>(key: &str, default: T) -> Result<T, ConfigError>
where
    T: FromStr,
    T::Err: Display,
{
    parse(key).map(|value| value.unwrap_or(default))
}

/// The setting `key` as a `T`, when the deployment sets it.
///
/// # Errors
/// [`ConfigError`] when the value is not a `T`.
pub fn parse<T>(key: &str) -> Result<Option<T>, ConfigError>
where
    T: FromStr,
    T::Err: Display,
{
    get(key).map(|value| read(key, value)).transpose()
}

fn read<T>(key: &str, value: String) -> Result<T, ConfigError>
where
    T: FromStr,
    T::Err: Display,
{
    value.trim().parse().map_err(|e: T::Err| ConfigError {
        key: key.to_owned(),
        reason: e.to_string(),
        value,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_bad_value_is_named_with_its_key() {
        let error = read::<u32>("max-secs", "ten".to_owned()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "configuration 'max-secs' is 'ten': invalid digit found in string"
        );
        assert_eq!(read::<f64>("max-secs", " 2.5 ".to_owned()).unwrap(), 2.5);
    }
}
