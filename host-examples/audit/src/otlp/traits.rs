//! What a call has that tells it from others, as hashes: texts of a remembered call would take much memory.

use super::export::Names;
use super::sighting::Sighting;

/// Claude Code's name for all tools of servers that a user has set up.
const HIDDEN: &str = "mcp_tool";

/// What stands between the names of a server and a tool.
const BETWEEN: [&str; 6] = ["__", "_", ".", "/", "-", ":"];

/// What is known of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Traits {
    /// The names that those who saw it have for its tool: one for each at most.
    tools: Vec<Tool>,
    call_id: Option<u64>,
    conversation: Option<u64>,
    /// The hash of its arguments.
    pub(super) input: Option<u64>,
}

/// The name of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Tool {
    name: u64,
    /// Other names of it: without that of its server, or with it.
    others: Vec<u64>,
}

impl Traits {
    pub(super) fn of(sighting: &Sighting, names: &Names) -> Self {
        let texts = &sighting.texts;
        let hash = |text: &str| (!text.is_empty()).then(|| names.of(text));
        let is_known = !texts.tool.is_empty() && *texts.tool != *HIDDEN;
        Self {
            tools: is_known.then(|| Tool::of(&texts.tool, &texts.server, names)).into_iter().collect(),
            call_id: hash(&texts.call_id),
            conversation: hash(&texts.conversation),
            input: sighting.input.as_ref().and_then(|input| hash(&input.hash)),
        }
    }

    /// Adds what another sighting of the same call tells.
    pub(super) fn add(&mut self, other: Self) {
        for tool in other.tools {
            if !self.tools.contains(&tool) {
                self.tools.push(tool);
            }
        }
        self.call_id = self.call_id.or(other.call_id);
        self.conversation = self.conversation.or(other.conversation);
        self.input = self.input.or(other.input);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.tools.len()
    }

    /// Whether both can be of one call: nothing that both of them tell is another. Arguments may be written in two ways.
    pub(super) fn agree(&self, other: &Self) -> bool {
        let is_one_tool = || self.tools.iter().any(|one| other.tools.iter().any(|other| one.agrees(other)));
        !differ(self.call_id, other.call_id)
            && !differ(self.conversation, other.conversation)
            && (self.tools.is_empty() || other.tools.is_empty() || is_one_tool())
    }
}

/// Whether both are known, and not the same.
pub(super) fn differ(one: Option<u64>, other: Option<u64>) -> bool {
    one.zip(other).is_some_and(|(one, other)| one != other)
}

impl Tool {
    fn of(tool: &str, server: &str, names: &Names) -> Self {
        let mut others: Vec<u64> = bare(tool).map(|bare| names.of(bare)).collect();
        if !server.is_empty() {
            others.extend(BETWEEN.map(|between| names.of(format!("{server}{between}{tool}").as_str())));
            let without_server = |between: &str| tool.strip_prefix(server)?.strip_prefix(between);
            others.extend(
                BETWEEN.iter().filter_map(|between| without_server(between)).map(|bare| names.of(bare)),
            );
        }
        Self { name: names.of(tool), others }
    }

    fn agrees(&self, other: &Self) -> bool {
        self.name == other.name || self.others.contains(&other.name) || other.others.contains(&self.name)
    }
}

/// A name without that of the server, where it shows that it has one: `mcp__server__tool`, `server/tool` and `@server/tool`.
fn bare(tool: &str) -> impl Iterator<Item = &str> {
    let of_mcp = tool.strip_prefix("mcp__").and_then(|rest| rest.split_once("__"));
    let of_path = tool.rsplit_once('/');
    of_mcp
        .into_iter()
        .chain(of_path)
        .filter(|(server, tool)| !server.is_empty() && !tool.is_empty())
        .map(|(_, tool)| tool)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::sighting::Vantage;

    fn traits(names: &Names, tool: &str, server: &str) -> Traits {
        let mut sighting = Sighting::new(Vantage::Execute);
        sighting.texts.tool = tool.into();
        sighting.texts.server = server.into();
        Traits::of(&sighting, names)
    }

    #[test]
    fn a_tool_is_the_same_with_the_name_of_its_server_and_without() {
        let names = Names::default();
        for (one, other, server, expected) in [
            ("search", "search", "", true),
            ("", "search", "", true),
            ("mcp_tool", "search", "", true),
            ("mcp__web__search", "search", "", true),
            ("web/search", "search", "", true),
            ("@web/search", "search", "", true),
            ("web.search", "search", "web", true),
            ("web_search", "search", "web", true),
            ("web.search", "search", "", false),
            ("smart_search", "search", "web", false),
            ("mcp__web__smart_search", "search", "web", false),
            ("mcp__web__search", "mcp__other__search", "", false),
            ("research", "search", "re", false),
            ("search", "fetch", "web", false),
        ] {
            for [server, of_other] in [["", server], [server, ""]] {
                let (one, other) = (traits(&names, one, server), traits(&names, other, of_other));
                assert_eq!((one.agree(&other), other.agree(&one)), (expected, expected), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn another_conversation_is_another_call() {
        let names = Names::default();
        let of = |conversation: &str| {
            let mut sighting = Sighting::new(Vantage::Execute);
            sighting.texts.conversation = conversation.into();
            Traits::of(&sighting, &names)
        };
        assert!(of("a").agree(&of("a")) && of("a").agree(&of("")) && !of("a").agree(&of("b")));
    }
}
