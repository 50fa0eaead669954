//! Attributes: pairs of a key and a text, for what an event has no field for, such as a trace's identifier.

use crate::cut::{self, Limit};
use crate::mended::{Change, Mended};
use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

/// The name of the attributes in the JSON line, the table and records.
pub const NAME: &str = "attributes";

/// The most attributes of an event.
pub const MAX_COUNT: usize = 16;

/// The longest key, in bytes.
pub const MAX_KEY: usize = 64;

/// The longest value, in bytes.
pub const MAX_VALUE: usize = 512;

/// A key and its value: the WIT record `attribute`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// In a stored event: 1 to 64 of the characters `a-z 0-9 _ . -`.
    pub key: Cow<'a, str>,
    /// In a stored event: at most 512 bytes.
    pub value: Cow<'a, str>,
}

impl<'a> Attribute<'a> {
    /// An attribute.
    pub fn new(key: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) -> Self {
        Self { key: key.into(), value: value.into() }
    }

    /// The same attribute, with copies of the texts that it borrows.
    pub fn into_owned(self) -> Attribute<'static> {
        Attribute { key: Cow::Owned(self.key.into_owned()), value: Cow::Owned(self.value.into_owned()) }
    }
}

/// Brings the attributes into the form that is stored, but for the lengths of their values: sorted by key, each key once,
/// at most [`MAX_COUNT`]. Of one key the last value counts; of too many keys, those that were given first.
pub(crate) fn mend(attributes: &mut Vec<Attribute<'_>>, mended: &mut Mended) {
    if is_stored_form(attributes) {
        return;
    }
    for Attribute { key, value } in attributes.iter_mut() {
        if let Some(accepted) = accepted_key(key) {
            *key = accepted.into();
            mended.note(Change::Attributes, NAME);
        }
        if cut::replace(value) {
            mended.note(Change::Replaced, NAME);
        }
    }
    let given = attributes.len();
    let mut kept: Vec<Attribute<'_>> = Vec::new();
    for attribute in attributes.drain(..) {
        match kept.iter().position(|known| known.key == attribute.key) {
            Some(place) => kept[place] = attribute,
            None if kept.len() < MAX_COUNT => kept.push(attribute),
            None => {}
        }
    }
    if kept.len() < given {
        mended.note(Change::Attributes, NAME);
    }
    kept.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    *attributes = kept;
}

/// Cuts the values that are too long.
pub(crate) fn cut_values(attributes: &mut [Attribute<'_>]) {
    for Attribute { value, .. } in attributes {
        if let Some(end) = Limit::bytes(MAX_VALUE).cuts(value) {
            *value = cut::cut(value, end).into();
        }
    }
}

fn is_stored_form(attributes: &[Attribute<'_>]) -> bool {
    let is_stored = |Attribute { key, value }: &Attribute<'_>| is_accepted(key) && !cut::is_replaced(value);
    attributes.len() <= MAX_COUNT
        && attributes.is_sorted_by(|a, b| a.key < b.key)
        && attributes.iter().all(is_stored)
}

pub(crate) fn is_accepted(key: &str) -> bool {
    (1..=MAX_KEY).contains(&key.len()) && key.chars().all(is_key_char)
}

fn is_key_char(char: char) -> bool {
    matches!(char, 'a'..='z' | '0'..='9' | '_' | '.' | '-')
}

/// The key that is stored in the place of one that is not accepted; none: it is accepted.
pub(crate) fn accepted_key(key: &str) -> Option<String> {
    if is_accepted(key) {
        return None;
    }
    let accepted = |char: char| match char.to_ascii_lowercase() {
        char if is_key_char(char) => char,
        _ => '_',
    };
    let mut accepted: String = key.chars().take(MAX_KEY + 1).map(accepted).collect();
    if accepted.len() > MAX_KEY {
        // The hash of the key as it was given, so that different keys stay different.
        let ending = cut::ending(key).replace('…', "_");
        accepted.truncate(MAX_KEY - ending.len());
        accepted.push_str(&ending);
    }
    Some(if accepted.is_empty() { "_".into() } else { accepted })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::vec;
    use proptest::prelude::*;

    fn mended(pairs: &[(&str, &str)]) -> (Vec<Attribute<'static>>, bool) {
        let mut attributes = pairs.iter().map(|(k, v)| Attribute::new(*k, *v).into_owned()).collect();
        let mut mended = Mended::default();
        mend(&mut attributes, &mut mended);
        (attributes, !mended.is_empty())
    }

    #[test]
    fn attributes_are_sorted_and_each_key_counts_once() {
        let expected = vec![Attribute::new("model", "m"), Attribute::new("trace_id", "2")];
        assert_eq!(mended(&[("trace_id", "2"), ("model", "m")]), (expected.clone(), false));
        assert_eq!(mended(&[("trace_id", "1"), ("model", "m"), ("trace_id", "2")]), (expected, true));
    }

    #[test]
    fn keys_that_are_not_accepted_are_changed_and_stay_apart() {
        assert_eq!(mended(&[("Trace ID", "1")]), (vec![Attribute::new("trace_id", "1")], true));
        assert_eq!(mended(&[("", "1")]), (vec![Attribute::new("_", "1")], true));
        let (long, other) = ("k".repeat(65), "k".repeat(66));
        let (attributes, _) = mended(&[(&long, "1"), (&other, "2")]);
        assert_eq!(attributes.len(), 2);
        assert!(attributes.iter().all(|attribute| attribute.key.len() == MAX_KEY));
    }

    #[test]
    fn of_too_many_the_first_are_kept() {
        let names: Vec<String> = (0..20).map(|n| format!("k{:02}", 20 - n)).collect();
        let pairs: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "v")).collect();
        let (attributes, changed) = mended(&pairs);
        assert!(changed && attributes.len() == MAX_COUNT && attributes[0].key == "k05");
    }

    proptest! {
        #[test]
        fn any_attributes_get_the_stored_form(
            pairs in proptest::collection::vec((".{0,70}|[a-c]", ".{0,9}|[é\u{0}x]{200,600}"), 0..20),
        ) {
            let pairs: Vec<(&str, &str)> = pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            let (attributes, changed) = mended(&pairs);
            prop_assert!(is_stored_form(&attributes));
            let same = pairs.iter().all(|(k, v)| attributes.contains(&Attribute::new(*k, *v)));
            prop_assert_eq!(changed, !(same && attributes.len() == pairs.len()));
        }
    }
}
