//! Whether two names of a tool may be of one tool: sources name it each in its way.

/// The action of a tool that does one thing.
const NO_ACTION: &str = "call";

/// Tools of Copilot CLI, as its hooks call them and as its transcripts do. Its hooks with names like those of Claude Code have
/// Claude Code's names of tools.
const RENAMED: [(&str, &str); 7] = [
    ("read", "view"),
    ("write", "create"),
    ("multiedit", "edit"),
    ("agent", "task"),
    ("todowrite", "updatetodo"),
    ("bash", "shell"),
    ("bash", "powershell"),
];

/// A tool, and its action.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Name {
    tool: String,
    action: String,
}

impl Name {
    pub(super) fn new(tool: &str, action: &str) -> Self {
        let action = if action == NO_ACTION { "" } else { action };
        Self { tool: plain(tool), action: plain(action) }
    }

    /// Whether both may be of one tool. That of a server may be told with the server or without it.
    pub(super) fn may_be(&self, other: &Self) -> bool {
        let is_empty = |name: &Self| name.tool.is_empty() && name.action.is_empty();
        let is_of_server = |name: &Self, bare: &Self| bare.action.is_empty() && name.action == bare.tool;
        let is_renamed = |name: &Self, other: &Self| RENAMED.contains(&(&name.whole(), &other.whole()));
        self == other
            || is_empty(self)
            || is_empty(other)
            || self.whole() == other.whole()
            || is_of_server(self, other)
            || is_of_server(other, self)
            || is_renamed(self, other)
            || is_renamed(other, self)
    }

    fn whole(&self) -> String {
        let whole = [self.tool.as_str(), &self.action].concat();
        whole.strip_prefix("mcp").map(str::to_owned).unwrap_or(whole)
    }
}

/// The letters and digits, so that `WebFetch` and `web_fetch` are one.
fn plain(name: &str) -> String {
    let mut plain: String =
        name.chars().filter(|char| char.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    if plain.is_empty() {
        plain = name.to_owned();
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_may_name_a_tool_each_in_its_way() {
        for (one, other, expected) in [
            (("Bash", "call"), ("bash", "call"), true),
            (("WebFetch", "call"), ("web_fetch", "call"), true),
            (("Read", "call"), ("view", "call"), true),
            (("github", "create_issue"), ("mcp_github_create_issue", "call"), true),
            (("github", "create_issue"), ("create_issue", "call"), true),
            (("", ""), ("Bash", "call"), true),
            (("delete_all", "call"), ("list_all", "call"), false),
            (("github", "create_issue"), ("gitlab", "create_issue"), false),
            (("write", "call"), ("todo_write", "call"), false),
            (("…", "call"), ("!", "call"), false),
        ] {
            let name = |(tool, action)| Name::new(tool, action);
            assert_eq!(name(one).may_be(&name(other)), expected, "{one:?} {other:?}");
            assert_eq!(name(other).may_be(&name(one)), expected, "{other:?} {one:?}");
        }
    }
}
