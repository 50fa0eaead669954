//! Processes that end, are killed, or are told to end.

use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use audit_testbed::PATIENCE;
use rustix::process::{Pid, Signal, kill_process};

/// How long to wait between two looks at a process.
const PAUSE: Duration = Duration::from_millis(10);

/// A child that is killed where nobody waits for its end.
pub struct Running(pub Child);

impl Running {
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().expect("it is a child")
    }

    /// Waits for its end, which has to come.
    pub fn end(&mut self, what: &str) -> ExitStatus {
        drop(self.0.stdin.take());
        let began = Instant::now();
        loop {
            if let Some(status) = self.has_ended() {
                return status;
            }
            assert!(began.elapsed() < PATIENCE, "{what} does not end");
            thread::sleep(PAUSE);
        }
    }

    /// Tells it to end.
    pub fn terminate(&self) {
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
