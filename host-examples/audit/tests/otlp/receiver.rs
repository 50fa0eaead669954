//! A running `audit otlp`.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use audit_testbed::PATIENCE;

use crate::common::Workspace;

pub struct Otlp {
    pub port: u16,
    child: Child,
    /// Its lines on stderr.
    lines: Receiver<String>,
}

/// How it ended, and what it said.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub lines: Vec<String>,
}

impl Otlp {
    /// Starts it on a port of its own.
    pub fn start(workspace: &Workspace, options: &[&str]) -> Self {
        let listen = ["otlp", "--listen", "127.0.0.1:0"];
        Self::run(workspace.audit(listen.iter().chain(options)))
    }

    /// Runs the command, which listens on any port.
    pub fn run(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (line, lines) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|text| line.send(text)));
        let first: String = lines.recv_timeout(PATIENCE).unwrap();
        let port = first.split_once("http://127.0.0.1:").and_then(|(_, rest)| rest.split_once(' '));
        let port = port.unwrap_or_else(|| panic!("{first}")).0.parse().unwrap();
        Self { port, child, lines }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        let kill = Command::new("kill").args([&format!("-{name}"), &self.id().to_string()]).status();
        assert!(kill.unwrap().success());
    }

    /// The most memory that it has had, in bytes.
    #[cfg(target_os = "linux")]
    pub fn peak_memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
    }

    /// Tells it to end, and waits for that.
    pub fn end(self) -> Ended {
        self.signal("TERM");
        self.ended()
    }

    pub fn kill(self) -> Ended {
        self.signal("KILL");
        self.ended()
    }

    pub fn ended(mut self) -> Ended {
        // Its stderr ends with it.
        let lines: Vec<String> = std::iter::from_fn(|| self.lines.recv_timeout(PATIENCE).ok()).collect();
        let code = self.child.wait().unwrap().code();
        let mut stdout = String::new();
        std::io::Read::read_to_string(&mut self.child.stdout.take().unwrap(), &mut stdout).unwrap();
        assert_eq!(stdout, "");
        Ended { code, lines }
    }
}

impl Drop for Otlp {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
