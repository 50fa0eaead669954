//! Faults that tests put into an instance.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// Where a test stops an instance: before or after the component has done its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    No,
    Before,
    After,
}

/// One for each write to come, of whatever instance.
pub(crate) type Faults = Arc<Mutex<VecDeque<Fault>>>;
