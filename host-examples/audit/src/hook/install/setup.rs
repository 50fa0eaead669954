//! Where each agent has its hooks, and what has to stand there.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use jsonc_parser::cst::CstInputValue;

use super::super::Agent;
use super::command::{Command, program_of_hook};
use super::merge::{Form, Hooks};
use crate::args::HookArgs;
use crate::call::place;
use crate::config::{Change, ConfigFile};
use crate::message::Failure;

/// Whose configuration is meant.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) is_project: bool,
    /// The home of the user, or the root of the project.
    root: PathBuf,
}

impl Place {
    pub(super) fn of(args: &HookArgs) -> Result<Self, Failure> {
        if args.project { Self::project() } else { Self::user() }
    }

    pub(super) fn user() -> Result<Self, Failure> {
        let home =
            place::home().ok_or_else(|| Failure::because("--user", "there is no home folder; set HOME"))?;
        Ok(Self { is_project: false, root: home })
    }

    pub(super) fn project() -> Result<Self, Failure> {
        Ok(Self { is_project: true, root: place::project(&env::current_dir()?).to_owned() })
    }

    /// A folder below the root: in a project this one; of a user the one that the variable says, else the other one.
    fn folder(&self, in_project: &str, variable: &str, of_user: &str) -> PathBuf {
        if self.is_project {
            return self.root.join(in_project);
        }
        let given = env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
        given.unwrap_or_else(|| self.root.join(of_user))
    }

    /// The folder in which the agent keeps its settings.
    pub(super) fn settings(&self, agent: Agent) -> PathBuf {
        match agent {
            Agent::Claude => self.folder(".claude", "CLAUDE_CONFIG_DIR", ".claude"),
            Agent::Codex => self.folder(".codex", "CODEX_HOME", ".codex"),
            Agent::Cursor => self.folder(".cursor", "", ".cursor"),
            Agent::Gemini => self.folder(".gemini", "", ".gemini"),
            Agent::Copilot => self.folder(".github", "COPILOT_HOME", ".copilot"),
            Agent::Kiro => self.folder(".kiro", "", ".kiro"),
            Agent::Windsurf => self.folder(".windsurf", "", ".codeium/windsurf"),
            Agent::Goose => self.folder(".agents", "", ".agents"),
            Agent::Cline => self.folder(".cline", "", ".cline"),
            Agent::OpenCode if self.is_project => self.root.join(".opencode"),
            Agent::OpenCode => self.folder("", "XDG_CONFIG_HOME", ".config").join("opencode"),
        }
    }
}

/// How an agent is configured.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) parts: Vec<Part>,
    /// What the user still has to do.
    pub(super) then: &'static str,
}

/// A file of an agent's configuration.
#[derive(Debug)]
pub(super) enum Part {
    /// Hooks in a file that has other things too.
    Merged(PathBuf, Hooks),
    /// A file of this program.
    Own { path: PathBuf, text: String, is_program: bool },
}

impl Part {
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Merged(path, _) | Self::Own { path, .. } => path,
        }
    }

    /// The change that configures the agent, or takes that out; or why the file cannot be changed.
    pub(super) fn change(&self, file: ConfigFile, install: bool) -> Result<Change, String> {
        let after = match self {
            Self::Merged(_, hooks) if install => hooks.install(file.text())?,
            Self::Merged(_, hooks) => hooks.uninstall(file.text(), file.backup().as_deref())?,
            Self::Own { .. } if file.text().is_some_and(|text| !self.is_ours(text)) => {
                if install {
                    return Err("it is there already, and is not of this program".to_owned());
                }
                file.text().map(str::to_owned)
            }
            Self::Own { text, .. } => install.then(|| text.clone()),
        };
        Ok(file.change_to(after))
    }

    /// What to add by hand.
    pub(super) fn paste(&self) -> String {
        match self {
            Self::Merged(_, hooks) => hooks.install(None).ok().flatten().unwrap_or_default(),
            Self::Own { text, .. } => text.clone(),
        }
    }

    /// What is to be done once the file is written.
    pub(super) fn finish(&self) -> Result<(), Failure> {
        #[cfg(unix)]
        if let Self::Own { path, is_program: true, .. } = self
            && path.exists()
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
        }
        Ok(())
    }

    /// The program that each hook runs; none where a hook is missing.
    pub(super) fn programs(&self) -> Vec<Option<String>> {
        let text = fs::read_to_string(self.path()).unwrap_or_default();
        match self {
            Self::Merged(_, hooks) => hooks.programs(&text),
            Self::Own { .. } if !self.is_ours(&text) => vec![None],
            Self::Own { .. } => programs_in(&text).map(Some).collect(),
        }
    }

    fn is_ours(&self, text: &str) -> bool {
        let Self::Own { text: own, .. } = self else { return false };
        // A manifest runs nothing: it has to be the same.
        text == own || programs_in(text).next().is_some()
    }
}

/// The programs that the lines of a file run as hooks.
fn programs_in(text: &str) -> impl Iterator<Item = String> {
    let line = |line: &str| {
        let line = line.trim().trim_start_matches("exec ").trim_start_matches("\"command\": ");
        // The plugin of OpenCode has the words of the command as a JSON array.
        match line
            .strip_prefix("const COMMAND = ")
            .and_then(|words| serde_json::from_str::<Vec<String>>(words).ok())
        {
            Some(words) if words.iter().any(|word| word == "hook") => words.into_iter().next(),
            _ => program_of_hook(line.trim_end_matches(" \"$@\"")),
        }
    };
    text.lines().filter_map(line)
}

const RESTART: &str = "Restart the agent, so that it reads the change.";

impl Setup {
    pub(super) fn of(agent: Agent, place: &Place, command: &Command) -> Result<Self, Failure> {
        let folder = place.settings(agent);
        let starts = |name: &'static str| command.has_starts.then_some(name);
        let line = command.line(agent);
        let hook = |members: &[(&str, CstInputValue)]| -> Vec<(String, CstInputValue)> {
            members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
        };
        let typed = |seconds: &str, number: &str| {
            hook(&[
                ("type", "command".into()),
                ("command", line.as_str().into()),
                (seconds, CstInputValue::Number(number.to_owned())),
            ])
        };
        let merged = |file: &str, form, top: &[(&str, CstInputValue)], events: Vec<&'static str>, one| {
            Part::Merged(folder.join(file), Hooks { form, top: hook(top), events, hook: one })
        };
        let version = [("version", CstInputValue::Number("1".to_owned()))];
        let (parts, then) = match agent {
            Agent::Claude => {
                let events = [
                    Some("PostToolUse"),
                    Some("PostToolUseFailure"),
                    Some("PermissionDenied"),
                    starts("PreToolUse"),
                ];
                let events = events.into_iter().flatten().collect();
                let part =
                    merged("settings.json", Form::Grouped(Some("*")), &[], events, typed("timeout", "10"));
                (
                    vec![part],
                    "Sessions that are open take it over once `/hooks` was opened, new ones at once.",
                )
            }
            Agent::Codex => {
                // The first one is for the durations.
                let part = merged(
                    "hooks.json",
                    Form::Grouped(Some("*")),
                    &[],
                    vec!["PreToolUse", "PostToolUse"],
                    typed("timeout", "10"),
                );
                (
                    vec![part],
                    "Start Codex, open `/hooks`, and trust the hooks, now and after each change of them.",
                )
            }
            Agent::Cursor => {
                let events = [Some("postToolUse"), Some("postToolUseFailure"), starts("preToolUse")];
                let one = hook(&[
                    ("command", line.as_str().into()),
                    ("timeout", CstInputValue::Number("10".into())),
                ]);
                (
                    vec![merged(
                        "hooks.json",
                        Form::Flat,
                        &version,
                        events.into_iter().flatten().collect(),
                        one,
                    )],
                    RESTART,
                )
            }
            Agent::Gemini => {
                let one = hook(&[
                    ("name", "audit".into()),
                    ("type", "command".into()),
                    ("command", line.as_str().into()),
                    ("timeout", CstInputValue::Number("10000".into())),
                ]);
                // The first one is for the durations.
                let events = vec!["BeforeTool", "AfterTool"];
                (vec![merged("settings.json", Form::Grouped(Some("*")), &[], events, one)], RESTART)
            }
            Agent::Copilot => {
                let events = [Some("postToolUse"), Some("postToolUseFailure"), starts("preToolUse")];
                let one = typed("timeoutSec", "10");
                let events = events.into_iter().flatten().collect();
                (vec![merged("hooks/audit.json", Form::Flat, &version, events, one)], RESTART)
            }
            Agent::Kiro => {
                let events: Vec<_> =
                    [Some("postToolUse"), starts("preToolUse")].into_iter().flatten().collect();
                let one = hook(&[
                    ("matcher", "*".into()),
                    ("command", line.as_str().into()),
                    ("timeout_ms", CstInputValue::Number("10000".into())),
                ]);
                let agents = kiro_agents(&folder.join("agents"))?;
                let part = |path| {
                    let hooks = Hooks {
                        form: Form::Flat,
                        top: Vec::new(),
                        events: events.clone(),
                        hook: one.clone(),
                    };
                    Part::Merged(path, hooks)
                };
                let then = "Start a new session. Agents that are added later need this command once more.";
                (agents.into_iter().map(part).collect(), then)
            }
            Agent::Windsurf => {
                let ends = ["post_run_command", "post_mcp_tool_use", "post_write_code", "post_read_code"];
                let begins = ["pre_run_command", "pre_mcp_tool_use", "pre_write_code", "pre_read_code"];
                let begins = begins.into_iter().filter_map(starts);
                let one =
                    hook(&[("command", line.as_str().into()), ("show_output", CstInputValue::Bool(false))]);
                let events = ends.into_iter().chain(begins).collect();
                (vec![merged("hooks.json", Form::Flat, &[], events, one)], RESTART)
            }
            Agent::Goose => {
                let plugin = folder.join("plugins/audit");
                let events = [
                    Some("PreToolUseResult"),
                    Some("PostToolUse"),
                    Some("PostToolUseFailure"),
                    starts("PreToolUse"),
                ];
                let hooks = Hooks {
                    form: Form::Grouped(None),
                    top: Vec::new(),
                    events: events.into_iter().flatten().collect(),
                    hook: typed("timeout", "10"),
                };
                let manifest = Part::Own {
                    path: plugin.join("plugin.json"),
                    text: GOOSE_PLUGIN.to_owned(),
                    is_program: false,
                };
                (vec![manifest, Part::Merged(plugin.join("hooks/hooks.json"), hooks)], RESTART)
            }
            Agent::Cline => {
                let script = format!("#!/bin/sh\nexec {line}\n");
                let part = |name| Part::Own {
                    path: folder.join("hooks").join(name),
                    text: script.clone(),
                    is_program: true,
                };
                let events = [Some("PostToolUse"), starts("PreToolUse")];
                (events.into_iter().flatten().map(part).collect(), RESTART)
            }
            Agent::OpenCode => {
                let words = serde_json::to_string(&command.words(agent)).unwrap_or_default();
                let text = OPENCODE_PLUGIN.replace("const COMMAND = []", &format!("const COMMAND = {words}"));
                let part = Part::Own { path: folder.join("plugin/audit.js"), text, is_program: false };
                (vec![part], RESTART)
            }
        };
        Ok(Self { parts, then })
    }
}

const GOOSE_PLUGIN: &str = r#"{
  "name": "audit",
  "version": "1.0.0",
  "description": "Records the calls of tools with audit"
}
"#;

const OPENCODE_PLUGIN: &str = include_str!("opencode.js");

/// The files of the agents of Kiro: hooks belong to one of them, and the agent that is built in has none.
fn kiro_agents(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|file| file.path());
    let mut agents: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|name| name == "json")).collect();
    agents.sort();
    if agents.is_empty() {
        let why = format!(
            "{} has no agent, and hooks of Kiro belong to one; make one with `kiro-cli agent create`",
            folder.display()
        );
        return Err(Failure::because("kiro", why));
    }
    Ok(agents)
}
