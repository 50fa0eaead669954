//! Ed25519 keys as text: those that check signatures, and those that make them.
//!
//! The text of a private key has the form that the Go package golang.org/x/mod/sumdb/note writes and reads; C2SP fixes
//! none.

use super::{KeyId, Name, Signature, Text, Verifier};
use crate::encoding::{base64, from_base64};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;
use ed25519_dalek::{SECRET_KEY_LENGTH, Signer as _};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// The byte that stands for signatures of notes.
const ED25519: u8 = 0x01;

const PRIVATE: &str = "PRIVATE+KEY+";

/// Why a text is no key that can be used here. It never shows the text, which may be a private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyError {
    /// It does not have the parts of a public key.
    #[error(
        "not a verifier key: accepted is NAME+ID+KEY, as in example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
    )]
    Public,
    /// It does not have the parts of a private key.
    #[error("not a private key: accepted is PRIVATE+KEY+NAME+ID+KEY")]
    Private,
    /// The key is of another kind.
    #[error("the key is of type {found:#04x}: accepted is {accepted}")]
    Algorithm {
        /// The byte that stands for the kind of key.
        found: u8,
        /// The kinds that are accepted here.
        accepted: &'static str,
    },
    /// The key has another length, or is no point that Ed25519 can use.
    #[error(
        "the key is not one of Ed25519: accepted are 32 bytes, as a public key a point that is not of small order"
    )]
    Material,
    /// The identifier is not the one of this name and key.
    #[error("the key has the identifier {found}, for its name and its bytes it has to be {accepted}")]
    Id {
        /// The identifier in the text.
        found: KeyId,
        /// The identifier that it has to have.
        accepted: KeyId,
    },
}

/// A public key of some kind with its name.
#[derive(Clone, PartialEq, Eq)]
pub struct Material {
    pub name: Name,
    pub id: KeyId,
    key: ed25519_dalek::VerifyingKey,
}

impl Material {
    pub fn new(name: Name, algorithm: u8, key: &[u8; 32]) -> Result<Self, KeyError> {
        let id = key_id(&name, algorithm, key);
        let key = ed25519_dalek::VerifyingKey::from_bytes(key).map_err(|_| KeyError::Material)?;
        // Some signatures pass for any text with a key of small order.
        if key.is_weak() { Err(KeyError::Material) } else { Ok(Self { name, id, key }) }
    }

    pub fn bytes(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        ed25519_dalek::Signature::from_slice(signature)
            .is_ok_and(|signature| self.key.verify_strict(message, &signature).is_ok())
    }
}

/// A private key of some kind with its name.
pub struct SecretMaterial {
    pub public: Material,
    key: ed25519_dalek::SigningKey,
}

impl SecretMaterial {
    pub fn from_seed(name: Name, algorithm: u8, seed: &[u8; SECRET_KEY_LENGTH]) -> Self {
        let key = ed25519_dalek::SigningKey::from_bytes(seed);
        let id = key_id(&name, algorithm, key.verifying_key().as_bytes());
        Self { public: Material { name, id, key: key.verifying_key() }, key }
    }

    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }
}

/// SHA-256(name || 0x0A || type || public key), its first four bytes.
fn key_id(name: &Name, algorithm: u8, key: &[u8; 32]) -> KeyId {
    let mut sha = Sha256::new();
    sha.update(name.as_ref());
    sha.update([b'\n', algorithm]);
    sha.update(key);
    let hash: [u8; 32] = sha.finalize().into();
    let [a, b, c, d, ..] = hash;
    KeyId([a, b, c, d])
}

/// Reads NAME+ID+KEY, where KEY is base 64 of the type and the bytes of the key.
fn parse_parts(text: &str) -> Option<(Name, KeyId, u8, Vec<u8>)> {
    let (name, rest) = text.split_once('+')?;
    let (id, key) = rest.split_once('+')?;
    let digits = id.len() == 8 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let id = u32::from_str_radix(id, 16).ok().filter(|_| digits)?;
    let decoded = from_base64(key)?;
    let (algorithm, bytes) = decoded.split_first()?;
    Some((name.parse().ok()?, KeyId(id.to_be_bytes()), *algorithm, bytes.to_vec()))
}

pub fn parse_public(text: &str, algorithm: u8, accepted: &'static str) -> Result<Material, KeyError> {
    let (name, id, found, bytes) = parse_parts(text).ok_or(KeyError::Public)?;
    if found != algorithm {
        return Err(KeyError::Algorithm { found, accepted });
    }
    let bytes: &[u8; 32] = bytes.as_slice().try_into().map_err(|_| KeyError::Material)?;
    let material = Material::new(name, algorithm, bytes)?;
    same_id(id, material.id)?;
    Ok(material)
}

pub fn print_public(material: &Material, algorithm: u8) -> String {
    let bytes = [&[algorithm], &material.bytes()[..]].concat();
    format!("{}+{}+{}", material.name, material.id, base64(&bytes))
}

/// Reads a private key of one of some kinds, for signatures of the first of them.
pub fn parse_secret(
    text: &str,
    algorithms: &[u8],
    accepted: &'static str,
) -> Result<SecretMaterial, KeyError> {
    let parts = text.strip_prefix(PRIVATE).and_then(parse_parts);
    let (name, id, found, seed) = parts.ok_or(KeyError::Private)?;
    let Some(algorithm) = algorithms.first().filter(|_| algorithms.contains(&found)) else {
        return Err(KeyError::Algorithm { found, accepted });
    };
    let seed: &[u8; 32] = seed.as_slice().try_into().map_err(|_| KeyError::Material)?;
    same_id(id, SecretMaterial::from_seed(name.clone(), found, seed).public.id)?;
    Ok(SecretMaterial::from_seed(name, *algorithm, seed))
}

pub fn print_secret(material: &SecretMaterial, algorithm: u8) -> String {
    let bytes = [&[algorithm], &material.key.as_bytes()[..]].concat();
    let Material { name, id, .. } = &material.public;
    format!("{PRIVATE}{name}+{id}+{}", base64(&bytes))
}

fn same_id(found: KeyId, accepted: KeyId) -> Result<(), KeyError> {
    if found == accepted { Ok(()) } else { Err(KeyError::Id { found, accepted }) }
}

/// The public key of a log, type 0x01: it checks signatures of notes. As text: `example.com/foo+530d903a+AekyeRrm…`.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey(Material);

impl VerifierKey {
    /// A key of its name and its 32 bytes (RFC 8032).
    ///
    /// # Errors
    /// Where the bytes are no public key of Ed25519, or one for which anybody can make signatures.
    pub fn new(name: Name, key: &[u8; 32]) -> Result<Self, KeyError> {
        Material::new(name, ED25519, key).map(Self)
    }

    /// The 32 bytes of the key (RFC 8032).
    pub fn bytes(&self) -> &[u8; 32] {
        self.0.bytes()
    }
}

impl Verifier for VerifierKey {
    fn name(&self) -> &Name {
        &self.0.name
    }

    fn id(&self) -> KeyId {
        self.0.id
    }

    fn verify(&self, text: &Text, signature: &[u8]) -> bool {
        self.0.verify(text.as_ref().as_bytes(), signature)
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        parse_public(text, ED25519, "0x01, Ed25519 signatures of notes").map(Self)
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&print_public(&self.0, ED25519))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "VerifierKey({self})")
    }
}

/// The private key of a log. It is wiped from memory when it is dropped.
pub struct SigningKey(SecretMaterial);

impl SigningKey {
    /// A key of its name and 32 random bytes, which are the secret.
    pub fn from_seed(name: Name, seed: &[u8; 32]) -> Self {
        Self(SecretMaterial::from_seed(name, ED25519, seed))
    }

    /// The key that checks the signatures.
    pub fn verifier(&self) -> VerifierKey {
        VerifierKey(self.0.public.clone())
    }

    /// The signature of a text.
    pub fn sign(&self, text: &Text) -> Signature {
        let Material { name, id, .. } = &self.0.public;
        Signature::new(name.clone(), *id, self.0.sign(text.as_ref().as_bytes()).to_vec())
    }

    /// The key as text, `PRIVATE+KEY+NAME+ID+KEY`, which `parse` reads. It is the secret.
    pub fn to_private_text(&self) -> String {
        print_secret(&self.0, ED25519)
    }
}

impl FromStr for SigningKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        parse_secret(text, &[ED25519], "0x01, Ed25519 signatures of notes").map(Self)
    }
}

impl fmt::Debug for SigningKey {
    /// Shows the public key alone.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SigningKey({})", self.verifier())
    }
}
