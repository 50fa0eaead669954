//! Starting the server, the first time and again.

use std::fs::{self, OpenOptions};
use std::process::Stdio;

use rustix::process::Pid;

use super::Cluster;
use crate::port::free_port;
use crate::sql;
use crate::wait::wait_for;

const PORT_TAKEN: &str = "could not bind IPv4 address";

impl Cluster {
    /// Starts the stopped server on its port and folder, and waits until it answers.
    pub fn launch(&self) {
        assert!(self.try_launch(), "the server does not start: {}", self.log());
    }

    pub(super) fn launch_on_free_port(&mut self) {
        loop {
            self.port = free_port();
            if self.try_launch() {
                return;
            }
            let log = self.log();
            assert!(log.contains(PORT_TAKEN), "the server does not start: {log}");
            fs::remove_file(self.folder.join("log")).expect("the log is there");
        }
    }

    fn try_launch(&self) -> bool {
        self.spawn();
        self.wait_until(|| self.ended() || sql::try_sql(&self.url("postgres"), "SELECT 1").is_ok());
        !self.ended()
    }

    fn spawn(&self) {
        let mut state = self.state();
        assert!(state.postmaster.is_none(), "the server runs already");
        // A crash leaves this file behind, and the process that it names may be another by now.
        let _ = fs::remove_file(self.data().join("postmaster.pid"));
        let log = self.folder.join("log");
        let log = OpenOptions::new().create(true).append(true).open(log).expect("the folder can be written");
        let mut command = self.account.command(&self.programs.join("postgres"), &self.folder);
        command.arg("-D").arg(self.data()).args(["-p", &self.port.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let postmaster = command.spawn().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        state.watcher.watch(&[Pid::from_child(&postmaster)]);
        state.postmaster = Some(postmaster);
    }

    /// Whether the server has ended by itself.
    fn ended(&self) -> bool {
        let mut state = self.state();
        let ended = match &mut state.postmaster {
            None => true,
            Some(postmaster) => postmaster.try_wait().expect("it is a child").is_some(),
        };
        if ended {
            state.postmaster = None;
            state.watcher.watch(&[]);
        }
        ended
    }

    pub(super) fn wait_until(&self, mut done: impl FnMut() -> bool) {
        let log = || Err(format!("the server does not answer: {}", self.log()));
        wait_for(|| if done() { Ok(()) } else { log() });
    }
}
