//! `audit mcp`: stands between an MCP client and its server, passes everything on, and records the calls of tools.
//!
//! The bytes do not wait for the record, but for two seconds at most if they come faster than they are read: an observer in its own
//! thread reads copies of them. [`observer`] takes texts out of the streams, [`message`] understands them, [`tracker`] pairs requests with what became of them, and [`recorder`] hands the
//! events to the store. With `--fail-closed` alone, a request of the client is looked at before it goes on.

mod http;
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
        Ok(Self { settings, options, hasher, fail_closed, loaded })
    }

    /// Opens the store, and begins to watch.
    fn watch(self) -> (Arc<Watch>, Recorder) {
        let folder = self.options.folder().or_else(place::user_folder);
        let recorder = Recorder::open(self.options, self.loaded);
        let how = (self.settings.mode, self.settings.all);
        let tracker = Tracker::new(self.settings);
        let definitions = folder.map(Definitions::new);
        (Arc::new(Watch::new(tracker, recorder.clone(), definitions, self.hasher, how)), recorder)
    }
}

/// What stands for a server that does not say who it is: the name of its command, or its host.
fn default_server(args: &McpArgs) -> String {
    let host = args.http.to.as_ref().and_then(|uri| uri.host()).map(str::to_owned);
    let name = || {
        let name = std::path::Path::new(args.command.first()?).file_name()?;
        Some(name.to_string_lossy().into_owned())
    };
    host.or_else(name).unwrap_or_default()
}
