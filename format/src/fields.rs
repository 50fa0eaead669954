//! The members of a JSON line, collected while it is parsed.

use crate::event::{Event, Field};
use crate::id;
use crate::json::Json;
use crate::line::{Parsed, Stamp};
use alloc::string::String;

/// The name of a member that a line can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Event(Field),
    Id,
    Chain,
    Seq,
    Hash,
}

impl Name {
    /// The member of this name, or of this older name.
    pub(crate) fn of(name: &str) -> Option<Self> {
        if let Some(field) = Field::named(name) {
            return Some(Self::Event(field));
        }
        match name {
            "id" => Some(Self::Id),
            "chain" => Some(Self::Chain),
            "seq" => Some(Self::Seq),
            "hash" => Some(Self::Hash),
            _ => Field::ALL.into_iter().find(|field| field.older_name() == Some(name)).map(Self::Event),
        }
    }

    /// The bit of this member in a set of members.
    fn bit(self) -> u32 {
        const EVENT: u32 = Field::ALL.len() as u32;
        1 << match self {
            Self::Event(field) => field as u32,
            Self::Id => EVENT,
            Self::Chain => EVENT + 1,
            Self::Seq => EVENT + 2,
            Self::Hash => EVENT + 3,
        }
    }
}

/// The members of a line that were parsed so far.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a> {
    event: Event<'a>,
    id: Json<'a>,
    chain: Json<'a>,
    seq: Json<'a>,
    hash: Json<'a>,
    /// The set of members that were given, as bits.
    seen: u32,
}

impl<'a> Fields<'a> {
    /// Adds a member. An error says what is wrong with it, and what is accepted.
    pub(crate) fn put(&mut self, name: Name, value: Json<'a>) -> Result<(), String> {
        if self.seen & name.bit() != 0 {
            return Err("given twice; accepted is each field once".into());
        }
        self.seen |= name.bit();
        match name {
            Name::Event(field) => self.event.set(field, value)?,
            Name::Id => self.id = value,
            Name::Chain => self.chain = value,
            Name::Seq => self.seq = value,
            Name::Hash => self.hash = value,
        }
        Ok(())
    }

    /// The line, when all members were added.
    pub(crate) fn finish(self) -> Parsed<'a> {
        let stamp = stamp(self.id, self.chain, self.seq, self.hash);
        Parsed { event: self.event, stamp }
    }
}

/// The stamp, if all four members are valid. Otherwise another program wrote the line.
fn stamp<'a>(id: Json<'a>, chain: Json<'a>, seq: Json<'a>, hash: Json<'a>) -> Option<Stamp<'a>> {
    let (Json::Text(id), Json::Text(chain), Json::Number(seq), Json::Text(hash)) = (id, chain, seq, hash)
    else {
        return None;
    };
    let hexadecimal = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    let hashed = hash.len() == 64 && hash.bytes().all(hexadecimal);
    Some(Stamp { id: id::parse(&id)?, chain: id::parse(&chain)?, seq, hash: hashed.then_some(hash)? })
}
