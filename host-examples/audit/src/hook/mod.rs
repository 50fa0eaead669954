//! `audit hook`: records the calls of an agent that runs it as a hook, and configures agents to do so.
//!
//! An agent waits for its hooks, and takes their output for decisions. So this one is harmless whatever happens: it reads its
//! input to the end, prints `{}`, says nothing and ends with 0, unless `--fail-closed` asks for something else.

mod agents;
mod install;
mod log;

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};
use std::{env, fmt};

use audit_format::time::Timestamp;
use audit_host::{Component, Error, Options};
use clap::CommandFactory as _;
use clap::error::ContextKind;

pub(crate) use self::agents::{Agent, tool_and_action};
use self::agents::{KEPT, Told, WANTED};
use crate::args::{Cli, HookArgs, Scope, StoreArgs};
use crate::call::input::Hasher;
use crate::call::recent::{Claim, Key, Recent, micros};
use crate::call::sketch::{Sketch, Sketcher};
use crate::call::{Call, Outcome, place};
use crate::message::{Failure, TROUBLE, warn};
use crate::record::{self, Loading};

/// How many bytes are read at once.
const BUFFER: usize = 64 * 1024;

pub(super) fn run(args: &HookArgs, store: StoreArgs) -> Result<ExitCode, Failure> {
    match args.agent {
        _ if args.list => return install::list(),
        Some(agent) if !args.is_run_by_agent() => return install::run(args, agent, store.has_place()),
        _ => {}
    }
    if io::stdin().is_terminal() {
        warn("this reads what an agent sends to its hooks; to configure an agent, see `audit hook --help`");
    }
    Ok(harmless(args.calls.fail_closed, || Hook::new(args, store).record()))
}

/// Ends this process if an agent runs it as a hook with options that it does not have: that must be harmless too.
pub(super) fn refuse(error: &clap::Error) -> Option<ExitCode> {
    let arguments: Vec<_> = env::args_os().collect();
    let given = |names: &[&str]| arguments.iter().any(|argument| names.iter().any(|name| argument == name));
    let meant = error.get(ContextKind::SuggestedArg).map(ToString::to_string).unwrap_or_default();
    let is_of_user = given(&OF_USER) || OF_USER.iter().any(|name| meant.contains(name));
    if !error.use_stderr() || is_of_user || !is_hook(&arguments) || io::stdin().is_terminal() {
        return None;
    }
    Some(harmless(given(&["--fail-closed"]), || {
        read(io::stdin().lock(), &Hasher::default());
        // Its value may be what an agent has to say.
        let option = error.get(ContextKind::InvalidArg).map(ToString::to_string).unwrap_or_default();
        let option =
            option.split([' ', '=']).next().filter(|name| name.starts_with("--")).unwrap_or_default();
        Err(NotRecorded::new(format!("{} {option}", error.kind()).trim_end()))
    }))
}

/// The options with which no agent runs this program.
const OF_USER: [&str; 3] = ["--install", "--uninstall", "--list"];

/// Whether the subcommand is this one, whatever else is wrong.
fn is_hook(arguments: &[OsString]) -> bool {
    let matches = Cli::command().ignore_errors(true).try_get_matches_from(arguments);
    matches.is_ok_and(|matches| matches.subcommand_name() == Some("hook"))
}

/// Why a call was not recorded.
struct NotRecorded {
    reason: String,
    /// There was no call, or it has happened already: there is nothing to deny.
    too_late: bool,
}

impl NotRecorded {
    fn new(reason: impl fmt::Display) -> Self {
        Self { reason: reason.to_string(), too_late: false }
    }
}

impl From<Failure> for NotRecorded {
    fn from(failure: Failure) -> Self {
        Self::new(failure.into_text())
    }
}

/// Records a call, and answers the agent. Nothing that goes wrong reaches it, unless a call must not happen without a record.
fn harmless(fail_closed: bool, record: impl FnOnce() -> Result<(), NotRecorded>) -> ExitCode {
    panic::set_hook(Box::new(|info| log::note(format_args!("it panicked: {info}"))));
    let recorded = panic::catch_unwind(AssertUnwindSafe(record));
    let recorded = recorded.unwrap_or_else(|_| Err(NotRecorded::new("this program panicked")));
    if let Err(NotRecorded { reason, too_late }) = recorded {
        log::note(&reason);
        if fail_closed && !too_late {
            warn(format_args!(
                "the call was not recorded, and --fail-closed lets no such call happen: {reason}"
            ));
            return ExitCode::from(TROUBLE);
        }
    }
    // Nobody is told if nobody listens.
    let _ = io::stdout().write_all(b"{}\n");
    ExitCode::SUCCESS
}

/// Reads what an agent says to its end. None: there is no JSON object.
fn read(mut stdin: impl io::Read, hasher: &Hasher) -> Option<Sketch> {
    let mut sketcher = Sketcher::new(WANTED, hasher).keeping(KEPT);
    let mut buffer = vec![0; BUFFER];
    let mut mark: &[u8] = "\u{feff}".as_bytes();
    loop {
        match stdin.read(&mut buffer) {
            Ok(0) => break,
            Ok(len) => {
                let piece = &buffer[..len];
                // It may come in pieces too.
                let marks = piece.iter().zip(mark).take_while(|(found, expected)| found == expected).count();
                mark = if marks < len { &[] } else { &mark[marks..] };
                sketcher.push(&piece[marks..]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    // What an agent has begun to say, and could not end, is better than nothing.
    sketcher.finish_anyway().ok()
}

/// The call that a hook tells of.
struct Seen {
    /// Whose hook it is.
    agent: Agent,
    call: Call,
    has_ended: bool,
    /// The folder that the agent works in, if it says so.
    folder: Option<PathBuf>,
}

/// What a hook tells of a call: the hook of the agent that is named, unless it can only be another one's.
fn seen(named: Option<Agent>, sketch: Option<Sketch>) -> Result<Seen, NotRecorded> {
    let sketch = sketch.ok_or_else(|| NotRecorded::new("stdin has no JSON object"))?;
    let agent = Agent::of(named, &sketch.value)
        .ok_or_else(|| NotRecorded::new("no known agent's hook looks like what stdin has"))?;
    let folder = agents::folder(&sketch);
    match agent.told(&sketch) {
        Told::Began(call) => Ok(Seen { agent, call, has_ended: false, folder }),
        Told::Ended(mut call) => {
            // What would have told of a failure may be missing.
            if !sketch.is_whole && call.outcome == Outcome::Ok {
                call.outcome = Outcome::Unknown;
            }
            Ok(Seen { agent, call, has_ended: true, folder })
        }
        // An agent may be configured to run this hook for more than calls.
        Told::Other(event) => Err(NotRecorded {
            reason: format!("the event \"{event}\" of {} is no call of a tool", agent.name()),
            too_late: true,
        }),
    }
}

/// What is told by bytes on stdin, for tests: the call, and whether it has ended.
pub(crate) fn told_by(named: Option<Agent>, stdin: impl io::Read) -> Result<(Call, bool), String> {
    let seen = seen(named, read(stdin, &Hasher::default())).map_err(|not_recorded| not_recorded.reason)?;
    Ok((seen.call, seen.has_ended))
}

/// A hook that was read.
struct Hook<'a> {
    args: &'a HookArgs,
    now: SystemTime,
    options: Options,
    /// Whose record, if no folder was given.
    scope: Option<Scope>,
    /// The backend forgets all events when this process ends.
    keeps_nothing: bool,
    sketch: Option<Sketch>,
    loading: Loading,
}

impl<'a> Hook<'a> {
    /// Reads stdin, and meanwhile loads the component.
    fn new(args: &'a HookArgs, store: StoreArgs) -> Self {
        let now = SystemTime::now();
        let scope = args.scope().or(store.scope).or((!store.is_placed()).then_some(Scope::Project));
        // What is wrong with an option or a key must not keep a call out of the record.
        let keeps_nothing = store.keeps_nothing();
        let options = store.clone().options().unwrap_or_else(|failure| {
            log::note(failure.into_text());
            store.without_database().options().unwrap_or_else(|_| Options::from_env().backend("jsonl"))
        });
        let options = options.warnings(|line| log::note(line));
        let options = if args.calls.fail_closed { options.durability("synced") } else { options };
        let loading = {
            let options = options.clone();
            Loading::start(move || {
                options.connect_ahead();
                Component::load(&options)
            })
        };
        let sketch = match args.calls.hasher() {
            Ok(hasher) => read(io::stdin().lock(), &hasher),
            Err(failure) => {
                log::note(failure.into_text());
                let mut sketch = read(io::stdin().lock(), &Hasher::default());
                sketch.iter_mut().for_each(Sketch::forget_inputs);
                sketch
            }
        };
        Self { args, now, options, scope, keeps_nothing, sketch, loading }
    }

    /// Records the call, if the hook tells of one.
    fn record(mut self) -> Result<(), NotRecorded> {
        let Seen { agent, call, has_ended, folder } = seen(self.args.agent, self.sketch.take())?;
        let cwd = folder.or_else(|| env::current_dir().ok()).unwrap_or_default();
        if let Some(scope) = self.scope {
            self.options = self.options.dir(scope.folder(&project(&cwd))?);
        }
        let recent = Recent::beside(&self.options, self.keeps_nothing);
        let calls = Calls { now: self.now, recent, agent, cwd };
        if has_ended {
            self.record_end(calls, call).map_err(|failure| NotRecorded { too_late: true, ..failure })
        } else {
            self.record_begin(calls, call)
        }
    }

    fn record_begin(self, mut calls: Calls, call: Call) -> Result<(), NotRecorded> {
        let key = calls.key(&call);
        calls.recent.begin(key, calls.micros());
        if !self.args.calls.starts && !self.args.calls.fail_closed {
            return Ok(());
        }
        if self.args.calls.fail_closed && self.keeps_nothing {
            return Err(NotRecorded::new("the backend keeps no events"));
        }
        let mut call = Call { outcome: Outcome::Started, ..call };
        if call.id.is_empty() {
            call.id = key.name(calls.micros());
        }
        self.record_once(calls, call)
    }

    fn record_end(self, mut calls: Calls, mut call: Call) -> Result<(), NotRecorded> {
        let now = calls.micros();
        let key = calls.key(&call);
        let Some(began) = calls.recent.end(key, now) else { return self.record_once(calls, call) };
        call.began = Some(Timestamp::clamped(i64::try_from(began).unwrap_or_default()));
        call.duration = call.duration.or(Some(Duration::from_micros(now.saturating_sub(began))));
        if call.id.is_empty() {
            // The name that it got when it began.
            call.id = key.name(began);
        }
        self.record_once(calls, call)
    }

    /// Records a call unless another process has: two agents may run the same hook for one call.
    fn record_once(self, mut calls: Calls, call: Call) -> Result<(), NotRecorded> {
        let is_start = call.outcome == Outcome::Started;
        let hash = call.input.as_ref().map_or("", |input| &input.hash);
        // Without a session, others may use the same identifier.
        let key = (!call.id.is_empty() && !call.session.is_empty()).then(|| {
            let key = Key::of_call(&call.session, &call.id, is_start);
            key.with_contents(&[&call.tool, &call.action, hash])
        });
        let (id, session) = (call.id.clone(), call.session.clone());
        let workspace = self.args.workspace.clone().unwrap_or_else(|| place::workspace(&calls.cwd));
        let user = if call.user.is_empty() { place::user() } else { call.user };
        let event = Call { workspace, user, ..call }.into_event(calls.now).into();
        // Before the call is claimed, so that others wait for it as shortly as possible.
        let loaded = self.loading.wait();
        if key.is_some_and(|key| calls.recent.claim(key, calls.micros()) == Claim::Recorded) {
            log::note(format_args!("another process has recorded the call {id} of the session {session}"));
            return Ok(());
        }
        let recorded = loaded.and_then(|component| record::once(&component, &self.options, &event));
        match (key, &recorded) {
            (Some(key), Ok(())) => calls.recent.recorded(key, calls.micros()),
            (Some(key), Err(_)) => calls.recent.release(key),
            (None, _) => {}
        }
        recorded.map_err(|error| match error {
            Error::Unanswered(_) => NotRecorded::new(format_args!("a call may be recorded or not: {error}")),
            error => NotRecorded::new(format_args!("a call was not recorded: {error}")),
        })
    }
}

/// The folder of the project in which the agent was started: as it says, else the one in which it runs its hooks, if that is a
/// project. The folder that it works in comes last: an agent can change that, and with it the record.
fn project(cwd: &Path) -> PathBuf {
    let variables = ["CLAUDE_PROJECT_DIR", "GEMINI_PROJECT_DIR", "CURSOR_PROJECT_DIR"];
    let given =
        variables.into_iter().filter_map(env::var_os).map(PathBuf::from).find(|path| path.is_absolute());
    let here = || env::current_dir().ok().filter(|here| place::project(here).join(".git").exists());
    given.or_else(here).unwrap_or_else(|| cwd.to_owned())
}

/// What is known of the calls around one.
struct Calls {
    now: SystemTime,
    recent: Recent,
    agent: Agent,
    cwd: PathBuf,
}

impl Calls {
    fn micros(&self) -> u64 {
        micros(self.now)
    }

    /// What a call's beginning and its end have in common.
    fn key(&self, call: &Call) -> Key {
        let product = self.agent.product();
        if !call.id.is_empty() {
            return Key::of(&[product, &call.session, &call.id]);
        }
        let hash = call.input.as_ref().map_or("", |input| &input.hash);
        let cwd = self.cwd.to_string_lossy();
        Key::of(&[product, &call.session, &cwd, &call.tool, &call.action, hash])
    }
}
