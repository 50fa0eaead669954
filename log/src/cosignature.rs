//! Cosignatures (C2SP tlog-cosignature, version 1 with Ed25519): that a witness saw a checkpoint at a time, and no
//! larger one of this log that is inconsistent with it.

use crate::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::note::{
    BadSignature, KeyError, KeyId, Material, Name, SecretMaterial, Signature, Text, Verifier, VerifierKey,
    parse_public, parse_secret, print_public, print_secret,
};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;
use thiserror::Error;

/// The byte that stands for cosignatures with Ed25519.
const COSIGNATURE: u8 = 0x04;

/// The byte that stands for signatures of notes: the private keys of transparency-dev's witnesses have it.
const ED25519: u8 = 0x01;

/// When a witness signed, in seconds since 1970 (POSIX): at most 2^63 - 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

/// A time that a cosignature cannot have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the time of a cosignature is {found}: accepted are seconds since 1970 up to {}", i64::MAX)]
pub struct TimeError {
    /// What was given.
    pub found: u64,
}

impl Time {
    /// A time from seconds since 1970.
    ///
    /// # Errors
    /// Where it is above 2^63 - 1.
    pub fn new(seconds: u64) -> Result<Self, TimeError> {
        if i64::try_from(seconds).is_ok() { Ok(Self(seconds)) } else { Err(TimeError { found: seconds }) }
    }

    /// The seconds since 1970.
    pub fn seconds(self) -> u64 {
        self.0
    }
}

/// What is signed.
fn message(time: Time, text: &Text) -> String {
    format!("cosignature/v1\ntime {}\n{}", time.0, text.as_ref())
}

/// The time and the Ed25519 signature of a cosignature.
fn split(signature: &[u8]) -> Option<(Time, &[u8])> {
    let (seconds, signature) = signature.split_first_chunk::<8>()?;
    Some((Time::new(u64::from_be_bytes(*seconds)).ok()?, signature))
}

/// The public key of a witness, type 0x04: it checks cosignatures, and no signatures of a log.
#[derive(Clone, PartialEq, Eq)]
pub struct CosignerKey(Material);

impl CosignerKey {
    /// A key of its name and its 32 bytes (RFC 8032).
    ///
    /// # Errors
    /// Where the bytes are no public key of Ed25519, or one for which anybody can make signatures.
    pub fn new(name: Name, key: &[u8; 32]) -> Result<Self, KeyError> {
        Material::new(name, COSIGNATURE, key).map(Self)
    }

    /// The 32 bytes of the key (RFC 8032).
    pub fn bytes(&self) -> &[u8; 32] {
        self.0.bytes()
    }
}

impl Verifier for CosignerKey {
    fn name(&self) -> &Name {
        &self.0.name
    }

    fn id(&self) -> KeyId {
        self.0.id
    }

    fn verify(&self, text: &Text, signature: &[u8]) -> bool {
        split(signature)
            .is_some_and(|(time, signature)| self.0.verify(message(time, text).as_bytes(), signature))
    }
}

impl FromStr for CosignerKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        parse_public(text, COSIGNATURE, "0x04, Ed25519 cosignatures").map(Self)
    }
}

impl fmt::Display for CosignerKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&print_public(&self.0, COSIGNATURE))
    }
}

impl fmt::Debug for CosignerKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "CosignerKey({self})")
    }
}

/// A witness is often known by a key of type 0x01: it is the same key under the identifier that cosignatures have.
impl TryFrom<&VerifierKey> for CosignerKey {
    type Error = KeyError;

    fn try_from(key: &VerifierKey) -> Result<Self, KeyError> {
        Self::new(key.name().clone(), key.bytes())
    }
}

/// The private key of a witness. It is wiped from memory when it is dropped.
pub struct Cosigner(SecretMaterial);

impl Cosigner {
    /// A key of its name and 32 random bytes, which are the secret. No two witnesses may have the same: what is signed
    /// does not say which of them signed it.
    pub fn from_seed(name: Name, seed: &[u8; 32]) -> Self {
        Self(SecretMaterial::from_seed(name, COSIGNATURE, seed))
    }

    /// The key that checks the cosignatures.
    pub fn verifier(&self) -> CosignerKey {
        CosignerKey(self.0.public.clone())
    }

    /// The cosignature of a checkpoint.
    ///
    /// It says that this is the largest checkpoint of the log that the witness knows, and that all others that it
    /// signed are consistent with it: that is to be made sure before.
    pub fn cosign(&self, time: Time, checkpoint: &Checkpoint) -> Signature {
        let signature = self.0.sign(message(time, &checkpoint.text()).as_bytes());
        let bytes = [&time.0.to_be_bytes()[..], &signature].concat();
        Signature::new(self.0.public.name.clone(), self.0.public.id, bytes)
    }

    /// The key as text, `PRIVATE+KEY+NAME+ID+KEY`, which `parse` reads. It is the secret.
    pub fn to_private_text(&self) -> String {
        print_secret(&self.0, COSIGNATURE)
    }
}

impl FromStr for Cosigner {
    type Err = KeyError;

    /// Reads a private key of type 0x04, or of type 0x01, which is then used for cosignatures alone.
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let accepted = "0x04, Ed25519 cosignatures, or 0x01, Ed25519 signatures of notes";
        parse_secret(text, &[COSIGNATURE, ED25519], accepted).map(Self)
    }
}

impl fmt::Debug for Cosigner {
    /// Shows the public key alone.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Cosigner({})", self.verifier())
    }
}

/// That a witness signed a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cosigned<'k> {
    /// The key of the witness.
    pub key: &'k CosignerKey,
    /// When it signed, or when it did last.
    pub time: Time,
}

impl SignedCheckpoint {
    /// Those of the known witnesses that signed the checkpoint, each once. Signatures of others are ignored.
    ///
    /// What a witness signs does not have its name: so of witnesses with the same key under several names one counts,
    /// else anyone could make several of one.
    ///
    /// # Errors
    /// Where a signature has the name and the identifier of a known witness, and is not of that witness. The
    /// checkpoint is then to be rejected.
    pub fn cosigned_by<'k>(&self, witnesses: &'k [CosignerKey]) -> Result<Vec<Cosigned<'k>>, BadSignature> {
        let mut cosigned: Vec<Cosigned<'k>> = Vec::new();
        for (key, signature) in self.note().verified(witnesses)? {
            let Some((time, _)) = split(signature.bytes()) else {
                continue;
            };
            match cosigned.iter_mut().find(|one| one.key.bytes() == key.bytes()) {
                Some(one) => one.time = one.time.max(time),
                None => cosigned.push(Cosigned { key, time }),
            }
        }
        Ok(cosigned)
    }
}
