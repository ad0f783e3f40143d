//! Who answers for a component.
//!
//! A signature is made apart from the component, by `auricle component sign`, over a statement that
//! names it: its digest, its role, a generation that only rises, and when it ends. It is ed25519 with
//! strict verification, which takes neither keys of small order nor two forms of one signature.
//! A tenant with signing keys deploys nothing that none of them has signed.

use auricle_tenancy::{ComponentDigest, Role, Signer, unix_now};
use ed25519_dalek::{SECRET_KEY_LENGTH, Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::DeployError;

/// What every signed message begins with, so that it can be taken for no other.
const CONTEXT: &str = "auricle component signature 1\n";

/// Hexadecimal digits of a key's id.
const ID_DIGITS: usize = 16;

/// What is signed. The order of the fields is part of the message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// The component.
    pub component: ComponentDigest,
    /// What it may be deployed as.
    pub role: Role,
    /// Rises with every release: a role that had a later one takes no earlier one.
    pub generation: u64,
    /// Unix time in seconds after which it is not deployed any more; running goes on.
    #[serde(default)]
    pub not_after: Option<u64>,
}

/// A statement and who made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedStatement {
    /// What is said.
    pub statement: Statement,
    /// Id of the key, see [`Signer::id`].
    pub key: String,
    /// 64 bytes in hexadecimal digits.
    pub signature: String,
}

impl SignedStatement {
    /// Signs a statement.
    #[must_use]
    pub fn sign(statement: Statement, key: &[u8; SECRET_KEY_LENGTH]) -> Self {
        let key = SigningKey::from_bytes(key);
        let signature = key.sign(&message(&statement));
        Self {
            statement,
            key: id(key.verifying_key().as_bytes()),
            signature: hex::encode(signature.to_bytes()),
        }
    }

    /// Whether this lets the component be deployed in `role` for a tenant with these signers, now.
    ///
    /// # Errors
    /// [`DeployError::Signature`] says what is wrong.
    pub fn check(
        &self,
        component: &ComponentDigest,
        role: Role,
        signers: &[Signer],
    ) -> Result<(), DeployError> {
        let refuse = |why: &str| Err(DeployError::Signature(why.to_owned()));
        let Some(signer) = signers.iter().find(|signer| signer.id == self.key) else {
            return refuse(
                "the component is signed with a key that may not sign here: sign it with another",
            );
        };
        if !self.is_authentic(signer) {
            return refuse("the signature does not fit what it says: sign the component again");
        }
        let said = &self.statement;
        if said.component != *component {
            return refuse("the signature is another component's: sign this one");
        }
        if said.role != role {
            return Err(DeployError::Signature(format!(
                "the component is signed for the role '{}': sign it for '{role}'",
                said.role
            )));
        }
        match said.not_after {
            Some(end) if end < unix_now() => {
                refuse("the signature has expired: sign the component again")
            }
            _ => Ok(()),
        }
    }

    fn is_authentic(&self, signer: &Signer) -> bool {
        let bytes = unhex::<64>(&self.signature);
        let key = unhex::<32>(&signer.public_key);
        let key = key.and_then(|key| VerifyingKey::from_bytes(&key).ok());
        let (Some(bytes), Some(key)) = (bytes, key) else {
            return false;
        };
        let signature = Signature::from_bytes(&bytes);
        key.verify_strict(&message(&self.statement), &signature)
            .is_ok()
    }
}

/// A signer by the hexadecimal digits of its public key.
///
/// # Errors
/// [`DeployError::Invalid`] when they are no key.
pub fn signer(public_key: &str) -> Result<Signer, DeployError> {
    let advice =
        "'public_key' must be the 64 hexadecimal digits that `auricle component keygen` printed";
    let bytes = unhex::<32>(public_key.trim());
    let valid =
        bytes.filter(|bytes| VerifyingKey::from_bytes(bytes).is_ok_and(|key| !key.is_weak()));
    let bytes = valid.ok_or_else(|| DeployError::invalid("public_key", advice))?;
    Ok(Signer {
        id: id(&bytes),
        public_key: hex::encode(bytes),
        created_at: unix_now(),
    })
}

/// The public key, in hexadecimal digits, of a secret one.
#[must_use]
pub fn public_key(secret: &[u8; SECRET_KEY_LENGTH]) -> String {
    hex::encode(SigningKey::from_bytes(secret).verifying_key().as_bytes())
}

/// 32 bytes of a secret key, from its hexadecimal digits.
#[must_use]
pub fn secret_key(digits: &str) -> Option<[u8; SECRET_KEY_LENGTH]> {
    unhex(digits.trim())
}

fn message(statement: &Statement) -> Vec<u8> {
    let mut message = CONTEXT.as_bytes().to_vec();
    message.extend(serde_json::json!(statement).to_string().into_bytes());
    message
}

fn id(public_key: &[u8]) -> String {
    let mut digits = hex::encode(Sha256::digest(public_key));
    digits.truncate(ID_DIGITS);
    digits
}

fn unhex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(digits, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const SECRET: [u8; 32] = [7; 32];

    fn statement() -> Statement {
        Statement {
            component: crate::blobs::digest(b"component"),
            role: Role::Chunker,
            generation: 3,
            not_after: None,
        }
    }

    fn refusal(signed: &SignedStatement, role: Role, signers: &[Signer]) -> String {
        let component = statement().component;
        signed
            .check(&component, role, signers)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn what_was_signed_is_taken_and_nothing_else() {
        let signers = [signer(&public_key(&SECRET)).unwrap()];
        let signed = SignedStatement::sign(statement(), &SECRET);
        let component = statement().component;
        signed.check(&component, Role::Chunker, &signers).unwrap();
        assert!(refusal(&signed, Role::Handler, &signers).contains("role 'chunker'"));
        assert!(refusal(&signed, Role::Chunker, &[]).contains("may not sign"));

        let mut later = signed.clone();
        later.statement.generation = 4;
        assert!(refusal(&later, Role::Chunker, &signers).contains("does not fit"));
        let mut broken = signed.clone();
        broken.signature.replace_range(0..2, "zz");
        assert!(refusal(&broken, Role::Chunker, &signers).contains("does not fit"));
        let foreign = SignedStatement::sign(statement(), &[8; 32]);
        assert!(refusal(&foreign, Role::Chunker, &signers).contains("may not sign"));
        let lying = SignedStatement {
            key: signed.key.clone(),
            ..foreign
        };
        assert!(refusal(&lying, Role::Chunker, &signers).contains("does not fit"));
        let expired = Statement {
            not_after: Some(1),
            ..statement()
        };
        let expired = SignedStatement::sign(expired, &SECRET);
        assert!(refusal(&expired, Role::Chunker, &signers).contains("expired"));
        let other = crate::blobs::digest(b"another");
        let other = signed.check(&other, Role::Chunker, &signers).unwrap_err();
        assert!(other.to_string().contains("another component's"));
    }

    #[test]
    fn keys_that_are_none_are_refused() {
        // The last is the identity, of order 1, which would verify what nobody signed.
        let weak = format!("01{}", "0".repeat(62));
        for digits in ["", "zz", &"g".repeat(64), &weak] {
            assert!(signer(digits).is_err(), "{digits}");
        }
        assert_eq!(secret_key(&hex::encode(SECRET)), Some(SECRET));
        assert_eq!(secret_key("07"), None);
    }
}
