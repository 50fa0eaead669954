//! Conversions between the types of this crate and records of other crates, such as those that are generated
//! from the WIT.

use alloc::borrow::Cow;
use alloc::string::String;

/// The conversion of a field's value between an [`Event`](crate::event::Event) and a record of another crate,
/// in both directions; used by [`event_record`](crate::event_record).
pub trait Owned<T> {
    /// The value as the other type, which borrows nothing.
    fn own(self) -> T;
}

impl Owned<String> for Cow<'_, str> {
    fn own(self) -> String {
        self.into_owned()
    }
}

impl Owned<Option<String>> for Option<Cow<'_, str>> {
    fn own(self) -> Option<String> {
        self.map(Cow::into_owned)
    }
}

impl Owned<Cow<'static, str>> for Cow<'_, str> {
    fn own(self) -> Cow<'static, str> {
        Cow::Owned(self.into_owned())
    }
}

impl Owned<Option<Cow<'static, str>>> for Option<Cow<'_, str>> {
    fn own(self) -> Option<Cow<'static, str>> {
        self.map(Owned::own)
    }
}

impl Owned<Cow<'static, str>> for String {
    fn own(self) -> Cow<'static, str> {
        Cow::Owned(self)
    }
}

impl Owned<Option<Cow<'static, str>>> for Option<String> {
    fn own(self) -> Option<Cow<'static, str>> {
        self.map(Cow::Owned)
    }
}

impl Owned<u64> for u64 {
    fn own(self) -> u64 {
        self
    }
}

/// The conversion of a record's value into a field of an [`Event`](crate::event::Event) that borrows its text; used by
/// [`event_record`](crate::event_record).
pub trait Lent<'r, T> {
    /// The value, which borrows from this one.
    fn lend(&'r self) -> T;
}

impl<'r> Lent<'r, Cow<'r, str>> for String {
    fn lend(&'r self) -> Cow<'r, str> {
        Cow::Borrowed(self)
    }
}

impl<'r> Lent<'r, Option<Cow<'r, str>>> for Option<String> {
    fn lend(&'r self) -> Option<Cow<'r, str>> {
        self.as_deref().map(Cow::Borrowed)
    }
}

impl Lent<'_, u64> for u64 {
    fn lend(&self) -> u64 {
        *self
    }
}

/// Implements the conversions between [`Event`](crate::event::Event) and a record with the same fields, whose
/// texts are `String`, such as the record that is generated from the WIT; and those of its attributes.
///
/// ```
/// pub struct Record {
///     pub ts: String, pub req_id: String, pub workspace_id: String, pub user_id: String,
///     pub agent_id: String, pub tool: String, pub action: String, pub status: String,
///     pub duration_ms: u64, pub in_size: u64, pub out_size: u64, pub input_hash: String,
///     pub graph_run_id: Option<String>, pub graph_node: Option<String>, pub job_id: Option<String>,
///     pub attributes: Vec<Pair>,
/// }
/// pub struct Pair { pub key: String, pub value: String }
///
/// audit_format::event_record!(Record, Pair);
///
/// # fn main() {
/// let record = Record::from(audit_format::event::Event { tool: "search".into(), ..Default::default() });
/// assert_eq!(record.tool, "search");
/// assert_eq!(audit_format::event::Event::from(&record).tool, "search");
/// # }
/// ```
#[macro_export]
macro_rules! event_record {
    ($record:path, $attribute:path) => {
        $crate::event_fields!([$crate::event_record] $record, $attribute;);
    };
    ($record:path, $attribute:path;
        $(($field:ident $name:ident $kind:ident $filtered:ident $older:tt $about:literal))*) => {
        impl From<$attribute> for $crate::attributes::Attribute<'static> {
            fn from(attribute: $attribute) -> Self {
                Self::new(attribute.key, attribute.value)
            }
        }

        impl From<$crate::attributes::Attribute<'_>> for $attribute {
            fn from(attribute: $crate::attributes::Attribute<'_>) -> Self {
                Self { key: attribute.key.into_owned(), value: attribute.value.into_owned() }
            }
        }

        impl<'r> From<&'r $attribute> for $crate::attributes::Attribute<'r> {
            fn from(attribute: &'r $attribute) -> Self {
                Self::new(&*attribute.key, &*attribute.value)
            }
        }

        impl<'r> From<&'r $record> for $crate::event::Event<'r> {
            fn from(record: &'r $record) -> Self {
                let attributes = record.attributes.iter().map(Into::into).collect();
                Self { $($field: $crate::record::Lent::lend(&record.$field),)* attributes }
            }
        }

        impl From<$record> for $crate::event::Event<'static> {
            fn from(record: $record) -> Self {
                let attributes = record.attributes.into_iter().map(Into::into).collect();
                Self { $($field: $crate::record::Owned::own(record.$field),)* attributes }
            }
        }

        impl From<$crate::event::Event<'_>> for $record {
            fn from(event: $crate::event::Event<'_>) -> Self {
                let attributes = event.attributes.into_iter().map(Into::into).collect();
                Self { $($field: $crate::record::Owned::own(event.$field),)* attributes }
            }
        }
    };
}

/// Implements the conversions between [`Filter`](crate::query::Filter) and a record of filters, such as the
/// one that is generated from the WIT. The record has two optional bounds, `from_ts` and `to_ts`, an optional text for
/// each field that reads can be filtered by, and a list of attributes, whose type [`event_record`] was called with.
#[macro_export]
macro_rules! filter_record {
    ($record:path) => {
        $crate::event_fields!([$crate::filter_record] $record;);
    };
    ($record:path; $(($field:ident $name:ident $kind:ident $filtered:ident $older:tt $about:literal))*) => {
        impl From<$record> for $crate::query::Filter {
            fn from(record: $record) -> Self {
                let attributes = record.attributes.into_iter().map(Into::into).collect();
                let mut filter =
                    Self { from_ts: record.from_ts, to_ts: record.to_ts, attributes, ..Self::default() };
                $($crate::filter_record!(@$filtered if let Some(text) = record.$field {
                    filter.texts.push(($crate::event::Field::$name, text));
                });)*
                filter
            }
        }

        impl From<$crate::query::Filter> for $record {
            fn from(filter: $crate::query::Filter) -> Self {
                let $crate::query::Filter { from_ts, to_ts, mut texts, attributes } = filter;
                let attributes = attributes.into_iter().map(Into::into).collect();
                let mut text = |field| {
                    let place = texts.iter().position(|(known, _)| *known == field)?;
                    Some(texts.swap_remove(place).1)
                };
                $crate::filter_record!(@record from_ts to_ts attributes text []
                    $(($field $name $kind $filtered $older $about))*)
            }
        }
    };
    (@record $from:ident $to:ident $attributes:ident $text:ident [$($done:ident $name:ident)*]) => {
        Self { from_ts: $from, to_ts: $to, attributes: $attributes, $($done: $text($crate::event::Field::$name),)* }
    };
    (@record $from:ident $to:ident $attributes:ident $text:ident [$($done:tt)*]
        ($field:ident $name:ident $kind:ident filtered $older:tt $about:literal) $($rest:tt)*) => {
        $crate::filter_record!(@record $from $to $attributes $text [$($done)* $field $name] $($rest)*)
    };
    (@record $from:ident $to:ident $attributes:ident $text:ident [$($done:tt)*] $unfiltered:tt $($rest:tt)*) => {
        $crate::filter_record!(@record $from $to $attributes $text [$($done)*] $($rest)*)
    };
    (@filtered $($then:tt)*) => { $($then)* };
    (@unfiltered $($then:tt)*) => {};
}
