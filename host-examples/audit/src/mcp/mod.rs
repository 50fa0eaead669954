//! `audit mcp`: stands between an MCP client and its server, passes everything on, and records the calls of tools.
//!
//! The bytes do not wait for the record, but for two seconds at most if they come faster than they are read: an observer in its own
//! thread reads copies of them. [`observer`] takes texts out of the streams, [`message`] understands them, [`tracker`] pairs requests with what became of them, and [`recorder`] hands the
//! events to the store. With `--fail-closed` alone, a request of the client is looked at before it goes on.

mod http;
pub mod inputs;
mod lines;
mod message;
mod observer;
mod recorder;
mod sse;
mod stdio;
mod strict;
mod tools;
mod tracker;
mod watch;
mod wrap;

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use audit_host::{Component, Error, Options};
use uuid::Uuid;

use self::recorder::Recorder;
use self::tools::Definitions;
use self::tracker::{Settings, Tracker};
use self::watch::Watch;
use crate::args::{McpArgs, StoreArgs};
use crate::call::input::Hasher;
use crate::call::place;
use crate::message::{Failure, write_in_background};
use crate::record;

pub(super) fn run(args: McpArgs, store: StoreArgs) -> Result<ExitCode, Failure> {
    if let Some(file) = args.wrap.file() {
        return wrap::run(file, &args.wrap, store.has_place());
    }
    write_in_background();
    let session = Session::new(&args, store.options()?)?;
    match (args.http.http, &args.http.to) {
        (Some(listen), Some(to)) => http::run(&args.http, listen, to, session),
        _ => Ok(stdio::run(&args, session)),
    }
}

/// What there is before anything passes.
struct Session {
    settings: Settings,
    options: Options,
    hasher: Hasher,
    fail_closed: bool,
    /// What the server's tools are remembered by.
    identity: String,
    /// The component, if the options had to be checked by it.
    loaded: Option<Result<Component, Error>>,
}

impl Session {
    /// Checks the options, as far as that takes no time.
    fn new(args: &McpArgs, options: Options) -> Result<Self, Failure> {
        let hasher = args.calls.hasher()?;
        let fail_closed = args.calls.fail_closed;
        let loaded = record::checked(&options)?;
        let options = if fail_closed { options.durability("synced") } else { options };
        let cwd = env::current_dir().unwrap_or_default();
        let settings = Settings {
            mode: if args.http.http.is_some() { "http" } else { "stdio" },
            all: args.all,
            starts: args.calls.starts || fail_closed,
            run: Uuid::now_v7().to_string(),
            agent: args.agent.clone(),
            workspace: args.workspace.clone().unwrap_or_else(|| place::workspace(&cwd)),
            user: args.user.clone().unwrap_or_else(place::user),
            server: default_server(args),
        };
        let identity = identity(args);
        Ok(Self { settings, options, hasher, fail_closed, identity, loaded })
    }

    /// Opens the store, and begins to watch.
    fn watch(self) -> (Arc<Watch>, Recorder) {
        let folder = self.options.folder().or_else(place::user_folder);
        let recorder = Recorder::open(self.options, self.loaded);
        let how = (self.settings.mode, self.settings.all);
        let definitions =
            folder.map(|folder| Definitions::new(folder, &self.settings.server, &self.identity));
        let tracker = Tracker::new(self.settings);
        (Arc::new(Watch::new(tracker, recorder.clone(), definitions, self.hasher, how)), recorder)
    }
}

/// What stands for a server that does not say who it is: the name of its command, or its host.
fn default_server(args: &McpArgs) -> String {
    let host = args.http.to.as_ref().and_then(|uri| uri.host()).map(str::to_owned);
    let name = || {
        let name = Path::new(args.command.first()?).file_name()?;
        Some(name.to_string_lossy().into_owned())
    };
    host.or_else(name).unwrap_or_default()
}

/// What tells a server from others, whatever it says of itself: its command, with the paths of files as they are from
/// everywhere, or its URL without what may be secret.
fn identity(args: &McpArgs) -> String {
    if let Some(to) = &args.http.to {
        let port = to.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
        let (scheme, host) = (to.scheme_str().unwrap_or_default(), to.host().unwrap_or_default());
        return format!("{scheme}://{host}{port}{}", to.path());
    }
    let word = |word: &OsString| {
        let path = Path::new(word);
        let is_file = path.is_relative() && path.is_file();
        let path = if is_file { std::path::absolute(path).ok() } else { None };
        path.as_deref().unwrap_or(Path::new(word)).to_string_lossy().into_owned()
    };
    serde_json::Value::from_iter(args.command.iter().map(word)).to_string()
}
