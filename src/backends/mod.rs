//! The backends, one file or folder each.

mod auto;
mod jsonl;
mod memory;
mod null;
mod postgres;
mod rows;

use crate::backend::{Backend, Leftover};
use crate::host::Host;
use crate::settings::{BackendKind, Settings};
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use uuid::Uuid;

/// Opens the backend of the settings, for the instance of this chain. `auto` takes over what earlier backends
/// of the instance have left in its folder.
pub fn open<H: Host + 'static>(
    settings: &Settings,
    chain: Uuid,
    leftovers: &mut Vec<Leftover>,
    host: &Rc<H>,
) -> Box<dyn Backend> {
    // The settings name no backend that needs a database without one. In the world `local`, which never has one, the
    // compiler leaves them out.
    if settings.backend.needs_database() && !host.has_database() {
        return Box::new(jsonl::Jsonl::new(host.folder(&settings.jsonl_dir), settings));
    }
    match settings.backend {
        BackendKind::Memory => Box::new(memory::Memory::new(settings.memory_limit)),
        BackendKind::Jsonl => Box::new(jsonl::Jsonl::new(host.folder(&settings.jsonl_dir), settings)),
        BackendKind::Postgres => Box::new(postgres::Postgres::new(Rc::clone(host), settings)),
        BackendKind::Auto => Box::new(auto::Auto::new(Rc::clone(host), chain, settings, leftovers)),
        BackendKind::Null => Box::new(null::Null),
    }
}
