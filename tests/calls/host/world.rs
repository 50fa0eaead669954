//! What the instances of a test share: a folder, a table, a clock, and what goes wrong in which call.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use super::disk::Disk;
use super::fault::{Effect, Fault, Loss, Part, Reason, When};
use super::table::Table;

/// A call of the component to its host.
#[derive(Clone, Debug)]
pub struct Call {
    pub name: &'static str,
    /// The file, or nothing where it is the folder.
    pub file: String,
    pub effect: Effect,
}

impl Call {
    /// Whether the store can do without it: it writes a warning, or is for the index of a daily file, which is a cache.
    pub fn is_spare(&self) -> bool {
        self.file == "stderr" || self.is_of_an_index()
    }

    pub fn is_of_an_index(&self) -> bool {
        self.file.ends_with(".blocks")
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.file)
    }
}

/// What the host does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does what is asked for.
    Go,
    /// It does nothing, and returns an error.
    Fail(Reason),
    /// It writes a part, and returns an error.
    Short(Part, Reason),
    /// It does what is asked for, and returns an error.
    Done(Reason),
    /// It ends the instance.
    Stop,
    /// It writes a part, and ends the instance.
    ShortStop(Part),
    /// It does what is asked for, and ends the instance.
    DoneStop,
}

/// What happens before a call of an instance; true: the instance ends there.
pub type Between = Box<dyn FnMut(&Call) -> bool + Send>;

/// What the instances share. A clone is the same world.
#[derive(Clone)]
pub struct World(Arc<Mutex<Shared>>);

pub struct Shared {
    /// The clock, in microseconds since 1970.
    pub micros: i64,
    pub disk: Disk,
    pub table: Table,
    random: u64,
    /// The calls since faults were switched on; none: they are off.
    calls: Option<Vec<Call>>,
    /// Which call has a fault.
    fault: Option<(usize, Fault)>,
    /// Why all calls fail.
    broken: Option<Reason>,
    /// What the crash of the machine takes that a fault has caused.
    crashed: Option<Loss>,
    between: Option<Between>,
}

impl World {
    pub fn new(folder: &Path, micros: i64) -> Self {
        Self(Arc::new(Mutex::new(Shared {
            micros,
            disk: Disk::new(folder),
            table: Table::default(),
            random: 0x9e37_79b9_7f4a_7c15,
            calls: None,
            fault: None,
            broken: None,
            crashed: None,
            between: None,
        })))
    }

    /// What the instances share, for as long as nobody calls one of them.
    pub fn lock(&self) -> MutexGuard<'_, Shared> {
        // A test that failed with it says why.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Switches faults on, and makes this one happen.
    pub fn arm(&self, fault: Option<(usize, Fault)>) {
        let mut shared = self.lock();
        (shared.calls, shared.fault) = (Some(Vec::new()), fault);
    }

    /// Switches faults off and repairs what is broken. Returns the calls since they were on, and what a crash of the
    /// machine takes.
    pub fn repair(&self) -> (Vec<Call>, Option<Loss>) {
        let mut shared = self.lock();
        (shared.fault, shared.broken) = (None, None);
        (shared.calls.take().unwrap_or_default(), shared.crashed.take())
    }

    /// Does something that no fault is meant for.
    pub fn without_faults<T>(&self, with: impl FnOnce() -> T) -> T {
        let off = |shared: &mut Shared| (shared.calls.take(), shared.broken.take());
        let (calls, broken) = off(&mut self.lock());
        let done = with();
        let mut shared = self.lock();
        (shared.calls, shared.broken) = (calls, broken);
        done
    }

    /// Has this run before each call of an instance, but not before those that it makes itself.
    pub fn set_between(&self, between: Option<Between>) {
        self.lock().between = between;
    }

    /// Whether the fault has happened, in a call that the store cannot do without.
    pub fn is_impaired(&self) -> bool {
        let shared = self.lock();
        let Some((n, fault)) = shared.fault else { return false };
        let call = shared.calls.as_ref().and_then(|calls| calls.get(n));
        call.is_some_and(|call| !call.is_spare() || matches!(fault, Fault::AllFail(_)))
    }

    /// Has nothing run in between any more, and returns what did.
    pub fn take_between(&self) -> Option<Between> {
        self.lock().between.take()
    }

    /// What the host does with this call.
    pub fn begin(&self, call: &Call) -> Verdict {
        let between = self.lock().between.take();
        if let Some(mut between) = between {
            let ends = between(call);
            self.lock().between = Some(between);
            if ends {
                return Verdict::Stop;
            }
        }
        self.lock().verdict(call)
    }

    /// The current time, in microseconds. Time passes between any two looks at the clock.
    pub fn now(&self) -> i64 {
        let mut shared = self.lock();
        shared.micros += 1;
        shared.micros
    }

    pub fn random(&self) -> u64 {
        let mut shared = self.lock();
        // The step of SplitMix64.
        shared.random = shared.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (shared.random ^ (shared.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ (mixed >> 27)
    }
}

impl Shared {
    fn verdict(&mut self, call: &Call) -> Verdict {
        let Some(calls) = &mut self.calls else { return Verdict::Go };
        calls.push(call.clone());
        if let Some(reason) = self.broken {
            return Verdict::Fail(reason);
        }
        let fault = self.fault.filter(|(n, _)| *n + 1 == calls.len());
        let Some((_, fault)) = fault else { return Verdict::Go };
        match fault {
            Fault::Fails(reason) => Verdict::Fail(reason),
            Fault::AllFail(reason) => {
                self.broken = Some(reason);
                Verdict::Fail(reason)
            }
            Fault::Short(part, reason) => Verdict::Short(part, reason),
            Fault::Done(reason) => Verdict::Done(reason),
            Fault::Killed(when) => Verdict::stop(when),
            Fault::Crash(when, loss) => {
                self.crashed = Some(loss);
                Verdict::stop(when)
            }
        }
    }

    /// Splits the borrow, for what changes both.
    pub fn disk_and_time(&mut self) -> (&mut Disk, i64) {
        (&mut self.disk, self.micros)
    }
}

impl Verdict {
    fn stop(when: When) -> Self {
        match when {
            When::Before => Self::Stop,
            When::At(part) => Self::ShortStop(part),
            When::After => Self::DoneStop,
        }
    }
}
