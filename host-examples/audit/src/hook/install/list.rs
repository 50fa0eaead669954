//! Which agents are there, and whether their calls are recorded.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use audit_format::show::escaped;
use clap::Parser as _;

use super::super::Agent;
use super::command::{Command, words_of_hook};
use super::setup::{Part, Place, Setup};
use crate::args::Cli;
use crate::message::Failure;
use crate::own::{is_program, on_path};

/// How things are with an agent.
enum State {
    Absent,
    NotRecorded,
    /// Its hooks cannot be run: the program is not there, or does not have their options.
    Broken(PathBuf),
    /// It runs no hooks at all.
    Disabled(PathBuf),
    /// It has some of the hooks that it should have.
    Partly(PathBuf),
    Recorded(PathBuf),
}

pub(in super::super) fn list() -> Result<ExitCode, Failure> {
    let mut all_are_recorded = true;
    let mut text = String::new();
    for agent in Agent::all() {
        let state = state(*agent)?;
        all_are_recorded &= matches!(state, State::Absent | State::Recorded(_));
        text += &format!("{:<9} {}\n", agent.name(), told(*agent, &state));
    }
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::from(u8::from(!all_are_recorded))),
    }
}

fn told(agent: Agent, state: &State) -> String {
    let again = format!("`audit hook --install {}` does that", agent.name());
    let shown = |path: &PathBuf| escaped(&path.display().to_string()).into_owned();
    match state {
        State::Absent => "not found".to_owned(),
        State::NotRecorded => format!("found, not recorded: {again}"),
        State::Broken(path) => format!("found, not recorded: the command in {} cannot be run", shown(path)),
        State::Disabled(path) => format!("found, not recorded: {} disables all hooks", shown(path)),
        State::Partly(path) => format!("found, partly recorded: hooks are missing in {}", shown(path)),
        State::Recorded(path) => format!("recorded by {}", shown(path)),
    }
}

fn state(agent: Agent) -> Result<State, Failure> {
    let places = [Place::project()?, Place::user()?];
    let mut state = State::NotRecorded;
    for place in &places {
        let Ok(setup) = Setup::of(agent, place, &Command::bare()) else { continue };
        let Some(part) = setup.parts.last() else { continue };
        let path = part.path().to_owned();
        let commands: Vec<_> = setup.parts.iter().flat_map(|part| part.commands()).collect();
        let found: Vec<&String> = commands.iter().flatten().collect();
        state = match found.as_slice() {
            [] => continue,
            _ if setup.parts.iter().any(Part::is_disabled) => State::Disabled(path),
            found if !found.iter().all(|command| can_run(command)) => State::Broken(path),
            found if found.len() < commands.len() => State::Partly(path),
            _ => return Ok(State::Recorded(path)),
        };
    }
    // In a project, these two share their folder with others.
    let is_its_own = |place: &&Place| !(place.is_project && matches!(agent, Agent::Copilot | Agent::Goose));
    let has_settings = places.iter().filter(is_its_own).any(|place| place.settings(agent).is_dir());
    let is_found = is_installed(agent) || has_settings;
    Ok(match state {
        State::NotRecorded if !is_found => State::Absent,
        state => state,
    })
}

/// Whether the program of a command is there, by its path or on the `PATH`, and takes its options.
fn can_run(command: &str) -> bool {
    let words = words_of_hook(command);
    let Some(program) = words.first() else { return false };
    let is_there = match program.contains(std::path::is_separator) {
        true => is_program(Path::new(program)),
        false => on_path(program).is_some(),
    };
    is_there && Cli::try_parse_from(&words).is_ok()
}

/// Whether the agent's own program is on the `PATH`.
fn is_installed(agent: Agent) -> bool {
    let names: &[&str] = match agent {
        Agent::Claude => &["claude"],
        Agent::Codex => &["codex"],
        Agent::Cursor => &["cursor", "cursor-agent"],
        Agent::Gemini => &["gemini"],
        Agent::Copilot => &["copilot"],
        Agent::Kiro => &["kiro-cli", "kiro"],
        Agent::Windsurf => &["windsurf"],
        Agent::Goose => &["goose"],
        Agent::Cline => &["cline"],
        Agent::OpenCode => &["opencode"],
    };
    names.iter().any(|name| on_path(name).is_some())
}
