//! The fields of a line while it is read, by whichever reader.

use crate::event::Event;
use crate::id;
use crate::line::{Parsed, Stamp};
use crate::time::quoted;
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;

/// A JSON value as far as a line needs it; texts without escapes are borrowed from the line.
#[derive(Debug, Default)]
pub enum Value<'a> {
    /// `null`
    #[default]
    Null,
    /// Text.
    Text(Cow<'a, str>),
    /// A whole number.
    Number(u64),
    /// Anything else, in words.
    Other(String),
}

impl<'a> Value<'a> {
    fn text(self) -> Result<Cow<'a, str>, String> {
        Ok(self.optional()?.unwrap_or_default())
    }

    fn optional(self) -> Result<Option<Cow<'a, str>>, String> {
        match self {
            Self::Null => Ok(None),
            Self::Text(text) => Ok(Some(text)),
            other => Err(format!("found {}; accepted is text or null", other.in_words())),
        }
    }

    fn number(self) -> Result<u64, String> {
        match self {
            Self::Null => Ok(0),
            Self::Number(number) => Ok(number),
            other => {
                let (words, most) = (other.in_words(), u64::MAX);
                Err(format!("found {words}; accepted is a whole number from 0 to {most}"))
            }
        }
    }

    /// What was found, for a message.
    pub fn in_words(self) -> String {
        match self {
            Self::Null => "null".into(),
            Self::Text(text) => format!("the text {}", quoted(&text)),
            Self::Number(number) => format!("the number {number}"),
            Self::Other(words) => words,
        }
    }
}

/// Where a field belongs in the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(u8);

/// The place of a field, and the name under which it came: some have an older one.
pub fn place_of(key: &str) -> Option<(Place, &'static str)> {
    let (place, name) = match key {
        "ts" => (0, "ts"),
        "req_id" => (1, "req_id"),
        "workspace_id" => (2, "workspace_id"),
        "user_id" => (3, "user_id"),
        "agent_id" => (4, "agent_id"),
        "tool" => (5, "tool"),
        "action" => (6, "action"),
        "status" => (7, "status"),
        "duration_ms" => (8, "duration_ms"),
        "in_size" => (9, "in_size"),
        "input_chars" => (9, "input_chars"),
        "out_size" => (10, "out_size"),
        "output_size_bytes" => (10, "output_size_bytes"),
        "input_hash" => (11, "input_hash"),
        "graph_run_id" => (12, "graph_run_id"),
        "graph_node" => (13, "graph_node"),
        "job_id" => (14, "job_id"),
        "id" => (15, "id"),
        "chain" => (16, "chain"),
        "seq" => (17, "seq"),
        "hash" => (18, "hash"),
        _ => return None,
    };
    Some((Place(place), name))
}

/// The fields that were read so far.
#[derive(Debug, Default)]
pub struct Fields<'a> {
    event: Event<'a>,
    id: Value<'a>,
    chain: Value<'a>,
    seq: Value<'a>,
    hash: Value<'a>,
    seen: u32,
}

impl<'a> Fields<'a> {
    /// Adds a field; an error says what is wrong with it, and what is accepted.
    pub fn put(&mut self, Place(place): Place, value: Value<'a>) -> Result<(), String> {
        if self.seen & (1 << place) != 0 {
            return Err("given twice; accepted is each field once".into());
        }
        self.seen |= 1 << place;
        let event = &mut self.event;
        match place {
            0 => event.ts = value.text()?,
            1 => event.req_id = value.text()?,
            2 => event.workspace_id = value.text()?,
            3 => event.user_id = value.text()?,
            4 => event.agent_id = value.text()?,
            5 => event.tool = value.text()?,
            6 => event.action = value.text()?,
            7 => event.status = value.text()?,
            8 => event.duration_ms = value.number()?,
            9 => event.in_size = value.number()?,
            10 => event.out_size = value.number()?,
            11 => event.input_hash = value.text()?,
            12 => event.graph_run_id = value.optional()?,
            13 => event.graph_node = value.optional()?,
            14 => event.job_id = value.optional()?,
            15 => self.id = value,
            16 => self.chain = value,
            17 => self.seq = value,
            _ => self.hash = value,
        }
        Ok(())
    }

    /// The line.
    pub fn finish(self) -> Parsed<'a> {
        let stamp = stamp(self.id, self.chain, self.seq, self.hash);
        Parsed { event: self.event, stamp }
    }
}

/// Only a whole stamp is one: anything less came from another writer.
fn stamp<'a>(id: Value<'a>, chain: Value<'a>, seq: Value<'a>, hash: Value<'a>) -> Option<Stamp<'a>> {
    let (Value::Text(id), Value::Text(chain), Value::Number(seq), Value::Text(hash)) = (id, chain, seq, hash)
    else {
        return None;
    };
    let hexadecimal = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    let hashed = hash.len() == 64 && hash.bytes().all(hexadecimal);
    Some(Stamp { id: id::parse(&id)?, chain: id::parse(&chain)?, seq, hash: hashed.then_some(hash)? })
}
