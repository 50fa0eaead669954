//! Signals: what somebody sends to this program is meant for the command.
//!
//! What the terminal sends (Ctrl-C, say) reaches the command by itself, because it is in the same process group.
//! This program survives both, to record how the command ended.

use std::fs;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::low_level::siginfo::Cause;

const PASSED_ON: [i32; 6] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2];

/// Signals that are caught, and kept until there is a command to pass them on to.
pub(crate) struct Signals(Option<SignalsInfo<WithOrigin>>);

impl Signals {
    pub(super) fn catch() -> Self {
        // What whoever started this program ignores, the command has to inherit as ignored.
        let caught = PASSED_ON.into_iter().filter(|signal| !ignored(*signal));
        Self(SignalsInfo::new(caught).ok())
    }

    /// Passes signals on to the command.
    pub(super) fn pass_on_to(self, pid: Pid) -> PassingOn {
        let passing_on = PassingOn::default();
        let (target, ended) = (Arc::clone(&passing_on.target), Arc::clone(&passing_on.interrupted));
        let ctrl_c = Arc::clone(&passing_on.ctrl_c);
        *lock(&target) = Some(pid);
        let Some(mut signals) = self.0 else { return passing_on };
        let pass_on = move || {
            for origin in signals.forever() {
                if origin.cause == Cause::Kernel && origin.signal == SIGINT {
                    ctrl_c.store(true, Ordering::Relaxed);
                }
                // The lock is held, so that the process is not collected, and its number used again, before.
                match *lock(&target) {
                    Some(pid) if origin.cause != Cause::Kernel => {
                        if let Some(signal) = Signal::from_named_raw(origin.signal) {
                            let _ = kill_process(pid, signal);
                        }
                    }
                    Some(_) => {}
                    None => ended.store(true, Ordering::Relaxed),
                }
            }
        };
        let _: io::Result<_> = thread::Builder::new().name("signals".into()).spawn(pass_on);
        passing_on
    }
}

/// Signals on their way to the command.
#[derive(Default)]
pub(super) struct PassingOn {
    target: Arc<Mutex<Option<Pid>>>,
    interrupted: Arc<AtomicBool>,
    ctrl_c: Arc<AtomicBool>,
}

impl PassingOn {
    /// The command has ended; it is not collected yet.
    pub(super) fn command_ended(&self) {
        *lock(&self.target) = None;
    }

    /// Whether the command, which SIGINT ended, got it from the terminal's Ctrl-C.
    pub(super) fn was_ctrl_c(&self) -> bool {
        // The signal may have reached the command a moment before it reaches this program.
        let end = Instant::now() + Duration::from_millis(100);
        while !self.ctrl_c.load(Ordering::Relaxed) && Instant::now() < end {
            thread::sleep(Duration::from_millis(1));
        }
        self.ctrl_c.load(Ordering::Relaxed)
    }

    /// Whether there was a signal since: somebody does not want to wait for the output.
    pub(super) fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}

fn lock(target: &Mutex<Option<Pid>>) -> std::sync::MutexGuard<'_, Option<Pid>> {
    target.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends this program as Ctrl-C does: a shell that runs a loop then ends the loop too, which it does not do after
/// an exit status.
pub(super) fn end_by_ctrl_c() {
    let _ = signal_hook::low_level::emulate_default_handler(SIGINT);
}

/// Whether the signal is ignored, as far as Linux tells.
pub(crate) fn ignored(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}
