//! Faults that tests inject into an instance.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// When a test stops an instance: not at all, or before or after the component has done its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    No,
    Before,
    After,
}

/// The faults of the next writes, one for each, whatever instance they go to.
pub(crate) type Faults = Arc<Mutex<VecDeque<Fault>>>;
