//! The command with its streams, which are counted, and how it ended.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal as _, PipeReader, PipeWriter, Seek as _, pipe};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::fs::{FileType, fstat};
use signal_hook::consts::SIGINT;

use super::input;
use crate::child::signals::Signals;
use crate::child::streams::{Copier, duplicate};
use crate::child::{NotStarted, Over, Process, exit_status};

/// How long to wait, once the command has ended, for the thread that copies its input. The thread counts what
/// the command has read and removes it from the original input, and may be scheduled late.
const INPUT_WAIT: Duration = Duration::from_secs(5);

/// The command while it runs.
pub(super) struct Running {
    process: Process,
    outputs: Vec<Copier>,
    input: Input,
    /// Dropped when the command has ended, which tells the copying threads.
    ended: PipeWriter,
}

/// How the command ended.
pub(super) struct Ended {
    /// The `status` of the event.
    pub(super) status: String,
    /// The exit status of this program.
    pub(super) exit_code: u8,
    /// Whether Ctrl-C in the terminal has ended the command.
    pub(super) by_ctrl_c: bool,
    pub(super) duration: Duration,
    pub(super) in_size: u64,
    pub(super) out_size: u64,
    /// The errors of the streams.
    pub(super) problems: Vec<String>,
}

/// How the command gets its input.
enum Input {
    /// A thread copies the input.
    Copied(Copier),
    /// The command reads the file itself. The number is the position in it before the start.
    File(File, u64),
    /// The command inherits stdin, such as a terminal, and nothing is counted.
    Uncounted,
}

/// The pipes between this program and the command, with both ends. Without a pipe, the command inherits the
/// stream of this program.
struct Pipes {
    stdin: Option<(PipeReader, PipeWriter)>,
    stdout: Option<(PipeReader, PipeWriter)>,
    stderr: Stderr,
}

enum Stderr {
    Pipe(PipeReader, PipeWriter),
    /// Output and errors go to the same place, so one pipe takes both and keeps their order.
    AsStdout,
    Inherited,
}

impl Running {
    /// Starts the command. With `tty`, the command inherits output streams that are a terminal.
    pub(super) fn start(arguments: &[OsString], tty: bool) -> Result<Self, NotStarted> {
        let pipes = Pipes::new(tty).and_then(|pipes| Ok((pipes, pipe()?)));
        let (pipes, (wait, ended)) = pipes.map_err(NotStarted::no_pipes)?;
        let input = if pipes.stdin.is_none() { inherited_input() } else { Input::Uncounted };
        let process = Process::start(arguments, |command| pipes.connect(command))?;
        let mut running = Self { process, outputs: Vec::new(), input, ended };
        match pipes.copy(&mut running, &wait) {
            Ok(()) => Ok(running),
            Err(error) => {
                running.process.kill();
                Err(NotStarted::no_pipes(error))
            }
        }
    }

    /// Waits until the command has ended and its output is passed on.
    pub(super) fn wait(mut self, signals: Signals) -> Ended {
        let passing_on = self.process.pass_on(signals);
        let Over { status, duration } = self.process.wait();
        drop(self.ended);
        let interrupted = || passing_on.interrupted();
        let mut problems: Vec<String> = Vec::new();
        for output in &self.outputs {
            problems.extend(output.wait(interrupted));
        }
        let in_size = match &mut self.input {
            Input::Copied(copier) => {
                // Only for a limited time: the thread may be reading input that another process has taken
                // first.
                let end = Instant::now() + INPUT_WAIT;
                problems.extend(copier.wait(|| Instant::now() >= end));
                copier.count()
            }
            Input::File(file, before) => file.stream_position().unwrap_or(*before).saturating_sub(*before),
            Input::Uncounted => 0,
        };
        let signal = status.as_ref().ok().and_then(ExitStatus::signal);
        let by_ctrl_c = signal == Some(SIGINT) && passing_on.was_ctrl_c();
        let out_size = self.outputs.iter().map(Copier::count).sum();
        let (status, exit_code) = match status {
            Ok(status) => exit_status(status),
            Err(error) => {
                problems.push(format!("cannot wait for the command: {error}"));
                ("unknown".into(), 126)
            }
        };
        Ended { status, exit_code, by_ctrl_c, duration, in_size, out_size, problems }
    }
}

impl Ended {
    /// The end of a command that could not be started.
    pub(super) fn never_ran(exit_code: u8) -> Self {
        Self {
            status: exit_code.to_string(),
            exit_code,
            by_ctrl_c: false,
            duration: Duration::ZERO,
            in_size: 0,
            out_size: 0,
            problems: Vec::new(),
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

    /// Gives the command its ends of the pipes.
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

    /// Starts the copying threads, and closes this program's copies of the command's ends.
    fn copy(self, running: &mut Running, ended: &PipeReader) -> io::Result<()> {
        if let Some((_, to)) = self.stdin {
            let from = duplicate(io::stdin().as_fd())?;
            running.input = Input::Copied(input::pass_on(from, to, ended.try_clone()?)?);
        }
        if let Some((from, _)) = self.stdout {
            let to = duplicate(io::stdout().as_fd())?;
            running.outputs.push(Copier::output("stdout", from, to, ended.try_clone()?)?);
        }
        if let Stderr::Pipe(from, _) = self.stderr {
            let to = duplicate(io::stderr().as_fd())?;
            running.outputs.push(Copier::output("stderr", from, to, ended.try_clone()?)?);
        }
        Ok(())
    }
}

fn file_type(fd: impl AsFd) -> io::Result<FileType> {
    Ok(FileType::from_raw_mode(fstat(fd)?.st_mode))
}

/// The input of a command that inherits stdin. The command shares the position in a file with this program,
/// and the position shows how much the command has read.
fn inherited_input() -> Input {
    if !matches!(file_type(io::stdin()), Ok(FileType::RegularFile)) {
        return Input::Uncounted;
    }
    let file = duplicate(io::stdin().as_fd()).map(File::from);
    let file = file.and_then(|mut file| Ok((file.stream_position()?, file)));
    file.map_or(Input::Uncounted, |(position, file)| Input::File(file, position))
}
