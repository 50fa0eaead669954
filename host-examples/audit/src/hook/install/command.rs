//! The command that agents run: this program with the options that it was configured with.

use std::path::Path;

use super::super::Agent;
use super::setup::Place;
use crate::args::HookArgs;
use crate::message::Failure;
use crate::own;

/// A command without the name of the agent.
#[derive(Debug)]
pub(super) struct Command {
    program: String,
    before_agent: Vec<String>,
    after_agent: Vec<String>,
    /// Whether a call is also recorded when it begins.
    pub(super) has_starts: bool,
}

/// Options that say what is to be done now, and not what the agent's command is to do.
const OF_INSTALL: [&str; 4] = ["--install", "--uninstall", "--dry-run", "--list"];

impl Command {
    /// The command line of this process, as it was given, with the folder of the record made explicit.
    /// `is_placed`: an option says where the record is.
    pub(super) fn new(args: &HookArgs, place: &Place, is_placed: bool) -> Result<Self, Failure> {
        let mut before_agent = Vec::new();
        let mut after_agent = Vec::new();
        let mut has_hook = false;
        let agent = args.agent.map(Agent::name).unwrap_or_default();
        for word in own::words()? {
            if OF_INSTALL.contains(&word.as_str()) || (has_hook && word == agent) {
                continue;
            }
            if word == "hook" && !has_hook {
                has_hook = true;
                continue;
            }
            if has_hook { after_agent.push(word) } else { before_agent.push(word) }
        }
        if !(args.user || args.project || is_placed) {
            after_agent.push("--user".to_owned());
        }
        let has_starts = args.calls.starts || args.calls.fail_closed;
        Ok(Self { program: own::program(place.is_project)?, before_agent, after_agent, has_starts })
    }

    /// The command without options, to look for it.
    pub(super) fn bare() -> Self {
        Self {
            program: "audit".to_owned(),
            before_agent: Vec::new(),
            after_agent: Vec::new(),
            has_starts: false,
        }
    }

    /// The words of the command.
    pub(super) fn words(&self, agent: Agent) -> Vec<String> {
        let name = ["hook".to_owned(), agent.name()];
        [vec![self.program.clone()], self.before_agent.clone(), name.to_vec(), self.after_agent.clone()]
            .concat()
    }

    /// The command for a shell.
    pub(super) fn line(&self, agent: Agent) -> String {
        self.words(agent).iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
    }
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "-_./=:,+@%\\".contains(char);
    match !word.is_empty() && word.chars().all(is_plain) && (cfg!(windows) || !word.contains('\\')) {
        true => word.to_owned(),
        false if cfg!(windows) => format!("\"{word}\""),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// The program of a command line that runs this program as a hook. None: it is another command.
pub(super) fn program_of_hook(line: &str) -> Option<String> {
    let words = words(line);
    let program = words.first()?;
    let name = Path::new(program).file_stem()?.to_str()?;
    (name == "audit" && words.iter().any(|word| word == "hook")).then(|| program.clone())
}

/// The words of a command line, without their quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![];
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(char) = chars.next() {
        match (char, quote) {
            (char, Some(open)) if char == open => quote = None,
            (_, Some(_)) => word.get_or_insert_default().push(char),
            ('\'' | '"', None) => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            ('\\', None) if !cfg!(windows) => word.get_or_insert_default().extend(chars.next()),
            (char, None) if char.is_whitespace() => words.extend(word.take()),
            (char, None) => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_of_ours_is_recognised_and_no_other() {
        let program = |line| program_of_hook(line);
        assert_eq!(program("audit hook claude").as_deref(), Some("audit"));
        assert_eq!(
            program("'/a b/it'\\''s/audit' --backend auto hook claude --user").as_deref(),
            Some("/a b/it's/audit")
        );
        for other in ["", "hook audit", "audit read", "my-audit hook claude", "sh -c 'audit hook claude'"] {
            assert_eq!(program(other), None, "{other}");
        }
    }

    #[test]
    fn a_quoted_word_is_one_word_to_a_shell() {
        for word in ["", "a b", "it's", "$HOME", "a;b", "plain", "ü", "\"", "a\\b", "*"] {
            assert_eq!(words(&quoted(word)), [word], "{word}");
        }
    }
}
