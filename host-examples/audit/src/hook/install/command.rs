//! The command that agents run: this program with the options that it was configured with.

use std::path::Path;

use super::super::Agent;
use super::setup::Place;
use crate::args::HookArgs;
use crate::message::Failure;
use crate::own::{self, Part};

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
        let line = if args.install { own::command_line()? } else { Vec::new() };
        for part in line {
            match part {
                Part::Option { name, .. } if OF_INSTALL.contains(&name.as_str()) => {}
                Part::Option { .. } if has_hook => after_agent.extend(part.into_words()),
                Part::Option { .. } => before_agent.extend(part.into_words()),
                // The subcommand, and the name of the agent.
                Part::Other(_) => has_hook = true,
            }
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
        line_of(&self.words(agent))
    }
}

/// The words as a command line for a shell.
pub(super) fn line_of(words: &[String]) -> String {
    words.iter().map(|word| own::quoted(word)).collect::<Vec<_>>().join(" ")
}

/// The program of a command line that runs this program as a hook. None: it is another command.
pub(super) fn program_of_hook(line: &str) -> Option<String> {
    let words = words_of_hook(line);
    let (program, arguments) = words.split_first()?;
    let is_hook = own::is_this(Path::new(program)) && own::arguments_of("hook", arguments).is_some();
    is_hook.then(|| program.clone())
}

/// The words of a command line from its program on, without the variables that are set before it.
pub(super) fn words_of_hook(line: &str) -> Vec<String> {
    let is_variable = |word: &String| {
        let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        word.split_once('=').is_some_and(|(name, _)| is_name(name))
    };
    words(line).into_iter().skip_while(is_variable).collect()
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
        assert_eq!(program("DATABASE_URL='x y' audit hook claude").as_deref(), Some("audit"));
        for other in [
            "",
            "audit exec --workspace hook -- x",
            "hook audit",
            "audit read",
            "my-audit hook claude",
            "sh -c 'audit hook claude'",
        ] {
            assert_eq!(program(other), None, "{other}");
        }
    }

    #[test]
    fn a_quoted_word_is_one_word_to_a_shell() {
        for word in ["", "a b", "it's", "$HOME", "a;b", "plain", "ü", "\"", "a\\b", "*"] {
            assert_eq!(words(&own::quoted(word)), [word], "{word}");
        }
    }
}
