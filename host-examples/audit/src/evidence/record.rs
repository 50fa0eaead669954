//! The record that a log is of: the daily files of a folder, or the table of a database.

use std::path::PathBuf;

use audit_evidence::verify::{self, Each, Stream};
use audit_evidence::{Error, Files, Kind, Place, Record, Row, RowPage, Rows, Sealed, Table, Take, Trouble};
use audit_host::{Backend, Database, Options};

use crate::args::{HOW_TO_GIVE_A_URL, LogArgs, StoreArgs};
use crate::message::Failure;

/// A record of either kind.
pub(super) enum Source {
    Files { record: Files, folder: PathBuf },
    Table(Table<Connected>),
}

impl Source {
    /// The record that the options name. No instance of the component is started for it.
    pub(super) fn open(store: StoreArgs) -> Result<Self, Failure> {
        Self::open_to_write(store).map(|(source, _)| source)
    }

    /// The same, with the options of a store that records events into it.
    pub(super) fn open_to_write(store: StoreArgs) -> Result<(Self, Options), Failure> {
        let backend = store.backend().unwrap_or(Backend::Jsonl);
        let options = store.reading()?.options;
        let source = match backend {
            Backend::Postgres | Backend::Auto => match options.open_database()? {
                Some(database) => Self::Table(Table::new(Connected(database))),
                None => return Err(Failure::because("there is no database", HOW_TO_GIVE_A_URL)),
            },
            Backend::Jsonl => {
                let folder = options.folder().unwrap_or_default();
                Self::Files { record: Files::new(&folder), folder }
            }
            Backend::Memory | Backend::Null => {
                return Err(Failure::because(
                    "backend",
                    format_args!(
                        "{backend} keeps nothing that can be sealed; accepted are jsonl, postgres and auto"
                    ),
                ));
            }
        };
        // An event about a table belongs into the table, and not into a spool.
        let options = if matches!(source, Self::Table(_)) { options.backend("postgres") } else { options };
        Ok((source, options))
    }

    /// The folder of the log.
    pub(super) fn log(&self, args: &LogArgs) -> Result<PathBuf, Failure> {
        match (&args.folder, self) {
            (Some(folder), _) => Ok(folder.clone()),
            (None, Self::Files { folder, .. }) => Ok(folder.join("log")),
            (None, Self::Table(_)) => {
                Err(Failure::because("--log", "the log of a table has no folder by default; give one"))
            }
        }
    }

    /// Says where there is nothing to seal.
    pub(super) fn check(&self) -> Result<(), Failure> {
        match self {
            Self::Files { folder, .. } if !folder.is_dir() => {
                Err(Failure::new(format_args!("no events: {} does not exist", folder.display())))
            }
            _ => Ok(()),
        }
    }
}

impl Record for Source {
    fn kind(&self) -> Kind {
        match self {
            Self::Files { record, .. } => record.kind(),
            Self::Table(table) => table.kind(),
        }
    }

    fn unsealed(&mut self, sealed: &Sealed<'_>, take: &mut Take<'_>) -> Result<Vec<Trouble>, Error> {
        match self {
            Self::Files { record, .. } => record.unsealed(sealed, take),
            Self::Table(table) => table.unsealed(sealed, take),
        }
    }

    fn stands(&mut self, place: &Place, take: &mut Take<'_>) -> Result<(), Error> {
        match self {
            Self::Files { record, .. } => record.stands(place, take),
            Self::Table(table) => table.stands(place, take),
        }
    }
}

impl verify::Source for Source {
    fn streams(&mut self) -> Result<Vec<Stream>, Error> {
        match self {
            Self::Files { record, .. } => record.streams(),
            Self::Table(table) => table.streams(),
        }
    }

    fn read(&mut self, stream: &Stream, from: u64, to: u64, each: &mut Each<'_>) -> Result<(), Error> {
        match self {
            Self::Files { record, .. } => record.read(stream, from, to, each),
            Self::Table(table) => table.read(stream, from, to, each),
        }
    }

    fn refused(&mut self, chain: &str) -> Result<Vec<u64>, Error> {
        match self {
            Self::Files { record, .. } => record.refused(chain),
            Self::Table(table) => table.refused(chain),
        }
    }

    fn lines_before(&mut self, stream: &Stream, positions: &[u64]) -> Result<Vec<u64>, Error> {
        match self {
            Self::Files { record, .. } => record.lines_before(stream, positions),
            Self::Table(table) => table.lines_before(stream, positions),
        }
    }
}

/// The rows of a database.
pub(super) struct Connected(pub(super) Database);

impl Rows for Connected {
    fn rows(&mut self, ranges: &[[i64; 2]], most: u32) -> Result<RowPage, String> {
        let found = self.0.numbered(ranges, most).map_err(|error| Failure::from(error).into_reason())?;
        let rows = found.rows.into_iter().map(|(id, line)| Row { id, line }).collect();
        Ok(RowPage { rows, more: found.more })
    }

    fn refused(&mut self, chain: &str) -> Result<Vec<u64>, String> {
        self.0.refused(chain).map_err(|error| Failure::from(error).into_reason())
    }
}
