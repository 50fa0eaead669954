//! The events of the record one by one, and removing them: what proofs and retention need beyond sealing.

use std::io::Write;

use audit_evidence::events::{At, Events, FindRow, Spot, TakeBody};
use audit_evidence::prune::{Judge, OnStep, Part, Prunable, PruneRows, Stays};
use audit_evidence::{Error, Place, Segments};
use audit_format::time::{Day, Timestamp};
use audit_host::SinkError;
use uuid::Uuid;

use super::record::{Connected, Source};
use crate::message::Failure;

impl Events for Source {
    fn bodies(&mut self, place: &Place, take: &mut TakeBody<'_>) -> Result<(), Error> {
        match self {
            Self::Files { record, .. } => record.bodies(place, take),
            Self::Table(table) => table.bodies(place, take),
        }
    }

    fn find(&mut self, id: Uuid) -> Result<Option<Spot>, Error> {
        match self {
            Self::Files { record, .. } => record.find(id),
            Self::Table(table) => table.find(id),
        }
    }

    fn index(&mut self, at: &At, segments: &Segments) -> Result<Option<u64>, Error> {
        match self {
            Self::Files { record, .. } => record.index(at, segments),
            Self::Table(table) => table.index(at, segments),
        }
    }
}

impl Prunable for Source {
    fn may_remove(&mut self) -> Result<(), Error> {
        match self {
            Self::Files { record, .. } => record.may_remove(),
            Self::Table(table) => table.may_remove(),
        }
    }

    fn finish(&mut self, judge: &mut Judge<'_>, step: &mut OnStep<'_>) -> Result<Vec<String>, Error> {
        match self {
            Self::Files { record, .. } => record.finish(judge, step),
            Self::Table(table) => table.finish(judge, step),
        }
    }

    fn parts(&mut self, before: Day, judge: &mut Judge<'_>) -> Result<(Vec<Part>, Vec<Stays>), Error> {
        match self {
            Self::Files { record, .. } => record.parts(before, judge),
            Self::Table(table) => table.parts(before, judge),
        }
    }

    fn copy(&mut self, part: &Part, out: &mut dyn Write) -> Result<(), Error> {
        match self {
            Self::Files { record, .. } => record.copy(part, out),
            Self::Table(table) => table.copy(part, out),
        }
    }

    fn remove(&mut self, part: &Part, step: &mut OnStep<'_>) -> Result<(), Error> {
        match self {
            Self::Files { record, .. } => record.remove(part, step),
            Self::Table(table) => table.remove(part, step),
        }
    }
}

fn reason(error: SinkError) -> String {
    Failure::from(error).into_reason()
}

impl FindRow for Connected {
    fn find(&mut self, event_id: Uuid) -> Result<Option<i64>, String> {
        self.0.number_of(&event_id.hyphenated().to_string()).map_err(reason)
    }
}

impl PruneRows for Connected {
    fn older(&mut self, before: Timestamp, after: i64, most: u32) -> Result<Vec<i64>, String> {
        self.0.older(before, after, most).map_err(reason)
    }

    fn may_delete(&mut self) -> Result<(), String> {
        match self.0.may_delete().map_err(reason)? {
            true => Ok(()),
            false => {
                Err("the role may not delete: a prune needs one with DELETE on tool_audit_events".into())
            }
        }
    }

    fn delete(&mut self, ranges: &[[i64; 2]]) -> Result<(), String> {
        self.0.delete(ranges).map_err(reason)?;
        // A policy or a trigger may have kept some, without an error.
        let left = self.0.numbered(ranges, 1).map_err(reason)?;
        match left.rows.first() {
            None => Ok(()),
            Some((id, _)) => Err(format!(
                "the row {id} is still there after it was deleted: a row security policy or a trigger keeps it"
            )),
        }
    }
}
