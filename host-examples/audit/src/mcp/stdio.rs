//! The proxy over stdio: the client's input to the server, the server's output to the client, and the end of both.

mod client;
mod server;

use std::io;
use std::os::fd::AsFd as _;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;

use signal_hook::consts::SIGINT;

use self::client::{FromClient, ToClient};
use self::server::{Ending, Life, Streams};
use super::Session;
use super::observer::{Framing, Observer, Stream};
use super::tracker::{Gone, Moment, Place, Sender};
use crate::args::McpArgs;
use crate::child::bound::bound;
use crate::child::signals::{self, Signals};
use crate::child::streams::{Copier, duplicate};
use crate::child::{NotStarted, Over, Process, exit_status};
use crate::message::{finish, warn};

/// Runs the server until its end, and returns its exit status.
pub(super) fn run(args: &McpArgs, session: Session) -> ExitCode {
    let signals = Signals::catch();
    match Server::start(args) {
        Ok(server) => server.serve(args, session, signals),
        Err(not_started) => {
            warn(&not_started.text);
            ExitCode::from(not_started.exit_code)
        }
    }
}

/// The server while it runs, with this program's ends of its pipes.
struct Server {
    process: Process,
    input: io::PipeWriter,
    output: io::PipeReader,
}

impl Server {
    fn start(args: &McpArgs) -> Result<Self, NotStarted> {
        let (stdin, input) = io::pipe().map_err(NotStarted::no_pipes)?;
        let (output, stdout) = io::pipe().map_err(NotStarted::no_pipes)?;
        // Errors go where those of this program go, which has no part in them.
        let connect = |mut command: Command| {
            command.stdin(stdin.try_clone()?).stdout(stdout.try_clone()?).stderr(Stdio::inherit());
            Ok(command)
        };
        let process = Process::start(&bound(&args.command), connect)?;
        Ok(Self { process, input, output })
    }

    fn serve(mut self, args: &McpArgs, session: Session, signals: Signals) -> ExitCode {
        let passing_on = self.process.pass_on(signals);
        let fail_closed = session.fail_closed;
        let (watch, recorder) = session.watch();
        let place = Place { channel: watch.tracker().channel(), exchange: 0 };
        let stream = |sender| Stream { number: sender as u64, place, sender, framing: Framing::Lines };
        let (observer, observing) = match Observer::start(Arc::clone(&watch)) {
            Ok(started) => started,
            Err(error) => return self.give_up(error),
        };
        let life = Arc::new(Life::default());
        let copied = ToClient::new(observer.clone(), stream(Sender::Server), Arc::clone(&life)).and_then(
            |to_client| {
                let from_client = FromClient {
                    from: Arc::new(duplicate(io::stdin().as_fd())?),
                    to: self.input,
                    observer: observer.clone(),
                    stream: stream(Sender::Client),
                    life: Arc::clone(&life),
                };
                let streams = Streams { stdin: Arc::downgrade(&from_client.from), stdout: to_client.out() };
                let gate = fail_closed.then(|| (Arc::clone(&watch), to_client.injector()));
                let (wait, ended) = io::pipe()?;
                let output = Copier::output("stdout", self.output, to_client, wait)?;
                from_client.start(gate)?;
                client::close_own()?;
                Ok((output, ended, streams))
            },
        );
        let (output, ended, streams) = match copied {
            Ok(copied) => copied,
            Err(error) => {
                self.process.kill();
                return failed(error);
            }
        };
        let ending = Ending {
            life: Arc::clone(&life),
            streams,
            passing_on: passing_on.clone(),
            observer: observer.clone(),
            grace: args.grace,
        };
        ending.start();
        let Over { status, .. } = self.process.wait();
        drop(ended);
        let problem = output.wait(|| passing_on.interrupted());
        if let Some(problem) = &problem {
            warn(problem);
        }
        observer.close();
        let _ = observing.join();
        let gone = if life.client_has_left() { Gone::Client } else { Gone::Server };
        watch.track(|tracker| tracker.end_all(gone, Moment::now()));
        recorder.close();
        end(status, problem.is_some(), || passing_on.was_ctrl_c())
    }

    fn give_up(self, error: io::Error) -> ExitCode {
        self.process.kill();
        failed(error)
    }
}

fn failed(error: io::Error) -> ExitCode {
    let NotStarted { exit_code, text } = NotStarted::no_pipes(error);
    warn(text);
    ExitCode::from(exit_code)
}

/// Ends as the server did.
fn end(
    status: io::Result<std::process::ExitStatus>,
    has_lost_output: bool,
    was_ctrl_c: impl Fn() -> bool,
) -> ExitCode {
    use std::os::unix::process::ExitStatusExt as _;
    let status = match status {
        Ok(status) => status,
        Err(error) => {
            warn(format_args!("cannot wait for the server: {error}"));
            return ExitCode::from(126);
        }
    };
    if status.signal() == Some(SIGINT) && was_ctrl_c() {
        finish();
        signals::end_by_ctrl_c();
    }
    let (_, code) = exit_status(status);
    // If output was lost, the exit status must not be that of a success.
    ExitCode::from(if code == 0 && has_lost_output { 1 } else { code })
}
