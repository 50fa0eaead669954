//! Records the calls that are missing from the record.

use std::fs::File;

use audit_format::event;
use audit_format::line::{fitted, known_by, put_event};
use audit_host::{Active, Database, Event, Instance, Options};
use sha2::{Digest as _, Sha256};
use uuid::Builder;

use super::agents::Agent;
use crate::message::Failure;

/// How many calls are recorded at once.
const BATCH: usize = 256;

pub(super) struct Adding {
    to: Destination,
    agent: Agent,
    waiting: Vec<event::Event<'static>>,
    /// In a database: what the waiting calls are known by.
    ids: Vec<uuid::Uuid>,
}

enum Destination {
    Files {
        store: Box<Instance>,
        /// It is released when the file is closed, also if the process is killed.
        _lock: Option<File>,
    },
    Database(Database),
}

impl Adding {
    /// Opens the record, and waits for others that add to the same files.
    pub(super) fn open(agent: Agent, options: &Options) -> Result<Self, Failure> {
        let backend = Instance::open(&options.clone().read_only(true).warnings(|_| {}))?.status()?.backend;
        let to = match backend {
            Active::Jsonl => {
                let lock = lock(options)?;
                Destination::Files { store: Box::new(Instance::open(options)?), _lock: lock }
            }
            Active::Postgres | Active::Spool => match options.open_database()? {
                Some(database) => Destination::Database(database),
                None => return Err(Failure::new("--add: there is no database")),
            },
            Active::Memory | Active::Null => {
                return Err(Failure::because(
                    "--add",
                    format_args!("the backend {backend} keeps nothing; accepted are files and databases"),
                ));
            }
        };
        Ok(Self { to, agent, waiting: Vec::new(), ids: Vec::new() })
    }

    /// Adds the event of a call.
    pub(super) fn add(&mut self, call: event::Event<'static>) -> Result<(), Failure> {
        self.ids.push(identifier(self.agent, &call));
        self.waiting.push(call);
        if self.waiting.len() >= BATCH { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> Result<(), Failure> {
        let events = std::mem::take(&mut self.waiting);
        let ids = std::mem::take(&mut self.ids);
        match &mut self.to {
            _ if events.is_empty() => return Ok(()),
            Destination::Files { store, .. } => {
                let events: Vec<Event> = events.into_iter().map(Event::from).collect();
                store.write_batch(&events)?;
            }
            Destination::Database(database) => {
                let mut rows = Vec::new();
                for (event, id) in events.into_iter().zip(ids) {
                    put_event(&fitted(event).0, &mut rows);
                    // The object goes on.
                    rows.pop();
                    rows.extend_from_slice(format!(",\"id\":\"{id}\"}}\n").as_bytes());
                }
                let imported = database.import(String::from_utf8_lossy(&rows).into_owned())?;
                if let Some(refused) = imported.refused.first() {
                    return Err(Failure::because("the database refuses a call", &refused.reason));
                }
            }
        }
        Ok(())
    }

    /// Records what waits.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        self.send()?;
        if let Destination::Files { store, .. } = &mut self.to {
            store.close()?;
        }
        Ok(())
    }
}

/// What a call is known by in a database, however often it is added: a UUID of version 8.
fn identifier(agent: Agent, call: &event::Event<'_>) -> uuid::Uuid {
    let session = call.graph_run_id.as_deref().unwrap_or_default();
    let texts = [session, &call.req_id, &call.tool, &call.action, &call.input_hash].map(known_by);
    let mut hash = Sha256::new_with_prefix(agent.product());
    for text in texts {
        hash.update(b"\n");
        hash.update(text.as_bytes());
    }
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(hash.finalize()).for_each(|(byte, hashed)| *byte = hashed);
    Builder::from_custom_bytes(bytes).into_uuid()
}

/// Locks the folder of the files against others that add what they do not find there.
#[cfg(unix)]
fn lock(options: &Options) -> Result<Option<File>, Failure> {
    use std::fs::{self, TryLockError};

    let Some(folder) = options.folder() else { return Ok(None) };
    let failure =
        |error: std::io::Error| Failure::because(format!("cannot lock {}", folder.display()), error);
    fs::create_dir_all(&folder).map_err(failure)?;
    let file = File::open(&folder).map_err(failure)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            crate::message::warn(format_args!(
                "another process adds to {}; waiting for its end",
                folder.display()
            ));
            file.lock().map_err(failure)?;
        }
        Err(TryLockError::Error(error)) => return Err(failure(error)),
    }
    Ok(Some(file))
}

/// Where a folder cannot be locked, two processes must not add at the same time.
#[cfg(not(unix))]
fn lock(_options: &Options) -> Result<Option<File>, Failure> {
    Ok(None)
}
