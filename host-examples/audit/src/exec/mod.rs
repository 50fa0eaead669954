//! `audit exec`: runs a command as a tool call, and records the call when the command has ended.
//!
//! The command starts before the component is loaded, so that it does not have to wait. Only options that the
//! component has to check are checked first. Nothing is created in the folder before the command has ended,
//! because the command may be the one to create or fill it.

mod child;
mod input;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use audit_format::event;
use audit_format::time::Timestamp;
use audit_host::{Component, Error, Event, Options};
use sha2::{Digest as _, Sha256};

use self::child::{Ended, Running};
use crate::args::ExecArgs;
use crate::call::hex;
use crate::child::signals::{self, Signals};
use crate::mask::masked;
use crate::message::{Failure, TROUBLE, warn};
use crate::record;

pub(super) fn run(args: &ExecArgs, options: Options) -> ExitCode {
    // An invalid option is rejected before the command runs. The folder is checked only when the call is
    // recorded.
    let tried = match record::checked(&options) {
        Ok(tried) => tried,
        Err(error) => {
            warn(error);
            return ExitCode::from(TROUBLE);
        }
    };
    let load = {
        let options = options.clone();
        move || {
            // Meanwhile the database answers.
            options.connect_ahead();
            tried.unwrap_or_else(|| Component::load(&options))
        }
    };
    let signals = Signals::catch();
    let started = SystemTime::now();
    let (component, ended) = match Running::start(&args.command, args.tty) {
        Ok(running) => {
            let loading = record::Loading::start(load);
            let ended = running.wait(signals);
            let component = loading.wait();
            (component, ended)
        }
        Err(not_started) => {
            warn(&not_started.text);
            (load(), Ended::never_ran(not_started.exit_code))
        }
    };
    for problem in &ended.problems {
        warn(problem);
    }
    let event = event(args, started, &ended);
    if let Err(error) = component.and_then(|component| record::once(&component, &options, &event)) {
        let what = match error {
            Error::Unanswered(_) => "the call may be recorded or not",
            _ => "the call was not recorded",
        };
        Failure::because(what, error).tell();
    }
    if ended.by_ctrl_c {
        signals::end_by_ctrl_c();
    }
    // If output was lost, the exit status must not be that of a success.
    let lost = ended.exit_code == 0 && !ended.problems.is_empty();
    ExitCode::from(if lost { 1 } else { ended.exit_code })
}

/// The event of a call.
fn event(args: &ExecArgs, started: SystemTime, ended: &Ended) -> Event {
    let mut event = event::Event {
        ts: Timestamp::from(started).to_string().into(),
        tool: default_tool(&args.command).into(),
        status: ended.status.as_str().into(),
        duration_ms: u64::try_from(ended.duration.as_millis()).unwrap_or(u64::MAX),
        in_size: ended.in_size,
        out_size: ended.out_size,
        input_hash: input_hash(&args.command).into(),
        ..event::Event::default()
    };
    for (field, text) in &args.texts.0 {
        event.set_text(*field, text.as_str());
    }
    event.attributes = args.attributes.clone();
    event.into()
}

/// The command's name without its folder. If somebody gave a URL in its place by mistake, the password is not recorded.
fn default_tool(command: &[OsString]) -> String {
    let name = command.first().map(|name| masked(&name.to_string_lossy())).unwrap_or_default();
    let tool = Path::new(&name).file_name().and_then(OsStr::to_str).unwrap_or(&name);
    tool.to_owned()
}

/// The SHA-256 of the arguments, each followed by a NUL byte, in hexadecimal.
fn input_hash(command: &[impl AsRef<OsStr>]) -> String {
    let mut hash = Sha256::new();
    for argument in command {
        hash.update(argument.as_ref().as_bytes());
        hash.update([0]);
    }
    hex(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_depends_on_where_each_argument_ends() {
        // printf 'ls\0-l\0' | sha256sum
        let expected = "c4cda919c7c25a49afb34dd20298822f55d716b013a9ff65d3d43e4fd32dbac7";
        assert_eq!(input_hash(&["ls", "-l"]), expected);
        assert_ne!(input_hash(&["ls", "-l"]), input_hash(&["ls-", "l"]));
        assert_ne!(input_hash(&["ls", "-l"]), input_hash(&["ls -l"]));
    }

    #[test]
    fn the_tool_is_the_commands_name() {
        let tool = |name: &[u8]| default_tool(&[OsStr::from_bytes(name).to_owned()]);
        assert_eq!(tool(b"/usr/bin/env"), "env");
        assert_eq!(tool(b"ls"), "ls");
        assert_eq!(tool(b".."), "..");
        assert_eq!(tool(b"a\nb\xFF"), "a\nb\u{FFFD}");
        assert_eq!(tool(b"postgres://u:secret@h"), "…@h");
    }
}
