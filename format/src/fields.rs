//! The members of a JSON line, collected while it is parsed.

use crate::attributes;
use crate::event::{Event, Field};
use crate::id;
use crate::json::{Json, Origin};
use crate::line::{Parsed, Stamp};
use crate::mended::{Change, Mended};
use alloc::string::String;

/// The name of a member that a line can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Event(Field),
    Attributes,
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
            attributes::NAME => Some(Self::Attributes),
            "id" => Some(Self::Id),
            "chain" => Some(Self::Chain),
            "seq" => Some(Self::Seq),
            "hash" => Some(Self::Hash),
            _ => Field::ALL.into_iter().find(|field| field.older_name() == Some(name)).map(Self::Event),
        }
    }
}

impl Name {
    /// The name of the member in messages.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Event(field) => field.name(),
            Self::Attributes => attributes::NAME,
            Self::Id => "id",
            Self::Chain => "chain",
            Self::Seq => "seq",
            Self::Hash => "hash",
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
    /// What was changed in the values.
    pub(crate) mended: Mended,
}

impl<'a> Fields<'a> {
    /// Adds a member. Of one that is given twice, the last value counts. An error says what is wrong with it, and what
    /// is accepted.
    // Into the fast parser, which otherwise takes a fifth longer.
    #[inline(always)]
    pub(crate) fn put(&mut self, name: Name, value: Json<'a>, origin: Origin) -> Result<(), String> {
        match name {
            Name::Event(field) => {
                if !self.event.set(field, value, origin)? {
                    self.mended.note(Change::Rounded, field.name());
                }
            }
            Name::Attributes => self.event.attributes = value.into_attributes(origin)?,
            Name::Id => self.id = value,
            Name::Chain => self.chain = value,
            Name::Seq => self.seq = value,
            Name::Hash => self.hash = value,
        }
        Ok(())
    }

    /// The number that was given as `seq`; 0 if there is none.
    pub(crate) fn seq(&self) -> u64 {
        match self.seq {
            Json::Number(seq) => seq,
            _ => 0,
        }
    }

    /// The event and what was changed in it, when all members were added.
    pub(crate) fn sent(self) -> (Event<'a>, Mended) {
        (self.event, self.mended)
    }

    /// The same members without those of a stamp, and with copies of the texts that they borrow.
    pub(crate) fn of_another_writer(self) -> Fields<'static> {
        let seq = Json::Number(self.seq());
        Fields { event: self.event.into_owned(), mended: self.mended, seq, ..Fields::default() }
    }

    /// The line, when all members were added.
    #[inline]
    pub(crate) fn stored(mut self) -> Parsed<'a> {
        if !self.event.attributes.is_empty() {
            attributes::mend(&mut self.event.attributes, &mut self.mended);
            attributes::cut_values(&mut self.event.attributes);
        }
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
