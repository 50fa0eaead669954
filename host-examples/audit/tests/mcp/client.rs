//! A client of an MCP server that runs behind `audit mcp`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;

use audit_testbed::PATIENCE;
use serde_json::{Value, json};

use crate::common::{Workspace, end_of};

/// The server of the tests.
pub fn toy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mcp/server.py")
}

pub struct Client {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Client {
    /// The toy server behind the proxy, with these options of the proxy and arguments of the server.
    pub fn toy(workspace: &Workspace, options: &[&str], arguments: &[&str]) -> Self {
        Self::start(toy_command(workspace, options, arguments))
    }

    pub fn start(mut command: Command) -> Self {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (send, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in stdout.lines() {
                let Ok(line) = line else { return };
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        let stdin = child.stdin.take();
        Self { child, stdin, lines }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn send(&mut self, message: &Value) {
        self.send_line(&message.to_string());
    }

    pub fn send_line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// The next line of the server, which has to come.
    #[track_caller]
    pub fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line comes")
    }

    /// The next line; None once the server has closed its output.
    #[track_caller]
    pub fn try_line(&self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("neither a line nor the end comes"),
        }
    }

    #[track_caller]
    pub fn message(&self) -> Value {
        serde_json::from_str(&self.line()).unwrap()
    }

    pub fn initialize(&mut self) {
        let client = json!({"name": "tester", "version": "4"});
        let params = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client});
        self.send(&json!({"jsonrpc": "2.0", "id": "first", "method": "initialize", "params": params}));
        assert_eq!(self.message()["id"], "first");
    }

    /// Sends a call.
    pub fn call(&mut self, id: impl Into<Value>, tool: &str, arguments: Value) {
        let params = json!({"name": tool, "arguments": arguments});
        self.send(&json!({"jsonrpc": "2.0", "id": id.into(), "method": "tools/call", "params": params}));
    }

    /// Closes the server's input, waits for its end, and returns that and what stood on stderr.
    pub fn close(mut self) -> (ExitStatus, String) {
        drop(self.stdin.take());
        self.end()
    }

    /// Waits for the end of the server.
    pub fn end(mut self) -> (ExitStatus, String) {
        let mut stderr = self.child.stderr.take().unwrap();
        let reading = thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            text
        });
        let status = end_of(self.child).status;
        drop(self.stdin);
        (status, reading.join().unwrap())
    }

    /// Leaves without a word.
    pub fn leave(self) -> Child {
        self.child
    }
}

pub fn toy_command(workspace: &Workspace, options: &[&str], arguments: &[&str]) -> Command {
    let mut command = workspace.audit(["mcp"]);
    command.args(options).args(["--", "python3"]).arg(toy()).args(arguments);
    command
}
