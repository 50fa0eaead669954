//! Events of the trail about the trail: what was pruned, and what is held.

use audit_evidence::prune::Trail;
use audit_format::event;
use audit_host::{Attribute, Event, Instance, Options};

/// Records single events, each so that it is on the disk or in the database.
pub(super) struct Recorder {
    options: Options,
}

impl Recorder {
    /// A recorder into the store that these options name.
    pub(super) fn new(options: Options) -> Self {
        Self { options: options.durability("synced").no_call_limit() }
    }
}

impl Trail for Recorder {
    fn record(&mut self, event: &event::Event<'_>) -> Result<(), String> {
        let attribute = |attribute: &audit_format::attributes::Attribute<'_>| Attribute {
            key: attribute.key.to_string(),
            value: attribute.value.to_string(),
        };
        let event = Event {
            user_id: event.user_id.to_string(),
            tool: event.tool.to_string(),
            action: event.action.to_string(),
            status: event.status.to_string(),
            input_hash: event.input_hash.to_string(),
            attributes: event.attributes.iter().map(attribute).collect(),
            ..Event::default()
        };
        let record = || {
            let mut instance = Instance::open(&self.options)?;
            instance.write_batch(std::slice::from_ref(&event))?;
            instance.flush()?;
            let stored = instance.status()?.counts.stored;
            instance.close()?;
            Ok::<_, audit_host::Error>(stored)
        };
        match record() {
            Ok(1) => Ok(()),
            Ok(_) => Err("it waits, or was refused; `audit status` tells more".into()),
            Err(error) => Err(error.to_string()),
        }
    }
}
