//! The spans of the last while: which is below which, and what they tell of the calls below them. The agent and the
//! conversation often stand on an ancestor only, and one call can be a span within another one.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::sighting::Texts;

/// How many spans are remembered.
pub(super) const MAX_SPANS: usize = 32_768;

/// How many ancestors of a span are looked at.
const MAX_ANCESTORS: usize = 64;

/// How much of each text is remembered, in bytes.
const MAX_TEXT: usize = 256;

/// What a span tells of the calls below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Context {
    conversation: Arc<str>,
    agent_id: Arc<str>,
    agent_name: Arc<str>,
    user: Arc<str>,
}

impl Context {
    /// None: it tells nothing.
    pub(super) fn of(texts: &Texts) -> Option<Box<Self>> {
        let cut = |text: &Arc<str>| match text.floor_char_boundary(MAX_TEXT) {
            len if len < text.len() => text[..len].into(),
            _ => Arc::clone(text),
        };
        let context = Self {
            conversation: cut(&texts.conversation),
            agent_id: cut(&texts.agent_id),
            agent_name: cut(&texts.agent_name),
            user: cut(&texts.user),
        };
        (context != Self::default()).then(|| context.into())
    }
}

/// A span that was exported.
#[derive(Clone, Debug)]
pub(super) struct Passed {
    pub(super) name: u64,
    pub(super) parent: Option<u64>,
    /// It is the work of an agent. A call below it is one that this agent makes.
    pub(super) is_agent: bool,
    pub(super) context: Option<Box<Context>>,
}

/// The spans of the last while, by their names.
#[derive(Debug, Default)]
pub(super) struct Lineage {
    spans: HashMap<u64, Passed>,
    order: VecDeque<u64>,
}

/// The ancestors of a span.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ancestors {
    /// From the parent on upwards.
    pub(super) names: Vec<u64>,
    /// How many of them are below the nearest span of an agent: only these can be the same call.
    pub(super) within: usize,
    /// The last of them was not exported yet.
    pub(super) end_is_unknown: bool,
}

impl Ancestors {
    /// The ancestor that was not exported yet, if it can be of the same call.
    pub(super) fn unknown(&self) -> Option<u64> {
        let is_within = self.within == self.names.len();
        self.names.last().copied().filter(|_| self.end_is_unknown && is_within)
    }

    /// Those that can be of the same call.
    pub(super) fn within(&self) -> &[u64] {
        self.names.get(..self.within).unwrap_or_default()
    }
}

impl Lineage {
    pub(super) fn add(&mut self, span: Passed) {
        let name = span.name;
        if self.spans.insert(name, span).is_some() {
            return;
        }
        self.order.push_back(name);
        if self.order.len() > MAX_SPANS
            && let Some(oldest) = self.order.pop_front()
        {
            self.spans.remove(&oldest);
        }
    }

    /// The span of this name and what is above it.
    pub(super) fn ancestors(&self, from: Option<u64>) -> Ancestors {
        let mut ancestors = Ancestors::default();
        let mut next = from;
        while let Some(name) = next
            && ancestors.names.len() < MAX_ANCESTORS
        {
            let span = self.spans.get(&name);
            let is_agent = span.is_some_and(|span| span.is_agent);
            if ancestors.within == ancestors.names.len() && !is_agent {
                ancestors.within += 1;
            }
            ancestors.names.push(name);
            ancestors.end_is_unknown = span.is_none();
            next = span.and_then(|span| span.parent);
        }
        ancestors
    }

    /// Adds what the nearest of the ancestors tell. Both texts of an agent come from the same span.
    pub(super) fn complete(&self, ancestors: &Ancestors, texts: &mut Texts) {
        for context in ancestors.names.iter().filter_map(|name| self.spans.get(name)?.context.as_deref()) {
            let with_agent = texts.agent_id.is_empty() && texts.agent_name.is_empty();
            let agent = |text: &Arc<str>| if with_agent { Arc::clone(text) } else { Arc::default() };
            texts.complete(Texts {
                conversation: Arc::clone(&context.conversation),
                agent_id: agent(&context.agent_id),
                agent_name: agent(&context.agent_name),
                user: Arc::clone(&context.user),
                ..Texts::default()
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(name: u64, parent: Option<u64>, agent_id: &str, agent_name: &str) -> Passed {
        let texts = Texts { agent_id: agent_id.into(), agent_name: agent_name.into(), ..Texts::default() };
        Passed { name, parent, is_agent: false, context: Context::of(&texts) }
    }

    #[test]
    fn the_nearest_agent_above_is_the_agent() {
        let mut lineage = Lineage::default();
        lineage.add(span(1, None, "a-1", "outer"));
        lineage.add(span(2, Some(1), "", "inner"));
        lineage.add(span(3, Some(2), "", ""));
        let ancestors = lineage.ancestors(Some(3));
        assert_eq!(ancestors, Ancestors { names: vec![3, 2, 1], within: 3, end_is_unknown: false });
        let mut texts = Texts::default();
        lineage.complete(&ancestors, &mut texts);
        assert_eq!((&*texts.agent_id, &*texts.agent_name), ("", "inner"));
    }

    #[test]
    fn an_ancestor_that_comes_later_is_unknown_and_a_circle_ends() {
        let mut lineage = Lineage::default();
        lineage.add(span(2, Some(1), "", ""));
        assert_eq!(
            lineage.ancestors(Some(2)),
            Ancestors { names: vec![2, 1], within: 2, end_is_unknown: true }
        );
        assert_eq!(lineage.ancestors(None), Ancestors::default());
        lineage.add(span(1, Some(2), "", ""));
        assert_eq!(lineage.ancestors(Some(2)).names.len(), MAX_ANCESTORS);
    }

    #[test]
    fn what_is_above_an_agent_is_another_call() {
        let mut lineage = Lineage::default();
        lineage.add(span(3, Some(2), "", ""));
        lineage.add(Passed { is_agent: true, ..span(2, Some(1), "", "inner") });
        let ancestors = lineage.ancestors(Some(3));
        assert_eq!((ancestors.names.as_slice(), ancestors.within()), (&[3, 2, 1][..], &[3][..]));
        assert_eq!((ancestors.end_is_unknown, ancestors.unknown()), (true, None));
    }

    #[test]
    fn no_more_spans_are_remembered_than_there_is_room_for() {
        let mut lineage = Lineage::default();
        (0..2 * MAX_SPANS as u64).for_each(|name| lineage.add(span(name, Some(name), "a", "")));
        assert_eq!((lineage.spans.len(), lineage.order.len()), (MAX_SPANS, MAX_SPANS));
        assert!(!lineage.spans.contains_key(&0));
    }
}
