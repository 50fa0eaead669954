//! What is kept of an export: the calls that it tells of, and, of all other spans, what they tell of the calls below them.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, Hash, RandomState};

use super::attributes::{Attributes, Key};
use super::lineage::{Context, MAX_SPANS, Passed};
use super::read::{Encoding, Record, Signal, Sink, Span, SpanId, TraceId, Undecodable, read};
use super::recognise::{self, Told};
use super::sighting::{Shared, Sighting, Texts, Vantage};
use crate::call::input::Hasher;

/// The most calls of one export: far more than any exporter sends at once.
pub(super) const MAX_CALLS: usize = 32_768;

/// What a call takes in memory until it is recorded, about, without its texts, in bytes.
const ROOM_OF_CALL: usize = 2 * size_of::<Sighting>() + 512;

/// No span or log record of a call is shorter, in bytes.
const SHORTEST_CALL: usize = 64;

/// How many bytes the calls of a body of this length take in memory at most, about.
pub(super) fn most_room(body: usize) -> usize {
    body.saturating_add((body / SHORTEST_CALL).min(MAX_CALLS) * ROOM_OF_CALL)
}

/// Why an export is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Undecodable(String),
    TooManyCalls,
}

impl From<Undecodable> for Refusal {
    fn from(undecodable: Undecodable) -> Self {
        Self::Undecodable(undecodable.0)
    }
}

/// Short names for long identifiers: hashes under a key of this process, so that nobody can make two of them equal.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(RandomState);

impl Names {
    pub(super) fn of(&self, what: impl Hash) -> u64 {
        self.0.hash_one(what)
    }

    pub(super) fn of_span(&self, trace: TraceId, span: SpanId) -> u64 {
        self.of(("span", trace, span))
    }
}

/// What an export told.
#[derive(Debug, Default)]
pub(super) struct Export {
    pub(super) calls: Vec<Sighting>,
    /// Decisions that let a call happen.
    pub(super) allowed: Vec<Sighting>,
    /// The spans, the last ones if there are very many.
    pub(super) spans: VecDeque<Passed>,
    /// How many spans and log records told of no call.
    pub(super) forgotten: u64,
    /// How many spans of calls have no valid identifiers.
    pub(super) rejected: u64,
    /// How many bytes its calls take in memory, about.
    pub(super) room: usize,
}

impl Export {
    /// Reads an export.
    pub(super) fn read(
        signal: Signal,
        encoding: Encoding,
        body: &[u8],
        names: &Names,
        hasher: &Hasher,
    ) -> Result<Self, Refusal> {
        let mut reader = Reader {
            names,
            hasher,
            export: Self::default(),
            texts: Shared::default(),
            records: HashMap::new(),
        };
        read(signal, encoding, body, &mut reader)?;
        let Reader { mut export, texts, .. } = reader;
        export.room = export.calls.len() * ROOM_OF_CALL + texts.len;
        Ok(export)
    }

    fn add(&mut self, call: Sighting) -> Result<(), Refusal> {
        if self.calls.len() == MAX_CALLS {
            return Err(Refusal::TooManyCalls);
        }
        self.calls.push(call);
        Ok(())
    }
}

struct Reader<'e> {
    names: &'e Names,
    hasher: &'e Hasher,
    export: Export,
    texts: Shared,
    /// How often each log record without an identifier of its call came.
    records: HashMap<u64, u32>,
}

impl Sink for Reader<'_> {
    type Error = Refusal;

    fn span(&mut self, resource: &Attributes<'_>, span: Span<'_>) -> Result<(), Refusal> {
        let sighting = recognise::span(resource, &span, self.hasher);
        let export = &mut self.export;
        let (Some(trace), Some(id)) = (span.trace, span.id) else {
            *(if sighting.is_some() { &mut export.rejected } else { &mut export.forgotten }) += 1;
            return Ok(());
        };
        let name = self.names.of_span(trace, id);
        let mut context = recognise::context(&span.attributes);
        context.share(&mut self.texts);
        if export.spans.len() == MAX_SPANS {
            export.spans.pop_front();
        }
        export.spans.push_back(Passed {
            name,
            parent: span.parent.map(|parent| self.names.of_span(trace, parent)),
            is_agent: sighting.is_none() && recognise::is_agent(&span.attributes),
            context: Context::of(&context),
        });
        match sighting {
            Some(mut sighting) => {
                sighting.texts.share(&mut self.texts);
                export.add(Sighting { own: self.names.of(("own", name)), ..sighting })
            }
            None => {
                export.forgotten += 1;
                Ok(())
            }
        }
    }

    fn record(&mut self, resource: &Attributes<'_>, record: Record<'_>) -> Result<(), Refusal> {
        let mut named = |mut sighting: Sighting| {
            sighting.texts.share(&mut self.texts);
            let Sighting { time, trace, span, duration, outcome, ref input, out_size, .. } = sighting;
            let is_decision = sighting.vantage == Vantage::Decision;
            let Texts { conversation, call_id, tool, turn, .. } = &sighting.texts;
            let sequence = record.attributes.text(Key::Sequence);
            let input = input.as_ref().map(|input| (&input.hash, input.size));
            let of_record = (is_decision, time, trace, span, sequence);
            let of_call = (conversation, call_id, tool, turn, duration, outcome.name(), input, out_size);
            let mut own = self.names.of(("record", of_record, of_call));
            if call_id.is_empty() {
                // Nothing tells equal calls apart but that there are several.
                let count = self.records.entry(own).or_default();
                *count += 1;
                own = self.names.of(("record", own, *count));
            }
            Sighting { own, ..sighting }
        };
        let export = &mut self.export;
        match recognise::record(resource, &record, self.hasher) {
            Told::Call(sighting) => export.add(named(*sighting)),
            Told::Allowed(mut sighting) => {
                if export.allowed.len() < MAX_CALLS {
                    sighting.texts.share(&mut self.texts);
                    export.allowed.push(*sighting);
                }
                Ok(())
            }
            Told::Nothing => {
                export.forgotten += 1;
                Ok(())
            }
        }
    }
}
