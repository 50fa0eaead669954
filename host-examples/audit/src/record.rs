//! Records single events, for programs that run for one call.

use audit_host::{Component, Error, Event, Instance, Options};

/// Records the event, and closes the store.
pub(crate) fn once(component: &Component, options: &Options, event: &Event) -> Result<(), Error> {
    let mut instance = Instance::start(component, options)?;
    instance.write_batch(std::slice::from_ref(event))?;
    instance.close()
}
