//! Where each agent has its hooks, and what has to stand there.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use jsonc_parser::cst::CstInputValue;

use super::super::Agent;
use super::command::{Command, line_of, program_of_hook};
use super::merge::{Form, Hooks};
use crate::args::HookArgs;
use crate::call::place;
use crate::config::{Change, ConfigFile, json_with_comments};
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
    Own { path: PathBuf, text: String, kind: Kind },
}

impl Part {
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Merged(path, _) | Self::Own { path, .. } => path,
        }
    }

    /// The change that configures the agent, or takes that out; or why the file cannot be changed.
    pub(super) fn change(&self, file: ConfigFile, install: bool) -> Result<Change, String> {
        let was_changed = file.text().is_some_and(|text| self.is_ours(text));
        let after = match self {
            Self::Merged(_, hooks) if install => hooks.install(file.text())?,
            Self::Merged(_, hooks) => hooks.uninstall(file.text(), file.backup().as_deref())?,
            Self::Own { .. } if file.text().is_some() && !was_changed => {
                if install {
                    return Err("it is there already, and is not of this program".to_owned());
                }
                file.text().map(str::to_owned)
            }
            Self::Own { text, .. } => install.then(|| text.clone()),
        };
        Ok(file.change_to(after).keeping_backup(was_changed))
    }

    /// What to add by hand.
    pub(super) fn paste(&self) -> String {
        match self {
            Self::Merged(_, hooks) => hooks.install(None).ok().flatten().unwrap_or_default(),
            // Another program is there, which has to run it.
            Self::Own { kind: Kind::Script(line), .. } => {
                format!("{line}  # with what the program gets on stdin\n")
            }
            Self::Own { text, .. } => text.clone(),
        }
    }

    /// What is to be done once the file is written or removed.
    pub(super) fn finish(&self) -> Result<(), Failure> {
        let Self::Own { path, kind, .. } = self else { return self.remove_empty_folders() };
        #[cfg(unix)]
        if matches!(kind, Kind::Script(_)) && path.exists() {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
        }
        self.remove_empty_folders()
    }

    /// Removes the folders of a plugin that are empty without it. They are this program's alone.
    fn remove_empty_folders(&self) -> Result<(), Failure> {
        let folders = self.path().ancestors().skip(1).take(2);
        let is_own =
            |folder: &&Path| folder.ends_with(PLUGIN) || folder.ends_with(Path::new(PLUGIN).join("hooks"));
        folders.filter(is_own).for_each(|folder| drop(fs::remove_dir(folder)));
        Ok(())
    }

    /// The command of each hook; none where a hook is missing.
    pub(super) fn commands(&self) -> Vec<Option<String>> {
        let text = fs::read_to_string(self.path()).unwrap_or_default();
        match self {
            Self::Merged(_, hooks) => hooks.commands(&text),
            Self::Own { .. } if !self.is_ours(&text) => vec![None],
            Self::Own { kind, .. } => kind.command(&text).map(Some).into_iter().collect(),
        }
    }

    /// Whether the agent was told to run no hooks.
    pub(super) fn is_disabled(&self) -> bool {
        let Self::Merged(path, _) = self else { return false };
        let settings =
            fs::read_to_string(path).ok().and_then(|text| json_with_comments(&text)?.to_serde_value());
        settings.is_some_and(|settings| {
            settings["disableAllHooks"] == true || settings["hooks"]["enabled"] == false
        })
    }

    fn is_ours(&self, text: &str) -> bool {
        match self {
            Self::Merged(_, hooks) => hooks.are_in(text),
            // A manifest runs nothing.
            Self::Own { kind: Kind::Manifest, text: own, .. } => text == own,
            Self::Own { kind, .. } => kind.command(text).is_some(),
        }
    }
}

/// What a file of this program is.
#[derive(Debug)]
pub(super) enum Kind {
    /// It describes a plugin.
    Manifest,
    /// A shell script that runs this command and nothing else.
    Script(String),
    /// The plugin of OpenCode.
    Plugin,
}

impl Kind {
    /// The command that such a file runs, if it is as this program writes it.
    fn command(&self, text: &str) -> Option<String> {
        let command = match self {
            Self::Manifest => None,
            Self::Script(_) => {
                let line = text.strip_prefix(SCRIPT)?.strip_suffix('\n')?;
                (!line.contains('\n')).then(|| line.to_owned())
            }
            Self::Plugin => {
                let rest = text.strip_prefix(OPENCODE_PLUGIN.lines().next()?)?;
                let words = rest.lines().find_map(|line| line.strip_prefix("const COMMAND = "))?;
                Some(line_of(&serde_json::from_str::<Vec<String>>(words).ok()?))
            }
        };
        command.filter(|command| program_of_hook(command).is_some())
    }
}

/// What stands before the command in a script.
const SCRIPT: &str = "#!/bin/sh\nexec ";

/// The folder of a plugin, of whatever agent.
const PLUGIN: &str = "plugins/audit";

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
                let plugin = folder.join(PLUGIN);
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
                    kind: Kind::Manifest,
                };
                (vec![manifest, Part::Merged(plugin.join("hooks/hooks.json"), hooks)], RESTART)
            }
            Agent::Cline => {
                let part = |name| Part::Own {
                    path: folder.join("hooks").join(name),
                    text: format!("{SCRIPT}{line}\n"),
                    kind: Kind::Script(line.clone()),
                };
                let events = [Some("PostToolUse"), starts("PreToolUse")];
                (events.into_iter().flatten().map(part).collect(), RESTART)
            }
            Agent::OpenCode => {
                let words = serde_json::to_string(&command.words(agent)).unwrap_or_default();
                let text = OPENCODE_PLUGIN.replace("const COMMAND = []", &format!("const COMMAND = {words}"));
                let part = Part::Own { path: folder.join("plugin/audit.js"), text, kind: Kind::Plugin };
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
