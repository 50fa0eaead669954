//! What a check has found, and what it has not looked at.

use std::collections::BTreeMap;
use std::fmt;

use audit_log::checkpoint::{Checkpoint, Origin};
use audit_log::tree::Hash;
use serde::{Serialize, Serializer};

/// What a check has found. As JSON it is the answer of `audit verify --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The checkpoint that was checked.
    pub checkpoint: Head,
    /// What was counted.
    pub counts: Counts,
    /// Whether what was sealed is as it was.
    pub unaltered: Answer,
    /// Whether nothing of what was sealed is missing.
    pub not_removed: Answer,
    /// What can be said about whether all calls came here at all.
    pub captured: Captured,
    /// All that is not as it should be, in the order of the record.
    pub findings: Vec<Finding>,
    /// What could not be checked, and so is not proved.
    pub not_checked: Vec<String>,
}

/// The head of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Head {
    /// Which log it is.
    #[serde(serialize_with = "as_text")]
    pub origin: Origin,
    /// The number of leaves.
    pub size: u64,
    /// The root of the tree.
    #[serde(serialize_with = "as_text")]
    pub root: Hash,
    /// The pinned keys of the log that signed it.
    pub signed_by: Vec<String>,
    /// The pinned witnesses that cosigned it.
    pub cosigned_by: Vec<Cosignature>,
}

/// That a witness has seen a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cosignature {
    /// The name of the witness.
    pub witness: String,
    /// When, in seconds since 1970.
    pub time: u64,
}

fn as_text<T: fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

impl From<&Checkpoint> for Head {
    fn from(checkpoint: &Checkpoint) -> Self {
        Self {
            origin: checkpoint.origin().clone(),
            size: checkpoint.size(),
            root: checkpoint.root(),
            signed_by: Vec::new(),
            cosigned_by: Vec::new(),
        }
    }
}

/// How much there is of what. All are numbers of events, but for `unreadable`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Leaves of the log.
    pub sealed: u64,
    /// Of those, the ones that stand in the record as they were sealed.
    pub as_sealed: u64,
    /// Of those, the ones that were removed by retention, as a sealed event of the record says.
    pub pruned: u64,
    /// Of those, the ones that were not looked at: they are older than was asked for, or their hashes are lost.
    pub not_looked_at: u64,
    /// Events that are not sealed yet.
    pub unsealed: u64,
    /// Events without a stamp of a store, sealed or not.
    pub foreign: u64,
    /// Lines or rows that are no event: torn ones, for example.
    pub unreadable: u64,
    /// Events that wait in the spool, which are no part of the record yet.
    pub spooled: u64,
    /// Events that the database has refused, which explain holes in chains.
    pub refused: u64,
}

/// Whether something holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Holds {
    /// It does, as far as hashes and signatures prove something.
    Yes,
    /// It does not: there is a finding.
    No,
    /// Nothing speaks against it, and something that would prove it is missing.
    NotProved,
}

/// An answer, and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// The answer.
    pub holds: Holds,
    /// What it rests on, in sentences for people.
    pub because: Vec<String>,
}

/// What the record itself says about whether all calls came here. It is never a proof: what was never recorded leaves no
/// trace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Captured {
    /// How many events each source has reported. The empty name: the event names none.
    pub sources: BTreeMap<String, u64>,
    /// How many chains there are: instances of a store that wrote here.
    pub chains: u64,
    /// How many events are missing in chains, whatever the reason.
    pub missing_in_chains: u64,
    /// How many of those the database has refused, or wait in the spool.
    pub explained: u64,
    /// Calls that were recorded at their start and have no end.
    pub without_end: u64,
}

/// What is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// It is another one than was sealed, or is not what its own hash says.
    Changed,
    /// It was sealed and is gone.
    Missing,
    /// It stands among sealed ones, and was never sealed.
    Inserted,
    /// It stands in another place than it was sealed in.
    Reordered,
    /// It stands there once more.
    Duplicated,
    /// The end of a file that was sealed is gone.
    Truncated,
    /// The log is older than a checkpoint of it.
    RolledBack,
    /// The log has another history than a checkpoint of it.
    Forked,
    /// Numbers of a chain are missing, and nothing explains why.
    Gap,
    /// No pinned key has signed.
    Unsigned,
    /// A signature of a pinned key is wrong.
    WrongSignature,
    /// It is another log than was asked for.
    OtherLog,
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Changed => "changed",
            Self::Missing => "missing",
            Self::Inserted => "inserted",
            Self::Reordered => "reordered",
            Self::Duplicated => "duplicated",
            Self::Truncated => "truncated",
            Self::RolledBack => "rolled back",
            Self::Forked => "forked",
            Self::Gap => "gap in a chain",
            Self::Unsigned => "unsigned",
            Self::WrongSignature => "wrong signature",
            Self::OtherLog => "other log",
        })
    }
}

/// Where something is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum Spot {
    /// Lines of a file of the record.
    Line {
        /// The file.
        file: String,
        /// The number of the first line, from 1. Of what is missing: of the line that stands in its place now.
        line: u64,
    },
    /// Rows of the table.
    Row {
        /// The `id` of the first row.
        row: i64,
    },
    /// A chain.
    Chain {
        /// The chain.
        chain: String,
        /// The first number that is missing.
        seq: u64,
    },
    /// A file of the log, or a checkpoint that was kept elsewhere.
    Log {
        /// Its name.
        log: String,
    },
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { file, line } => write!(f, "{file}:{line}"),
            Self::Row { row } => write!(f, "row {row}"),
            Self::Chain { chain, seq } => write!(f, "chain {chain}, seq {seq}"),
            Self::Log { log } => f.write_str(log),
        }
    }
}

/// Something that is not as it should be, with its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What is wrong.
    pub kind: FindingKind,
    /// Where.
    #[serde(flatten)]
    pub place: Spot,
    /// How many events, one after the other; 0 where it is not about events.
    pub count: u64,
    /// The first leaf of the log that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaf: Option<u64>,
    /// More about it, for people.
    pub detail: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.kind)?;
        if self.count > 1 {
            write!(f, ", {} events", self.count)?;
        }
        if let Some(leaf) = self.leaf {
            write!(f, " (leaf {leaf})")?;
        }
        if self.detail.is_empty() { Ok(()) } else { write!(f, ": {}", self.detail) }
    }
}

impl Verdict {
    /// Whether there is nothing to find fault with. What could not be checked is another matter.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }
}
