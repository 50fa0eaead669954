//! Signed notes (C2SP signed-note): a text, an empty line, and signatures of it, a line each.
//!
//! What is read here is not yet checked: only `Note::verified_by` says whose signatures are right.

mod key;

pub use key::{KeyError, SigningKey, VerifierKey};
pub(crate) use key::{Material, SecretMaterial, parse_public, parse_secret, print_public, print_secret};

use crate::encoding::{base64, from_base64};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;
use thiserror::Error;

/// How many signatures a note may have. The specification asks for 16 or more.
pub const MAX_SIGNATURES: usize = 100;

/// What a line with a signature begins with: an em dash, U+2014.
const DASH: &str = "\u{2014} ";

/// The name of a key: not empty, without spaces, plus signs and control characters. A name like `example.com/audit`
/// collides with no other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// Not the name of a key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "the name of a key is {found:?}: accepted are names like example.com/audit, without spaces, plus signs and control characters"
)]
pub struct NameError {
    /// What was given.
    pub found: String,
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        let wrong = |c: char| c.is_whitespace() || c == '+' || c < ' ';
        if name.is_empty() || name.contains(wrong) {
            return Err(NameError { found: name.to_string() });
        }
        Ok(Self(name.to_string()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// The first four bytes of a hash over a key and its name. It finds a key among those that are known, and proves
/// nothing. As text it has eight hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 4]);

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:08x}", u32::from_be_bytes(self.0))
    }
}

/// What is signed: a text that ends with a newline and has no other control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    /// A text that was made of parts that are such texts.
    pub(crate) fn of_checked(text: String) -> Self {
        Self(text)
    }
}

impl FromStr for Text {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        no_control_characters(text)?;
        if !text.ends_with('\n') {
            return Err(NoteError::TextEnd);
        }
        Ok(Self(text.to_string()))
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Why something is no signed note.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoteError {
    /// It is not text.
    #[error("the note is not UTF-8 from byte {valid} on")]
    Utf8 {
        /// How many bytes are.
        valid: usize,
    },
    /// It has a control character.
    #[error("the note has the control character U+{found:04X}: of those below U+0020, newlines alone are accepted", found = u32::from(*found))]
    Control {
        /// The character.
        found: char,
    },
    /// The text does not end with a newline.
    #[error("the text of a note has to end with a newline")]
    TextEnd,
    /// No empty line divides the text from signatures.
    #[error("the note has no empty line: accepted is a text, an empty line, and signatures")]
    NoEmptyLine,
    /// A line that should be a signature is none.
    #[error(
        "the note has the line {line:?} as a signature: accepted is an em dash, a space, the name of a key, a space, and the signature in base 64, with a newline after each"
    )]
    Signature {
        /// The line.
        line: String,
    },
    /// There are no signatures or too many.
    #[error("the note has {found} signatures: accepted are 1 to {MAX_SIGNATURES}")]
    SignatureCount {
        /// How many there are, or one more than are accepted.
        found: usize,
    },
}

fn no_control_characters(text: &str) -> Result<(), NoteError> {
    match text.chars().find(|c| *c < ' ' && *c != '\n') {
        Some(found) => Err(NoteError::Control { found }),
        None => Ok(()),
    }
}

/// A signature of a note, not yet checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    name: Name,
    id: KeyId,
    bytes: Vec<u8>,
}

impl Signature {
    pub(crate) fn new(name: Name, id: KeyId, bytes: Vec<u8>) -> Self {
        Self { name, id, bytes }
    }

    /// The name of the key that it says it is of.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The identifier of that key.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The signature, whose form depends on the kind of the key.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl FromStr for Signature {
    type Err = NoteError;

    /// Reads a line, without its newline.
    fn from_str(line: &str) -> Result<Self, NoteError> {
        let parse = || {
            let (name, signature) = line.strip_prefix(DASH)?.split_once(' ')?;
            let decoded = from_base64(signature)?;
            let (id, bytes) = decoded.split_first_chunk::<4>()?;
            let name = name.parse().ok()?;
            (!bytes.is_empty()).then(|| Self { name, id: KeyId(*id), bytes: bytes.to_vec() })
        };
        parse().ok_or_else(|| NoteError::Signature { line: line.to_string() })
    }
}

impl fmt::Display for Signature {
    /// Writes a line, without its newline.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.id.0[..], &self.bytes].concat();
        write!(formatter, "{DASH}{} {}", self.name, base64(&bytes))
    }
}

/// Reads lines with a signature each, every one with its newline.
pub(crate) fn parse_signatures(lines: &str) -> Result<Vec<Signature>, NoteError> {
    let mut signatures = Vec::new();
    for line in lines.split_inclusive('\n') {
        let whole = line.strip_suffix('\n').ok_or_else(|| NoteError::Signature { line: line.to_string() })?;
        signatures.push(whole.parse()?);
        if signatures.len() > MAX_SIGNATURES {
            break;
        }
    }
    check_count(signatures.len())?;
    Ok(signatures)
}

fn check_count(found: usize) -> Result<(), NoteError> {
    if (1..=MAX_SIGNATURES).contains(&found) { Ok(()) } else { Err(NoteError::SignatureCount { found }) }
}

/// A key that checks signatures of one kind.
pub trait Verifier {
    /// The name of the key.
    fn name(&self) -> &Name;

    /// The identifier of the key.
    fn id(&self) -> KeyId;

    /// Whether this is the key's signature of a text.
    fn verify(&self, text: &Text, signature: &[u8]) -> bool;
}

/// A signature that says it is of a known key, and is not.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the signature of the known key {name}+{id} is not one of this text")]
pub struct BadSignature {
    /// The name of the key.
    pub name: Name,
    /// The identifier of the key.
    pub id: KeyId,
}

/// A text and signatures of it, between 1 and 100, not yet checked.
///
/// ```
/// use audit_log::note::{Note, VerifierKey};
///
/// // The example of the specification.
/// let key: VerifierKey = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k".parse()?;
/// let note = Note::parse("This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n".as_bytes())?;
/// assert_eq!(note.verified_by(&[key])?.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: Text,
    signatures: Vec<Signature>,
}

impl Note {
    /// A note of a text and signatures.
    ///
    /// # Errors
    /// Where there are no signatures, or too many.
    pub fn new(text: Text, signatures: Vec<Signature>) -> Result<Self, NoteError> {
        check_count(signatures.len())?;
        Ok(Self { text, signatures })
    }

    /// A note with one signature.
    pub fn sign(text: Text, key: &SigningKey) -> Self {
        let signature = key.sign(&text);
        Self { text, signatures: Vec::from([signature]) }
    }

    /// Reads a note. Its text ends before its last empty line.
    ///
    /// # Errors
    /// Where it is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        let note = utf8(bytes)?;
        no_control_characters(note)?;
        let newline = note.rfind("\n\n").ok_or(NoteError::NoEmptyLine)?;
        // Both newlines are one byte.
        let (text, rest) = note.split_at(newline + 1);
        let signatures = parse_signatures(rest.get(1..).unwrap_or_default())?;
        Ok(Self { text: Text(text.to_string()), signatures })
    }

    /// The text.
    pub fn text(&self) -> &Text {
        &self.text
    }

    /// All signatures, of known keys and others, in their order.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Adds a signature, unless the note has it already.
    ///
    /// # Errors
    /// Where there would be too many. The note is then as before.
    pub fn add(&mut self, signature: Signature) -> Result<(), NoteError> {
        if !self.signatures.contains(&signature) {
            check_count(self.signatures.len() + 1)?;
            self.signatures.push(signature);
        }
        Ok(())
    }

    /// Those of the known keys that signed the text, each once. Signatures of other keys are ignored.
    ///
    /// # Errors
    /// Where a signature has the name and the identifier of a known key, and is not of that key. The note is then to
    /// be rejected as a whole.
    pub fn verified_by<'k, V: Verifier>(&self, keys: &'k [V]) -> Result<Vec<&'k V>, BadSignature> {
        let mut signers: Vec<&V> = Vec::new();
        for (key, _) in self.verified(keys)? {
            if !signers.iter().any(|signer| signer.id() == key.id() && signer.name() == key.name()) {
                signers.push(key);
            }
        }
        Ok(signers)
    }

    /// The signatures of known keys, in their order, each with its key.
    pub(crate) fn verified<'k, V: Verifier>(
        &self,
        keys: &'k [V],
    ) -> Result<Vec<(&'k V, &Signature)>, BadSignature> {
        let mut verified = Vec::new();
        for signature in &self.signatures {
            let mut known = keys
                .iter()
                .filter(|key| key.id() == signature.id && *key.name() == signature.name)
                .peekable();
            if known.peek().is_none() {
                continue;
            }
            match known.find(|key| key.verify(&self.text, &signature.bytes)) {
                Some(key) => verified.push((key, signature)),
                None => return Err(BadSignature { name: signature.name.clone(), id: signature.id }),
            }
        }
        Ok(verified)
    }
}

impl fmt::Display for Note {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.text.0)?;
        self.signatures.iter().try_for_each(|signature| writeln!(formatter, "{signature}"))
    }
}

/// The text of bytes.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, NoteError> {
    core::str::from_utf8(bytes).map_err(|error| NoteError::Utf8 { valid: error.valid_up_to() })
}
