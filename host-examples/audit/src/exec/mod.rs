//! `audit exec`: runs a command as a tool call, and records it when it ends.
//!
//! The command comes first: it is started before the component is loaded, unless there are options to try, and nothing
//! is created in a folder that it may be about to fill before it has ended.

mod child;
mod input;
pub(super) mod signals;
mod streams;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::SystemTime;

use audit_format::event;
use audit_format::json::Json;
use audit_format::time::Timestamp;
use audit_host::{Component, Error, Event, Instance, Options};
use sha2::{Digest as _, Sha256};

use self::child::{Ended, Running};
use self::signals::Signals;
use super::args::ExecArgs;
use super::mask::masked;
use super::{TROUBLE, say};

pub(super) fn run(args: &ExecArgs, options: Options) -> ExitCode {
    // A wrong option is refused before the command runs. What is wrong with the folder shows later.
    let tried = options.is_configured().then(|| Component::load(&options));
    if let Some(Ok(component)) = &tried {
        let trial = options.clone().read_only(true).warnings(|_| {});
        if let Err(Error::Config(text)) = Instance::start(component, &trial) {
            say(text);
            return ExitCode::from(TROUBLE);
        }
    }
    let load = {
        let options = options.clone();
        move || tried.unwrap_or_else(|| Component::load(&options))
    };
    let signals = Signals::catch();
    let started = SystemTime::now();
    let (component, ended) = match Running::start(&args.command, args.tty) {
        Ok(running) => {
            let loading = thread::Builder::new().spawn(load);
            let ended = running.wait(signals);
            let loaded = loading.map_err(|error| Error::Start(error.to_string()));
            let component = loaded.and_then(|loading| {
                loading.join().unwrap_or_else(|_| Err(Error::Start("it could not be loaded".into())))
            });
            (component, ended)
        }
        Err(failed) => {
            say(&failed.text);
            (load(), Ended::never_ran(failed.status))
        }
    };
    for problem in &ended.problems {
        say(problem);
    }
    let event = event(args, started, &ended);
    if let Err(error) = component.and_then(|component| record(&component, &options, &event)) {
        say(format_args!("the call was not recorded: {error}"));
    }
    if ended.by_ctrl_c {
        signals::end_by_ctrl_c();
    }
    // Output that was lost on the way must not look like success.
    let lost = ended.exit_code == 0 && !ended.problems.is_empty();
    ExitCode::from(if lost { 1 } else { ended.exit_code })
}

fn record(component: &Component, options: &Options, event: &Event) -> Result<(), Error> {
    let mut instance = Instance::start(component, options)?;
    instance.write_batch(std::slice::from_ref(event))?;
    instance.close()
}

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
        // A text field takes any text.
        let _ = event.set(*field, Json::Text(text.as_str().into()));
    }
    event.into()
}

/// The command's name without its folder, as text that an event may have. Where it is a URL by mistake, its password is
/// not recorded.
fn default_tool(command: &[OsString]) -> String {
    let name = command.first().map(|name| masked(&name.to_string_lossy())).unwrap_or_default();
    let tool = Path::new(&name).file_name().and_then(OsStr::to_str).unwrap_or(&name);
    tool.replace(char::is_control, "\u{FFFD}")
}

/// The SHA-256 of the arguments, each followed by a NUL byte, in hexadecimal.
fn input_hash(command: &[impl AsRef<OsStr>]) -> String {
    let mut hash = Sha256::new();
    for argument in command {
        hash.update(argument.as_ref().as_bytes());
        hash.update([0]);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_hashed_so_that_their_borders_count() {
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
        assert_eq!(tool(b"a\nb\xFF"), "a\u{FFFD}b\u{FFFD}");
        assert_eq!(tool(b"postgres://u:secret@h"), "…@h");
    }
}
