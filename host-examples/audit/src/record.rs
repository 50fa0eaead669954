//! Records single events, for programs that run for one call.

use std::io;
use std::thread::{self, JoinHandle};

use audit_host::{Component, Error, Event, Instance, Options};

/// The component, which is loaded on a thread of its own.
pub(crate) struct Loading(io::Result<JoinHandle<Result<Component, Error>>>);

impl Loading {
    pub(crate) fn start(load: impl FnOnce() -> Result<Component, Error> + Send + 'static) -> Self {
        Self(thread::Builder::new().spawn(load))
    }

    pub(crate) fn wait(self) -> Result<Component, Error> {
        let loading = self.0.map_err(|error| Error::Start(error.to_string()))?;
        loading.join().unwrap_or_else(|_| Err(Error::Start("the thread that loads it panicked".into())))
    }
}

/// Checks the options that the component has to check, before anything is run with them. The component is loaded only if there
/// are any, and can then be used.
///
/// # Errors
/// [`Error::Config`] for an invalid option. Whatever else is wrong, such as the folder, is found when there is an event.
pub(crate) fn checked(options: &Options) -> Result<Option<Result<Component, Error>>, Error> {
    let loaded = options.is_configured().then(|| Component::load(options));
    if let Some(Ok(component)) = &loaded {
        let trial = options.clone().read_only(true).warnings(|_| {});
        if let Err(error @ Error::Config(_)) = Instance::start(component, &trial) {
            return Err(error);
        }
    }
    Ok(loaded)
}

/// Records the event, and closes the store.
pub(crate) fn once(component: &Component, options: &Options, event: &Event) -> Result<(), Error> {
    let mut instance = Instance::start(component, options)?;
    instance.write_batch(std::slice::from_ref(event))?;
    instance.close()
}
