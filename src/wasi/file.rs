//! Open files of `wasi:filesystem`.

use crate::host::{File, FileError, pieces};
use alloc::string::ToString;
use alloc::vec::Vec;
use audit_format::line::MAX_LEN;
use core::cell::OnceCell;
use wasi::filesystem::types::{Descriptor, ErrorCode, filesystem_error_code};
use wasi::io::streams::{OutputStream, StreamError};

/// An open file.
pub struct WasiFile {
    // Declared first, because a stream must be dropped before the descriptor that it belongs to.
    stream: Option<OutputStream>,
    descriptor: Descriptor,
    identity: OnceCell<u128>,
}

impl WasiFile {
    pub fn new(descriptor: Descriptor) -> Self {
        Self { stream: None, descriptor, identity: OnceCell::new() }
    }

    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }
}

impl File for WasiFile {
    fn size(&self) -> Result<u64, FileError> {
        Ok(self.descriptor.stat()?.size)
    }

    fn identity(&self) -> Result<u128, FileError> {
        if let Some(identity) = self.identity.get() {
            return Ok(*identity);
        }
        let hash = self.descriptor.metadata_hash()?;
        Ok(*self.identity.get_or_init(|| u128::from(hash.upper) << 64 | u128::from(hash.lower)))
    }

    fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>, FileError> {
        Ok(self.descriptor.read(len as u64, offset)?.0)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        let stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.descriptor.append_via_stream()?,
        };
        // An error closes the stream, so only a stream without one is kept for the next append.
        match append_to(&stream, bytes) {
            Ok(()) => {
                self.stream = Some(stream);
                Ok(())
            }
            Err(StreamError::LastOperationFailed(error)) => Err(match filesystem_error_code(&error) {
                Some(code) => code.into(),
                None => FileError::Other(error.to_debug_string()),
            }),
            Err(StreamError::Closed) => Err(FileError::Other("the stream is closed".to_string())),
        }
    }

    fn truncate(&mut self, size: u64) -> Result<(), FileError> {
        Ok(self.descriptor.set_size(size)?)
    }

    fn sync(&mut self) -> Result<(), FileError> {
        Ok(self.descriptor.sync_data()?)
    }
}

/// Appends in one write of the host if it permits one that long, else in pieces that every host takes.
fn append_to(stream: &OutputStream, bytes: &[u8]) -> Result<(), StreamError> {
    if bytes.len() > MAX_LEN && stream.check_write()? >= bytes.len() as u64 {
        stream.write(bytes)?;
        return stream.blocking_flush();
    }
    pieces(bytes).try_for_each(|piece| stream.blocking_write_and_flush(piece))
}

impl From<ErrorCode> for FileError {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::NoEntry => Self::NotFound,
            ErrorCode::Access => Self::Other("permission denied".into()),
            ErrorCode::NotPermitted => {
                Self::Other("not permitted; is the folder preopened read-only?".into())
            }
            ErrorCode::ReadOnly => Self::Other("read-only file system".into()),
            // Wasmtime also returns this for a read-only file system.
            ErrorCode::Io => Self::Other("I/O error; is the disk read-only or failing?".into()),
            ErrorCode::InsufficientSpace => Self::Other("no space left".into()),
            ErrorCode::Quota => Self::Other("the disk quota is used up".into()),
            ErrorCode::FileTooLarge => Self::Other("the limit on file sizes is reached".into()),
            ErrorCode::Loop => Self::Other("symbolic links are not followed".into()),
            other => Self::Other(other.name().to_string()),
        }
    }
}
