//! Evidence of a record of audit-store: a transparency log over its events, so that nobody can change, remove, reorder or
//! back-date what is sealed without a trace.
//!
//! A record is a folder of daily files ([`Files`]) or a table ([`Table`]). Its log is a folder of its own ([`Log`]):
//! hash tiles, a signed checkpoint, and `segments.jsonl`, which says where the leaves are. [`seal()`] adds what is new.
//! Writers of the record need nothing of it.
//!
//! ```
//! use audit_evidence::{Files, Log, LogFolder, seal};
//! use audit_log::note::{Name, SigningKey};
//!
//! let record = tempfile::tempdir()?;
//! let line = r#"{"ts":"2026-11-23T06:30:00Z","tool":"search","status":"ok"}"#;
//! std::fs::write(record.path().join("tool_audit_2026-11-23.jsonl"), format!("{line}\n"))?;
//!
//! let key = SigningKey::from_seed("example.com/audit".parse::<Name>()?, &[7; 32]);
//! let mut log = Log::new(LogFolder::for_sealing(record.path().join("log"))?);
//! let sealed = seal(&mut log, &mut Files::new(record.path()), &"example.com/audit".parse()?, &key)?;
//! assert_eq!((sealed.new, sealed.checkpoint.unverified().size()), (1, 1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod archive;
pub mod check;
mod error;
pub mod events;
mod folder;
pub mod hold;
pub mod key;
pub mod leaf;
mod lock;
mod log;
pub mod prove;
pub mod prune;
pub mod pruned;
pub mod publish;
mod record;
mod seal;
mod segment;
pub mod verify;

pub use audit_log::cosignature::CosignerKey;
pub use error::Error;
pub use folder::{Folder, LogFolder};
pub use lock::LockError;
pub use log::Log;
pub use record::{Files, Found, Kind, Record, Row, RowPage, Rows, Sealed, Table, Take, Trouble};
pub use seal::{Outcome, seal};
pub use segment::{Gap, Place, SealedFile, Segment, Segments};
