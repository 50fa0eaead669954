//! The agents whose transcripts can be read, and where they keep them.
//!
//! Of each agent the place and the form are documented or known from its source. OpenCode and Goose keep their sessions in
//! SQLite databases, and Cline keeps them inside of editors: those are not read.

use std::collections::HashSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::transcript::Transcript;
use super::{claude::Claude, codex::Codex, copilot::Copilot, gemini::Gemini};
use crate::call::place;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Agent {
    /// Claude Code: $CLAUDE_CONFIG_DIR/projects, or ~/.claude/projects
    Claude,
    /// Codex CLI: $CODEX_HOME/sessions, or ~/.codex/sessions
    Codex,
    /// GitHub Copilot CLI: $COPILOT_HOME/session-state, or ~/.copilot/session-state
    Copilot,
    /// Gemini CLI: ~/.gemini/tmp, or .gemini/tmp in $GEMINI_CLI_HOME
    Gemini,
}

/// Folders are not searched deeper than this.
const MAX_DEPTH: usize = 8;

impl Agent {
    /// The name of the product in `agent_id`.
    pub(super) fn product(self) -> &'static str {
        match self {
            Self::Claude => "claude-code",
            Self::Codex => "codex",
            Self::Copilot => "copilot",
            Self::Gemini => "gemini-cli",
        }
    }

    /// Whether an event with this `agent_id` is of the agent, under any name that its sources give it.
    pub(super) fn is_named(self, agent_id: &str) -> bool {
        let product = agent_id.split(':').next().unwrap_or_default();
        let others: &[&str] = match self {
            Self::Claude => &["claude"],
            Self::Codex => &["codex-cli", "codex_cli_rs"],
            Self::Copilot => &["copilot-cli", "github-copilot"],
            Self::Gemini => &["gemini"],
        };
        product == self.product() || others.contains(&product)
    }

    /// Whether its hooks tell no identifier of a call, so that calls are known by their arguments alone.
    pub(super) fn lacks_ids(self) -> bool {
        matches!(self, Self::Copilot | Self::Gemini)
    }

    /// What reads a transcript.
    pub(super) fn transcript(self, path: &Path) -> Box<dyn Transcript> {
        match self {
            Self::Claude => Box::new(Claude::new(path)),
            Self::Codex => Box::new(Codex::default()),
            Self::Copilot => Box::new(Copilot::new(path)),
            Self::Gemini => Box::new(Gemini::new(path)),
        }
    }

    /// The folders where it keeps transcripts.
    pub(super) fn folders(self) -> Vec<PathBuf> {
        let home = |variable: &str, name: &str| {
            let given = env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
            given.or_else(|| Some(place::home()?.join(name)))
        };
        let below = |folder: Option<PathBuf>, names: &[&str]| {
            folder.iter().flat_map(|folder| names.iter().map(|name| folder.join(name))).collect()
        };
        match self {
            Self::Claude => below(home("CLAUDE_CONFIG_DIR", ".claude"), &["projects"]),
            Self::Codex => below(home("CODEX_HOME", ".codex"), &["sessions", "archived_sessions"]),
            Self::Copilot => below(home("COPILOT_HOME", ".copilot"), &["session-state"]),
            Self::Gemini => below(home("GEMINI_CLI_HOME", ""), &[".gemini/tmp"]),
        }
    }

    fn form(self, path: &Path) -> Form {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_below = |folder: &str| path.iter().any(|part| part == folder);
        let is_of_agent = match self {
            Self::Claude => true,
            Self::Codex => name.starts_with("rollout-"),
            Self::Copilot => name.starts_with("events."),
            Self::Gemini => is_below("chats"),
        };
        match name.split_once('.').map(|(_, extension)| extension) {
            _ if !is_of_agent => Form::Other,
            _ if name.ends_with(".jsonl") => Form::Transcript,
            // Codex compresses old transcripts. Gemini kept one JSON document before.
            _ if name.contains(".jsonl.") => Form::NotRead,
            Some("json") if self == Self::Gemini => Form::NotRead,
            _ => Form::Other,
        }
    }
}

enum Form {
    Transcript,
    /// A transcript in a form that is not read.
    NotRead,
    Other,
}

/// The transcripts that were found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) paths: Vec<PathBuf>,
    /// How many are in a form that is not read, or no regular file.
    pub(super) not_read: u64,
    /// The folders that were searched, without symbolic links: a link may lead to one of them.
    searched: HashSet<PathBuf>,
}

impl Found {
    /// The transcripts in a folder and below it.
    pub(super) fn add_folder(&mut self, agent: Agent, folder: &Path) -> std::io::Result<()> {
        self.search(agent, folder, MAX_DEPTH)
    }

    fn search(&mut self, agent: Agent, folder: &Path, depth: usize) -> std::io::Result<()> {
        if !self.searched.insert(fs::canonicalize(folder)?) {
            return Ok(());
        }
        let mut entries: Vec<_> = fs::read_dir(folder)?.filter_map(Result::ok).collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            match fs::metadata(&path) {
                // What cannot be read any more is gone.
                Ok(kind) if kind.is_dir() && depth > 0 => drop(self.search(agent, &path, depth - 1)),
                Ok(kind) if kind.is_file() => match agent.form(&path) {
                    Form::Transcript => self.paths.push(path),
                    Form::NotRead => self.not_read += 1,
                    Form::Other => {}
                },
                Ok(kind) if !kind.is_dir() && !matches!(agent.form(&path), Form::Other) => self.not_read += 1,
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transcripts_are_found_in_the_places_of_their_agent() {
        let home = tempfile::tempdir().unwrap();
        for (agent, transcripts, others) in [
            (
                Agent::Claude,
                &["-home-p/s.jsonl", "-home-p/s/subagents/agent-a.jsonl"][..],
                &["-home-p/s/x.meta.json"][..],
            ),
            (
                Agent::Codex,
                &["2026/11/23/rollout-a.jsonl"],
                &["2026/11/23/rollout-b.jsonl.zst", "history.jsonl"],
            ),
            (Agent::Copilot, &["uuid/events.jsonl"], &["uuid/workspace.yaml", "uuid/other.jsonl"]),
            (
                Agent::Gemini,
                &["p/chats/session-a.jsonl", "p/chats/s/b.jsonl"],
                &["p/logs.json", "p/chats/session-b.json"],
            ),
        ] {
            let root = home.path().join(agent.product());
            for name in transcripts.iter().chain(others) {
                let path = root.join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "").unwrap();
            }
            let mut found = Found::default();
            found.add_folder(agent, &root).unwrap();
            found.paths.sort();
            let mut expected: Vec<PathBuf> = transcripts.iter().map(|name| root.join(name)).collect();
            expected.sort();
            assert_eq!(found.paths, expected);
            assert_eq!(found.not_read, u64::from(matches!(agent, Agent::Codex | Agent::Gemini)), "{agent:?}");
        }
    }
}
