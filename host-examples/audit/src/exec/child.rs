//! The command as a process, its streams, and how it ended.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, IsTerminal as _, PipeReader, PipeWriter, Seek as _, pipe};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::fs::{FileType, fstat};
use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use signal_hook::consts::SIGINT;

use super::input;
use super::signals::{PassingOn, Signals};
use super::streams::{Copier, own};

/// How long the end of the command's input may take to be settled once the command has ended: what it has read is
/// counted, and taken out of the input, by a thread that may get its turn late.
const SETTLING: Duration = Duration::from_secs(5);

/// A command that could not be run, and what a shell's exit status would be.
pub(super) struct Failed {
    pub(super) status: u8,
    pub(super) text: String,
}

/// A command that runs.
pub(super) struct Running {
    child: Child,
    started: Instant,
    outputs: Vec<Copier>,
    input: Input,
    ended: PipeWriter,
}

/// How the command ended.
pub(super) struct Ended {
    /// As the event has it.
    pub(super) status: String,
    pub(super) exit_code: u8,
    /// The terminal's Ctrl-C ended it.
    pub(super) by_ctrl_c: bool,
    pub(super) duration: Duration,
    pub(super) in_size: u64,
    pub(super) out_size: u64,
    /// What went wrong with the streams.
    pub(super) problems: Vec<String>,
}

/// How the command gets its input.
enum Input {
    Copied(Copier),
    /// The file itself, and where it was.
    File(File, u64),
    Uncounted,
}

/// The pipes that the command gets, each with this program's end. Where there is none, the command gets this
/// program's stream itself.
struct Pipes {
    stdin: Option<(PipeReader, PipeWriter)>,
    stdout: Option<(PipeReader, PipeWriter)>,
    stderr: Stderr,
}

enum Stderr {
    Pipe(PipeReader, PipeWriter),
    /// Output and errors go to the same place: through one pipe they keep their order.
    AsStdout,
    Inherited,
}

impl Running {
    /// Starts the command. With `tty` a terminal is handed to it for output too.
    pub(super) fn start(arguments: &[OsString], tty: bool) -> Result<Self, Failed> {
        let pipes = Pipes::new(tty).and_then(|pipes| Ok((pipes, pipe()?)));
        let (pipes, (wait, ended)) = pipes.map_err(no_pipes)?;
        let input = if pipes.stdin.is_none() { uncopied_input() } else { Input::Uncounted };
        let (name, arguments) = arguments
            .split_first()
            .map_or((OsStr::new(""), [].as_slice()), |(name, rest)| (name.as_os_str(), rest));
        let mut command = pipes.connect(Command::new(name)).map_err(no_pipes)?;
        let started = Instant::now();
        let mut child = command.args(arguments).spawn();
        if child.as_ref().is_err_and(|error| Errno::from_io_error(error) == Some(Errno::NOEXEC)) {
            // A script that does not say which interpreter it is for: by tradition the shell.
            command = pipes.connect(Command::new("/bin/sh")).map_err(no_pipes)?;
            child = command.arg(found(name)).args(arguments).spawn();
        }
        let child = child.map_err(|error| Failed::new(name, &error))?;
        // It holds the command's ends of the pipes.
        drop(command);
        let mut running = Self { child, started, outputs: Vec::new(), input, ended };
        match pipes.copy(&mut running, &wait) {
            Ok(()) => Ok(running),
            Err(error) => {
                // It would write into a pipe that nobody reads.
                let _ = running.child.kill().and_then(|()| running.child.wait());
                Err(no_pipes(error))
            }
        }
    }

    /// Waits until the command has ended, and what it wrote is passed on.
    pub(super) fn wait(mut self, signals: Signals) -> Ended {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let passing_on = pid.map(|pid| {
            let passing_on = signals.pass_on_to(pid);
            // It stays uncollected, so that its number is not used again while signals are passed on to it.
            let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while matches!(waitid(WaitId::Pid(pid), ended), Err(Errno::INTR)) {}
            passing_on.command_ended();
            passing_on
        });
        let status = self.child.wait();
        let duration = self.started.elapsed();
        drop(self.ended);
        let interrupted = || passing_on.as_ref().is_some_and(|passing_on| passing_on.interrupted());
        let mut problems: Vec<String> = Vec::new();
        for output in &self.outputs {
            problems.extend(output.wait(interrupted));
        }
        let in_size = match &mut self.input {
            Input::Copied(copier) => {
                // Not for ever: reading may wait for input that another process took.
                let end = Instant::now() + SETTLING;
                problems.extend(copier.wait(|| Instant::now() >= end));
                copier.count()
            }
            Input::File(file, before) => file.stream_position().unwrap_or(*before).saturating_sub(*before),
            Input::Uncounted => 0,
        };
        let ended_by = status.as_ref().ok().and_then(ExitStatus::signal);
        let by_ctrl_c = ended_by == Some(SIGINT) && passing_on.as_ref().is_some_and(PassingOn::was_ctrl_c);
        let out_size = self.outputs.iter().map(Copier::count).sum();
        let (status, exit_code) = match status {
            Ok(status) => described(status),
            Err(error) => {
                problems.push(format!("cannot wait for the command: {error}"));
                ("unknown".into(), 126)
            }
        };
        Ended { status, exit_code, by_ctrl_c, duration, in_size, out_size, problems }
    }
}

impl Ended {
    /// The command could not be run.
    pub(super) fn never_ran(status: u8) -> Self {
        Self {
            status: status.to_string(),
            exit_code: status,
            by_ctrl_c: false,
            duration: Duration::ZERO,
            in_size: 0,
            out_size: 0,
            problems: Vec::new(),
        }
    }
}

impl Failed {
    fn new(name: &OsStr, error: &io::Error) -> Self {
        let name_shown = name.to_string_lossy();
        match error.kind() {
            io::ErrorKind::NotFound if !name.as_bytes().contains(&b'/') => {
                Self { status: 127, text: format!("{name_shown}: command not found") }
            }
            io::ErrorKind::NotFound => Self { status: 127, text: format!("{name_shown}: {error}") },
            _ => Self { status: 126, text: format!("{name_shown}: {error}") },
        }
    }
}

impl Pipes {
    fn new(tty: bool) -> io::Result<Self> {
        let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
        let is_stream = matches!(file_type(&stdin), Ok(FileType::Fifo | FileType::Socket));
        let stdin = is_stream.then(pipe).transpose()?;
        let (stdout_stays, stderr_stays) = (tty && stdout.is_terminal(), tty && stderr.is_terminal());
        let same = fstat(&stdout).is_ok_and(|out| {
            fstat(&stderr).is_ok_and(|err| (out.st_dev, out.st_ino) == (err.st_dev, err.st_ino))
        });
        let stdout = (!stdout_stays).then(pipe).transpose()?;
        let stderr = match (stderr_stays, same && stdout.is_some()) {
            (true, _) => Stderr::Inherited,
            (false, true) => Stderr::AsStdout,
            (false, false) => {
                let (reader, writer) = pipe()?;
                Stderr::Pipe(reader, writer)
            }
        };
        Ok(Self { stdin, stdout, stderr })
    }

    fn connect(&self, mut command: Command) -> io::Result<Command> {
        if let Some((reader, _)) = &self.stdin {
            command.stdin(reader.try_clone()?);
        }
        if let Some((_, writer)) = &self.stdout {
            command.stdout(writer.try_clone()?);
        }
        match (&self.stderr, &self.stdout) {
            (Stderr::Pipe(_, writer), _) | (Stderr::AsStdout, Some((_, writer))) => {
                command.stderr(writer.try_clone()?);
            }
            (Stderr::AsStdout, None) | (Stderr::Inherited, _) => {}
        }
        Ok(command)
    }

    /// Starts copying; the command's ends are closed here.
    fn copy(self, running: &mut Running, ended: &PipeReader) -> io::Result<()> {
        if let Some((_, to)) = self.stdin {
            let from = own(io::stdin().as_fd())?;
            running.input = Input::Copied(input::pass_on(from, to, ended.try_clone()?)?);
        }
        if let Some((from, _)) = self.stdout {
            let to = own(io::stdout().as_fd())?;
            running.outputs.push(Copier::output("stdout", from, to, ended.try_clone()?)?);
        }
        if let Stderr::Pipe(from, _) = self.stderr {
            let to = own(io::stderr().as_fd())?;
            running.outputs.push(Copier::output("stderr", from, to, ended.try_clone()?)?);
        }
        Ok(())
    }
}

fn no_pipes(error: io::Error) -> Failed {
    Failed { status: 126, text: format!("cannot connect the command: {error}") }
}

fn file_type(fd: impl AsFd) -> io::Result<FileType> {
    Ok(FileType::from_raw_mode(fstat(fd)?.st_mode))
}

/// Stdin as the command inherits it. What it reads of a file shows in the position, which they share.
fn uncopied_input() -> Input {
    if !matches!(file_type(io::stdin()), Ok(FileType::RegularFile)) {
        return Input::Uncounted;
    }
    let file = own(io::stdin().as_fd()).map(File::from);
    let file = file.and_then(|mut file| Ok((file.stream_position()?, file)));
    file.map_or(Input::Uncounted, |(position, file)| Input::File(file, position))
}

/// As the event has it, and as this program's own exit status.
fn described(status: ExitStatus) -> (String, u8) {
    match (status.code(), status.signal()) {
        (Some(code), _) => (code.to_string(), u8::try_from(code).unwrap_or(u8::MAX)),
        (None, Some(signal)) => (format!("signal:{signal}"), u8::try_from(128 + signal).unwrap_or(u8::MAX)),
        (None, None) => ("unknown".into(), 126),
    }
}

/// Where the name of a command leads to.
fn found(name: &OsStr) -> PathBuf {
    if name.as_bytes().contains(&b'/') {
        return name.into();
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| Path::new(".").join(name))
}
