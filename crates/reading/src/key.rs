//! Ed25519 keys (RFC 8032) of agents, and what they sign.

use std::fmt;

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};

use crate::digest::{from_hex, to_hex};

/// The key that an agent signs with. It is made on the agent's machine and never leaves it.
pub struct AgentKey(SigningKey);

/// What the exchange keeps of an agent's key. Written as 64 lower-case hexadecimal digits.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

/// An Ed25519 signature. Written as 128 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);

/// Bytes that are no key to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Not 64 lower-case hexadecimal digits, or no point of the curve.
    #[error("this is no Ed25519 public key")]
    NoKey,
    /// A point of small order: signatures by it prove nothing.
    #[error("this Ed25519 public key is weak")]
    Weak,
}

impl AgentKey {
    /// The key of this secret: 32 bytes drawn from the operating system.
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(secret))
    }

    /// The 32 bytes that it was made of.
    pub fn secret(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// What others need to check what it signs.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    pub(crate) fn sign(&self, bytes: &[u8]) -> Signature {
        Signature(self.0.sign(bytes).to_bytes())
    }
}

impl PublicKey {
    /// Reads 64 lower-case hexadecimal digits.
    ///
    /// # Errors
    /// They are no key, or a weak one.
    pub fn from_hex(text: &str) -> Result<Self, BadKey> {
        Self::from_bytes(&from_hex(text).ok_or(BadKey::NoKey)?)
    }

    /// Reads 32 bytes.
    ///
    /// # Errors
    /// They are no key, or a weak one.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, BadKey> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| BadKey::NoKey)?;
        if key.is_weak() {
            return Err(BadKey::Weak);
        }
        Ok(Self(key))
    }

    /// As 64 lower-case hexadecimal digits.
    pub fn to_hex(&self) -> String {
        to_hex(self.0.as_bytes())
    }

    /// As 32 bytes.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Whether the key signed these bytes. Strict: one signature in one form is taken (RFC 8032
    /// leaves room for others that would be equal to some and not to others).
    pub(crate) fn signed(&self, bytes: &[u8], signature: &Signature) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        self.0.verify_strict(bytes, &signature).is_ok()
    }
}

impl Signature {
    /// Reads 128 lower-case hexadecimal digits; `None` when it is anything else.
    pub fn from_hex(text: &str) -> Option<Self> {
        from_hex(text).map(Self)
    }

    /// As 64 bytes.
    pub fn to_bytes(&self) -> [u8; 64] {
        self.0
    }

    /// As 128 lower-case hexadecimal digits.
    pub fn to_hex(&self) -> String {
        to_hex(&self.0)
    }
}

impl fmt::Debug for AgentKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "AgentKey of {}", self.public().to_hex())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.to_hex())
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.to_hex())
    }
}
