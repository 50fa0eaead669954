//! Passes on signals that another process sends to this program, because they are meant for the command.
//!
//! Signals of the terminal, such as that of Ctrl-C, reach the command by themselves, because it is in the
//! same process group. This program survives both kinds, to record how the command ended.

use std::fs;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::low_level::siginfo::Cause;

/// The signals that are passed on.
const PASSED_ON: [i32; 6] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2];

/// Signals that are caught, and kept until the command runs.
pub(crate) struct Signals(Option<SignalsInfo<WithOrigin>>);

impl Signals {
    pub(crate) fn catch() -> Self {
        // A signal that this program was started to ignore is not caught, so that the command inherits that.
        let caught = PASSED_ON.into_iter().filter(|signal| !ignored(*signal));
        Self(SignalsInfo::new(caught).ok())
    }

    /// Starts a thread that passes signals on to the command.
    pub(super) fn pass_on_to(self, pid: Pid) -> PassingOn {
        let passing_on = PassingOn::default();
        let (target, interrupted) = (Arc::clone(&passing_on.target), Arc::clone(&passing_on.interrupted));
        let ctrl_c = Arc::clone(&passing_on.ctrl_c);
        let asked_to_end = Arc::clone(&passing_on.asked_to_end);
        *lock(&target) = Some(pid);
        let Some(mut signals) = self.0 else { return passing_on };
        let pass_on = move || {
            for origin in signals.forever() {
                if origin.cause == Cause::Kernel && origin.signal == SIGINT {
                    ctrl_c.store(true, Ordering::Relaxed);
                }
                if matches!(origin.signal, SIGHUP | SIGINT | SIGTERM) {
                    asked_to_end.store(true, Ordering::Relaxed);
                }
                // `command_ended` waits for the lock, so that the number of the process is not reused before
                // the signal is sent.
                match *lock(&target) {
                    Some(pid) if origin.cause != Cause::Kernel => {
                        if let Some(signal) = Signal::from_named_raw(origin.signal) {
                            let _ = kill_process(pid, signal);
                        }
                    }
                    Some(_) => {}
                    None => interrupted.store(true, Ordering::Relaxed),
                }
            }
        };
        let _: io::Result<_> = thread::Builder::new().name("signals".into()).spawn(pass_on);
        passing_on
    }
}

/// How signals are passed on to the command, and which ones came.
#[derive(Clone, Default)]
pub(crate) struct PassingOn {
    /// The command, until it has ended.
    target: Arc<Mutex<Option<Pid>>>,
    /// A signal came after the command had ended.
    interrupted: Arc<AtomicBool>,
    /// SIGINT came from the terminal.
    ctrl_c: Arc<AtomicBool>,
    /// A signal came that asks a program to end.
    asked_to_end: Arc<AtomicBool>,
}

impl PassingOn {
    /// The command, until it has ended.
    pub(super) fn target(&self) -> Option<Pid> {
        *lock(&self.target)
    }

    /// Passes no more signals on. To be called when the command has ended, before it is waited for.
    pub(super) fn command_ended(&self) {
        *lock(&self.target) = None;
    }

    /// Sends a signal to the command, unless it has ended.
    pub(crate) fn send(&self, signal: Signal) {
        if let Some(pid) = *lock(&self.target) {
            let _ = kill_process(pid, signal);
        }
    }

    /// Whether somebody, or Ctrl-C, asked this program and the command to end.
    pub(crate) fn asked_to_end(&self) -> bool {
        self.asked_to_end.load(Ordering::Relaxed)
    }

    /// Whether the SIGINT that has ended the command came from Ctrl-C in the terminal.
    pub(crate) fn was_ctrl_c(&self) -> bool {
        // The signal may reach this program a moment after the command.
        let end = Instant::now() + Duration::from_millis(100);
        while !self.ctrl_c.load(Ordering::Relaxed) && Instant::now() < end {
            thread::sleep(Duration::from_millis(1));
        }
        self.ctrl_c.load(Ordering::Relaxed)
    }

    /// Whether a signal came after the command had ended: somebody does not want to wait for the rest of the
    /// output.
    pub(crate) fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}

fn lock(target: &Mutex<Option<Pid>>) -> std::sync::MutexGuard<'_, Option<Pid>> {
    target.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends this program by SIGINT, as Ctrl-C does. A shell that runs a loop then ends the loop, which it would
/// not do after an exit status.
pub(crate) fn end_by_ctrl_c() {
    let _ = signal_hook::low_level::emulate_default_handler(SIGINT);
}

/// The signals that this process was started to ignore, as bits. Systems without Linux's `/proc` do not tell; there it is none.
static IGNORED: LazyLock<u64> = LazyLock::new(|| {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
});

/// Whether this process was started to ignore the signal.
pub(crate) fn ignored(signal: i32) -> bool {
    *IGNORED >> (signal - 1) & 1 == 1
}
