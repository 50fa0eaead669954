//! A command that ends when this program does, even by SIGKILL.
//!
//! Linux sends a signal to a process when its parent dies, if the process itself has asked for that. So this program first runs
//! itself, asks, and becomes the command. Elsewhere the command is run as it is, and only sees that its input ends.

use std::ffi::OsString;
use std::process::ExitCode;

/// What tells this program to become a command.
#[cfg(any(target_os = "linux", target_os = "android"))]
const BECOME: &str = "__become";

/// This program, also if its file was replaced meanwhile. Not there if `/proc` is not.
#[cfg(any(target_os = "linux", target_os = "android"))]
const THIS_PROGRAM: &str = "/proc/self/exe";

/// The arguments that run the command. To be started by a thread that lives until the end of the program: its end counts as
/// that of the parent.
pub(crate) fn bound(command: &[OsString]) -> Vec<OsString> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if std::path::Path::new(THIS_PROGRAM).exists() {
        let id = std::process::id().to_string();
        let own: [OsString; 3] = [THIS_PROGRAM.into(), BECOME.into(), id.into()];
        return [&own, command].concat();
    }
    command.to_vec()
}

/// Becomes a command, if the arguments of this program say so. Returns only if they do not, or if that is not possible.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn become_command(mut arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

    if arguments.nth(1)? != BECOME {
        return None;
    }
    let parent = arguments.next()?.to_str()?.parse().ok().and_then(Pid::from_raw);
    // What cannot be asked for is not worth the command.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    if getppid() != parent {
        // It died before.
        return Some(ExitCode::FAILURE);
    }
    let arguments: Vec<OsString> = arguments.collect();
    let not_started = super::NotStarted::exec(&arguments);
    crate::message::warn(&not_started.text);
    Some(ExitCode::from(not_started.exit_code))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn become_command(_: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    None
}
