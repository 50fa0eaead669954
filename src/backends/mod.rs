//! The backends: where events are kept, one file or folder each.

mod auto;
mod jsonl;
mod memory;
mod null;
mod postgres;
mod rows;

use crate::backend::{Backend, Left};
use crate::host::Host;
use crate::settings::{BackendKind, Settings};
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use uuid::Uuid;

/// Sets up the backend that the settings name, for the instance of this chain. It takes on what those before it
/// have left in its folder.
pub fn open<H: Host + 'static>(
    settings: &Settings,
    chain: Uuid,
    left: &mut Vec<Left>,
    host: &Rc<H>,
) -> Box<dyn Backend> {
    match settings.backend {
        BackendKind::Memory => Box::new(memory::Memory::new(settings.memory_limit)),
        BackendKind::Jsonl => Box::new(jsonl::Jsonl::new(host.folder(&settings.jsonl_dir), settings)),
        BackendKind::Postgres => Box::new(postgres::Postgres::new(Rc::clone(host), settings)),
        BackendKind::Auto => Box::new(auto::Auto::new(Rc::clone(host), chain, settings, left)),
        BackendKind::Null => Box::new(null::Null),
    }
}
