//! The clock of the events: it runs so fast that a run has many days.

use std::env;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use audit_format::time::{Day, Timestamp};

/// The first instant of the events: 2026-02-01.
const FIRST: i64 = 1_769_904_000_000_000;

const DAY: f64 = 86_400e6;

/// How long a day takes at most.
const OF_A_DAY: f64 = 20.0;

/// How many days a run has at least.
const DAYS: f64 = 5.0;

/// The variable with the clock of a run, for its processes.
pub const VARIABLE: &str = "SOAK_CLOCK";

/// A clock that began at [`FIRST`].
#[derive(Clone, Copy)]
pub struct Clock {
    /// When it began, by the clock of the machine, in microseconds.
    began: f64,
    /// How much faster it runs.
    speed: f64,
}

impl Clock {
    pub fn start(length: Duration) -> Self {
        let days = (length.as_secs_f64() / OF_A_DAY).max(DAYS);
        Self { began: now(), speed: days * DAY / 1e6 / length.as_secs_f64().max(1.0) }
    }

    pub fn text(self) -> String {
        format!("{} {}", self.began, self.speed)
    }

    /// The clock of the run that this process belongs to.
    pub fn from_environment() -> Option<Self> {
        let text = env::var(VARIABLE).ok()?;
        let (began, speed) = text.split_once(' ')?;
        Some(Self { began: began.parse().ok()?, speed: speed.parse().ok()? })
    }

    pub fn now(self) -> Timestamp {
        Timestamp::clamped(FIRST + ((now() - self.began) * self.speed) as i64)
    }

    /// The day that was so many days ago.
    pub fn days_ago(self, days: i64) -> Day {
        Timestamp::clamped(self.now().micros() - days * DAY as i64).day()
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1e6
}
