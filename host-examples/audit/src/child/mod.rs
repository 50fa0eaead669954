//! The process of a command that this program runs for somebody else: its start, the copies of its streams, the signals that
//! are meant for it, and its end.

pub(crate) mod bound;
pub(crate) mod signals;
pub(crate) mod streams;

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use self::signals::{PassingOn, Signals};

/// Why the command could not be started.
pub(crate) struct NotStarted {
    /// The exit status that a shell would have in this case.
    pub(crate) exit_code: u8,
    pub(crate) text: String,
}

impl NotStarted {
    fn new(name: &OsStr, error: &io::Error) -> Self {
        let name_shown = name.to_string_lossy();
        match error.kind() {
            io::ErrorKind::NotFound if !name.as_bytes().contains(&b'/') => {
                Self { exit_code: 127, text: format!("{name_shown}: command not found") }
            }
            io::ErrorKind::NotFound => Self { exit_code: 127, text: format!("{name_shown}: {error}") },
            _ => Self { exit_code: 126, text: format!("{name_shown}: {error}") },
        }
    }

    /// Becomes the command, and returns only if that is not possible.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn exec(arguments: &[OsString]) -> Self {
        use std::os::unix::process::CommandExt as _;
        let (name, arguments) = name_and_rest(arguments);
        let mut error = Command::new(name).args(arguments).exec();
        if Errno::from_io_error(&error) == Some(Errno::NOEXEC) {
            error = Command::new("/bin/sh").arg(path_of(name)).args(arguments).exec();
        }
        Self::new(name, &error)
    }

    /// The failure to make pipes or to start a copying thread.
    pub(crate) fn no_pipes(error: io::Error) -> Self {
        Self { exit_code: 126, text: format!("cannot connect the command's input and output: {error}") }
    }
}

/// The command while it runs.
pub(crate) struct Process {
    child: Child,
    started: Instant,
    passing_on: PassingOn,
}

/// The command once it has ended.
pub(crate) struct Over {
    pub(crate) status: io::Result<ExitStatus>,
    pub(crate) duration: Duration,
}

impl Process {
    /// Starts the command. `connect` gives it its streams.
    pub(crate) fn start(
        arguments: &[OsString],
        connect: impl Fn(Command) -> io::Result<Command>,
    ) -> Result<Self, NotStarted> {
        let (name, arguments) = name_and_rest(arguments);
        let mut command = connect(Command::new(name)).map_err(NotStarted::no_pipes)?;
        let started = Instant::now();
        let mut child = command.args(arguments).spawn();
        if child.as_ref().is_err_and(|error| Errno::from_io_error(error) == Some(Errno::NOEXEC)) {
            // A script without an interpreter line: as in a shell, `sh` runs it.
            command = connect(Command::new("/bin/sh")).map_err(NotStarted::no_pipes)?;
            child = command.arg(path_of(name)).args(arguments).spawn();
        }
        // `command` has copies of the command's ends of the pipes, which would keep the pipes open.
        drop(command);
        let child = child.map_err(|error| NotStarted::new(name, &error))?;
        Ok(Self { child, started, passing_on: PassingOn::default() })
    }

    /// Ends a command whose streams could not be copied: it would write into a pipe that nobody reads.
    pub(crate) fn kill(mut self) {
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }

    /// Passes signals on to the command from now on.
    pub(crate) fn pass_on(&mut self, signals: Signals) -> PassingOn {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            self.passing_on = signals.pass_on_to(pid);
        }
        self.passing_on.clone()
    }

    /// Waits until the command has ended.
    pub(crate) fn wait(mut self) -> Over {
        if let Some(pid) = self.passing_on.target() {
            // The process stays a zombie until no more signals are passed on, so that its number is not
            // reused meanwhile.
            let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while matches!(waitid(WaitId::Pid(pid), ended), Err(Errno::INTR)) {}
            self.passing_on.command_ended();
        }
        let status = self.child.wait();
        Over { status, duration: self.started.elapsed() }
    }
}

/// The status of the command in words, and the exit status of this program.
pub(crate) fn exit_status(status: ExitStatus) -> (String, u8) {
    match (status.code(), status.signal()) {
        (Some(code), _) => (code.to_string(), u8::try_from(code).unwrap_or(u8::MAX)),
        (None, Some(signal)) => (format!("signal:{signal}"), u8::try_from(128 + signal).unwrap_or(u8::MAX)),
        (None, None) => ("unknown".into(), 126),
    }
}

fn name_and_rest(arguments: &[OsString]) -> (&OsStr, &[OsString]) {
    arguments.split_first().map_or((OsStr::new(""), &[]), |(name, rest)| (name.as_os_str(), rest))
}

/// The path of the command, found as a shell does.
fn path_of(name: &OsStr) -> PathBuf {
    if name.as_bytes().contains(&b'/') {
        return name.into();
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| Path::new(".").join(name))
}
