//! The options of `audit hook`.

use clap::{ArgGroup, Args};

use super::CallArgs;
use super::store::Scope;
use crate::hook::Agent;

const HELP: &str = "\
Examples:
  audit hook --install claude
  audit hook --install gemini --project --dry-run
  audit hook --list
  audit hook --uninstall claude

With --install, the agent is configured to run this program for each call of a tool, and each call becomes one event. The \
change is shown, and the file as it was is kept beside it. Options that decide what is recorded and where (--starts, \
--hash-key-file, --dir, --backend and so on) become a part of the configured command. The URL of a database does not: the \
agent's environment needs DATABASE_URL.

Without --install, --uninstall and --list, this is the command that agents run: it reads one object of a hook from stdin, records \
the call, prints {} and ends with the exit status 0, whatever happens, without a word on stderr. What went wrong is in \
$XDG_STATE_HOME/audit/hook.log (~/.local/state/audit/hook.log). Only with --fail-closed, a call that cannot be recorded before \
it begins is denied, with the exit status 2 and the reason on stderr.

An event has the sizes of the arguments and of the answer, and the SHA-256 of the arguments in canonical form (RFC 8785), and never \
their contents. Its `tool` and `action` are the server and the tool of an MCP server, else the tool's name and `call`; \
`graph_run_id` is the session, `req_id` the identifier of the call.

Exit status: 0; of --list 1 if an agent is there and is not audited; of the others 2 if the configuration cannot be changed.";

#[derive(Debug, Args)]
#[command(after_help = HELP, group = ArgGroup::new("what").args(["install", "uninstall", "list"]))]
pub(crate) struct HookArgs {
    /// The agent [default: it is recognised by what its hook says]
    #[arg(required_if_eq_any([("install", "true"), ("uninstall", "true")]))]
    pub(crate) agent: Option<Agent>,
    /// Configure the agent to record its calls
    #[arg(long)]
    pub(crate) install: bool,
    /// Take out what --install has configured
    #[arg(long)]
    pub(crate) uninstall: bool,
    /// Show which agents are there, and whether their calls are recorded
    #[arg(long)]
    pub(crate) list: bool,
    /// Configure the agent for this user, and record into the user's own folder (--scope user); the default of --install
    #[arg(long, conflicts_with_all = ["project", "scope", "dir"])]
    pub(crate) user: bool,
    /// Configure the agent in this project, and record into the project's folder (--scope project)
    #[arg(long, conflicts_with_all = ["scope", "dir"])]
    pub(crate) project: bool,
    /// Show the change of the configuration, and change nothing
    #[arg(long, requires = "what", conflicts_with = "list")]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) calls: CallArgs,
    /// The workspace (`workspace_id`) [default: the name of the project's folder]
    #[arg(long, value_name = "TEXT", help_heading = "What is recorded")]
    pub(crate) workspace: Option<String>,
}

impl HookArgs {
    /// Whether this is the command that agents run.
    pub(crate) fn is_run_by_agent(&self) -> bool {
        !self.install && !self.uninstall && !self.list
    }

    pub(crate) fn scope(&self) -> Option<Scope> {
        match (self.user, self.project) {
            (true, _) => Some(Scope::User),
            (_, true) => Some(Scope::Project),
            _ => None,
        }
    }
}
