//! Where else a checkpoint goes, once it is on the disk: into another folder, and to a witness. Whoever holds one there can
//! show that the log has never been another one. Both find out where the log was set back.

use std::path::{Path, PathBuf};

use audit_log::checkpoint::{CheckpointError, Origin, SignedCheckpoint, VerifyError};
use audit_log::cosignature::CosignerKey;
use audit_log::note::{BadSignature, VerifierKey};
use audit_log::tree::{Hash, ProofError, consistency};
use audit_log::witness::{AcceptError, AddCheckpoint, Answer, AnswerError, RequestError};
use thiserror::Error;

use crate::error::Error;
use crate::folder::{Folder, LogFolder};
use crate::log::Log;

/// Why a checkpoint is not where it is to go. The log itself is as it was; the next seal tries again.
#[derive(Debug, Error)]
pub enum PublishError {
    /// The folder does not exist, or is none.
    #[error("the folder {path} for copies of the checkpoint does not exist", path = path.display())]
    NoFolder {
        /// The folder.
        path: PathBuf,
    },
    /// What is there is no checkpoint of this log.
    #[error("the copy in {path} is not replaced: {source}", path = path.display())]
    OtherCopy {
        /// The folder.
        path: PathBuf,
        /// What it is.
        source: VerifyError,
    },
    /// What is there is no checkpoint.
    #[error("the copy in {path} is not replaced: {source}", path = path.display())]
    NoCheckpoint {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        source: CheckpointError,
    },
    /// A larger log was signed before.
    #[error("{holder} has seen {origin} with {seen} leaves, and now it has {size}: the log was set back")]
    SetBack {
        /// Who has seen it.
        holder: String,
        /// The log.
        origin: Origin,
        /// The size that was seen.
        seen: u64,
        /// The size that the log has.
        size: u64,
    },
    /// Another log was signed before.
    #[error("{holder} has seen another {origin} with {seen} leaves: the log contradicts it ({source})")]
    Contradicts {
        /// Who has seen it.
        holder: String,
        /// The log.
        origin: Origin,
        /// The size that was seen.
        seen: u64,
        /// What does not agree.
        source: Box<ProofError>,
    },
    /// The log cannot be read, or a file cannot be written.
    #[error(transparent)]
    Log(#[from] Error),
    /// The witness cannot be asked.
    #[error("the witness {witness} cannot be asked: {reason}")]
    Ask {
        /// The name of its key.
        witness: String,
        /// Why.
        reason: String,
    },
    /// The witness did not sign.
    #[error("the witness {witness} refuses: {why} (status {status})")]
    Refused {
        /// The name of its key.
        witness: String,
        /// Why.
        why: &'static str,
        /// The status of its answer.
        status: u16,
    },
    /// The witness has answered what no witness answers.
    #[error("the witness {witness}: {source}")]
    Answer {
        /// The name of its key.
        witness: String,
        /// What is wrong with it.
        source: AnswerError,
    },
    /// The witness has answered no cosignature of its key.
    #[error("the witness {witness}: {source}")]
    Accept {
        /// The name of its key.
        witness: String,
        /// What is wrong with it.
        source: AcceptError,
    },
    /// The checkpoint has a wrong cosignature.
    #[error("checkpoint: {0}")]
    Signature(#[from] BadSignature),
    /// The proof is none that a witness takes.
    #[error(transparent)]
    Request(#[from] RequestError),
}

/// Puts the checkpoint of a log into a folder elsewhere, as the file `checkpoint`. Returns whether another one was there, or
/// none. The one that was there is replaced if the log has only grown since, and never else.
///
/// # Errors
/// Where the folder has a checkpoint that the log contradicts, or another file of that name; or cannot be written.
pub fn copy_to<F: Folder>(
    folder: &Path,
    log: &Log<F>,
    signed: &SignedCheckpoint,
    key: &VerifierKey,
) -> Result<bool, PublishError> {
    let path = folder.to_owned();
    if !folder.is_dir() {
        return Err(PublishError::NoFolder { path });
    }
    let mut copies = Log::new(LogFolder::new(folder));
    let there = match copies.checkpoint() {
        Err(Error::Checkpoint(source)) => return Err(PublishError::NoCheckpoint { path, source }),
        there => there?,
    };
    if let Some(there) = there {
        if there == *signed {
            return Ok(false);
        }
        let origin = signed.unverified().origin();
        let seen = there
            .verify(origin, std::slice::from_ref(key))
            .map_err(|source| PublishError::OtherCopy { path, source })?;
        let holder = || format!("the copy in {}", folder.display());
        only_grew(log, signed, seen.size(), Some(seen.root()), holder)?;
    }
    copies.put_checkpoint(signed)?;
    Ok(true)
}

/// The proof that a log has only grown since it had some size. Where its root of then is not given, nothing is checked.
fn only_grew<F: Folder>(
    log: &Log<F>,
    signed: &SignedCheckpoint,
    seen: u64,
    root: Option<Hash>,
    holder: impl Fn() -> String,
) -> Result<Vec<Hash>, PublishError> {
    let now = signed.unverified();
    let (origin, size) = (now.origin().clone(), now.size());
    if seen > size {
        return Err(PublishError::SetBack { holder: holder(), origin, seen, size });
    }
    let proof = consistency::prove(seen, size, &mut log.tree(size)).map_err(Error::from)?;
    if let Some(root) = root {
        let checked = consistency::verify(seen, size, &proof, root, now.root());
        checked.map_err(|source| PublishError::Contradicts {
            holder: holder(),
            origin,
            seen,
            source: source.into(),
        })?;
    }
    Ok(proof)
}

/// Something that sends a request to a witness: the body to its `add-checkpoint`, by POST.
pub trait Post {
    /// Sends a request, and returns the status and the body of the answer.
    ///
    /// # Errors
    /// Where there is no answer: why, for people.
    fn post(&mut self, body: String) -> Result<(u16, Vec<u8>), String>;
}

/// Has a witness sign the checkpoint of a log (C2SP tlog-witness), and adds its cosignature to the file. Returns whether one
/// was added: none is where there was one, or the log has no leaves yet.
///
/// `known` is the size that the witness has signed last, as far as is known; 0 where it is not. The witness tells where it
/// was another one.
///
/// # Errors
/// Where the witness does not answer, does not sign, or has seen what the log contradicts.
pub fn cosign<F: Folder>(
    log: &mut Log<F>,
    signed: &mut SignedCheckpoint,
    witness: &CosignerKey,
    known: u64,
    post: &mut dyn Post,
) -> Result<bool, PublishError> {
    let size = signed.unverified().size();
    if size == 0 || is_cosigned(signed, witness)? {
        return Ok(false);
    }
    match ask(log, signed, witness, known, post)? {
        Answer::Conflict { size: seen } => match ask(log, signed, witness, seen, post)? {
            Answer::Cosigned(_) => {}
            other => return Err(refused(witness, &other)),
        },
        Answer::Cosigned(_) => {}
        other => return Err(refused(witness, &other)),
    }
    log.put_checkpoint(signed)?;
    Ok(true)
}

/// Whether a witness has signed a checkpoint.
///
/// # Errors
/// Where the checkpoint has a signature with the name of the witness that is not of it.
pub fn is_cosigned(signed: &SignedCheckpoint, witness: &CosignerKey) -> Result<bool, BadSignature> {
    Ok(!signed.cosigned_by(std::slice::from_ref(witness))?.is_empty())
}

/// Asks once, and takes over a cosignature.
fn ask<F: Folder>(
    log: &Log<F>,
    signed: &mut SignedCheckpoint,
    witness: &CosignerKey,
    seen: u64,
    post: &mut dyn Post,
) -> Result<Answer, PublishError> {
    let name = || audit_log::note::Verifier::name(witness).to_string();
    let proof = only_grew(log, signed, seen, None, || format!("the witness {}", name()))?;
    let request = AddCheckpoint::new(seen, proof, signed.clone())?;
    let (status, body) =
        post.post(request.to_string()).map_err(|reason| PublishError::Ask { witness: name(), reason })?;
    let answer =
        Answer::parse(status, &body).map_err(|source| PublishError::Answer { witness: name(), source })?;
    if let Answer::Cosigned(signatures) = &answer {
        signed
            .accept(signatures, std::slice::from_ref(witness))
            .map_err(|source| PublishError::Accept { witness: name(), source })?;
    }
    Ok(answer)
}

fn refused(witness: &CosignerKey, answer: &Answer) -> PublishError {
    let why = match answer {
        Answer::Cosigned(_) => "it has signed",
        Answer::BadRequest => "it takes the request for none",
        Answer::Unsigned => "it does not know the key of the log",
        Answer::UnknownLog => "it does not know the origin of the log",
        Answer::Conflict { .. } => "another process has sent it a checkpoint meanwhile",
        Answer::Inconsistent => "the log contradicts what it has signed before",
    };
    let witness = audit_log::note::Verifier::name(witness).to_string();
    PublishError::Refused { witness, why, status: answer.status() }
}

impl PublishError {
    /// Whether somebody has seen what the log contradicts: it was set back, or made anew.
    pub fn is_contradiction(&self) -> bool {
        matches!(self, Self::SetBack { .. } | Self::Contradicts { .. } | Self::Refused { status: 422, .. })
    }
}
