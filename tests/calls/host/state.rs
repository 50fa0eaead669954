//! What the host keeps for an instance.

use std::collections::HashMap;
use std::time::Duration;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{HostWallClock, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use super::disk::FileId;
use super::world::World;

pub struct State {
    wasi: WasiCtx,
    pub table: ResourceTable,
    pub world: World,
    /// What is behind the descriptors.
    pub descriptors: HashMap<u32, Opened>,
    /// The names and files behind the streams.
    pub streams: HashMap<u32, (String, FileId)>,
    /// What was written to them and not flushed.
    pub unflushed: HashMap<u32, Vec<u8>>,
}

impl State {
    pub fn new(world: &World) -> Self {
        let folder = world.lock().disk.path().parent().expect("it is in another").to_owned();
        let mut wasi = WasiCtxBuilder::new();
        wasi.allow_blocking_current_thread(true).wall_clock(Clock(world.clone()));
        let opened = wasi.preopened_dir(folder, super::PREOPENED, wasmtime_wasi::FsPerms::ReadWrite);
        opened.expect("the folder can be opened");
        Self {
            wasi: wasi.build(),
            table: ResourceTable::new(),
            world: world.clone(),
            descriptors: HashMap::new(),
            streams: HashMap::new(),
            unflushed: HashMap::new(),
        }
    }
}

/// What a descriptor stands for.
#[derive(Clone, Debug, Default)]
pub enum Opened {
    /// The preopened folder, in which the folder of the store is.
    #[default]
    Parent,
    Folder,
    File(String, FileId),
}

impl Opened {
    /// The name of a file.
    pub fn name(&self) -> String {
        match self {
            Self::Parent | Self::Folder => String::new(),
            Self::File(name, _) => name.clone(),
        }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

struct Clock(World);

impl HostWallClock for Clock {
    fn resolution(&self) -> Duration {
        Duration::from_micros(1)
    }

    fn now(&self) -> Duration {
        Duration::from_micros(self.0.now().max(0) as u64)
    }
}
