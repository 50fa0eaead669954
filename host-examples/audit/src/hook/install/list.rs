//! Which agents are there, and whether their calls are recorded.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::super::Agent;
use super::command::Command;
use super::setup::{Place, Setup};
use crate::message::Failure;
use crate::own::on_path;

/// How things are with an agent.
enum State {
    Absent,
    NotRecorded,
    /// Its hooks run a program that is not there.
    Broken(PathBuf),
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
    match state {
        State::Absent => "not found".to_owned(),
        State::NotRecorded => format!("found, not recorded: {again}"),
        State::Broken(path) => {
            format!("found, not recorded: {} runs a program that is not there", path.display())
        }
        State::Partly(path) => format!("found, partly recorded: hooks are missing in {}", path.display()),
        State::Recorded(path) => format!("recorded by {}", path.display()),
    }
}

fn state(agent: Agent) -> Result<State, Failure> {
    let places = [Place::project()?, Place::user()?];
    let mut state = State::NotRecorded;
    for place in &places {
        let Ok(setup) = Setup::of(agent, place, &Command::bare()) else { continue };
        let Some(part) = setup.parts.last() else { continue };
        let path = part.path().to_owned();
        let programs: Vec<_> = setup.parts.iter().flat_map(|part| part.programs()).collect();
        let found: Vec<&String> = programs.iter().flatten().collect();
        state = match found.as_slice() {
            [] => continue,
            found if !found.iter().all(|program| is_there(program)) => State::Broken(path),
            found if found.len() < programs.len() => State::Partly(path),
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

/// Whether a program is there, by its path or on the `PATH`.
fn is_there(program: &str) -> bool {
    match program.contains(std::path::is_separator) {
        true => Path::new(program).is_file(),
        false => on_path(program).is_some(),
    }
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
