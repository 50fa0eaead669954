//! How fast a guest of another engine writes to a store that is outside of its reach, through `add_writer_to_linker`: as
//! records one by one, as records in batches, and as JSON lines. The events are in files once the time is taken. It is one
//! round, of which `cargo xtask bench-hosts` runs several.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use audit_host::{AuditStore, GuestWriter, Identity, Options, add_writer_to_linker};
use wasmtime::component::{Component, ComponentNamedList, Lift, Linker, Lower};
use wasmtime::{Config, Engine, Store};
use xtask::figures;
use xtask::guests::{self, Guest};

type Result<T> = std::result::Result<T, Box<dyn Error>>;
type Accepted = (std::result::Result<u64, String>,);

const EVENTS: u32 = 200_000;
const BATCH: u32 = 1_000;

/// An event as large as those that the guest writes as records.
const LINE: &str = r#"{"req_id":"01a21dfd-9a33-7f0e-8c57-2f2c9d1e0b44","workspace_id":"workspace","user_id":"user","agent_id":"guest","tool":"search","action":"query","status":"ok","duration_ms":45,"in_size":120,"out_size":4800,"input_hash":"28c059fecab2486c4df7fa0ef24097d0c363d808bffc0407a8032a3e08614c3f"}
"#;

struct Bench {
    engine: Engine,
    component: Component,
    /// Whether the host sets the agent of each event.
    identity: bool,
}

fn main() -> Result<()> {
    let engine = Engine::new(Config::new().concurrency_support(false))?;
    let target_dir =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| xtask::root().join("target"), Into::into);
    let component = Component::new(&engine, guests::build(&target_dir, Guest::Confined)?)?;
    let mut bench = Bench { engine, component, identity: false };
    for identity in [false, true] {
        bench.identity = identity;
        bench.report("write", |guest| guest.call::<_, ()>("write-many", (EVENTS,)))?;
        bench
            .report("write-batch", |guest| guest.repeat("write-batch", ("guest".to_owned(), BATCH, 6u32)))?;
        bench.report("write-jsonl", |guest| guest.repeat("write-jsonl", (LINE.to_owned(), BATCH)))?;
    }
    Ok(())
}

impl Bench {
    /// Prints how many events a second the guest hands over, and how many are stored.
    fn report(&self, what: &str, work: impl Fn(&mut Running) -> Result<()>) -> Result<()> {
        let (called, stored) = self.round(&work)?;
        let with = if self.identity { ", identity of the host" } else { "" };
        for (which, time) in [("handed over", called), ("stored", stored)] {
            figures::print(&format!("{what}, {which}{with}"), f64::from(EVENTS) / time.as_secs_f64());
        }
        Ok(())
    }

    /// How long the guest takes, and how long it takes until the events are in the file.
    fn round(&self, work: impl Fn(&mut Running) -> Result<()>) -> Result<(Duration, Duration)> {
        let folder = tempfile::tempdir()?;
        // The guest is far faster than a disk, and here nothing is to be dropped.
        let options = Options::new().dir(folder.path()).queue(EVENTS as usize + 1, 1 << 30);
        let audit = AuditStore::open(options)?;
        let mut writer = GuestWriter::new(audit.handle());
        if self.identity {
            writer =
                writer.with_identity(Identity { agent_id: Some("planner".into()), ..Identity::default() });
        }
        let mut guest = Running::start(&self.engine, &self.component, writer)?;
        let began = Instant::now();
        work(&mut guest)?;
        let called = began.elapsed();
        let status = audit.close()?;
        let counts = status.counts;
        if (counts.received, counts.stored) != (EVENTS.into(), EVENTS.into()) {
            return Err(format!("not every event is stored: {counts:?}").into());
        }
        check_size(folder.path())?;
        Ok((called, began.elapsed()))
    }
}

/// That the lines are as long as those of real calls.
fn check_size(folder: &Path) -> Result<()> {
    let sizes = folder.read_dir()?.map(|file| Ok(file?.metadata()?.len())).collect::<Result<Vec<_>>>()?;
    let each = sizes.iter().sum::<u64>() / u64::from(EVENTS);
    if (500..700).contains(&each) { Ok(()) } else { Err(format!("a line has {each} bytes").into()) }
}

struct Running {
    store: Store<GuestWriter>,
    instance: wasmtime::component::Instance,
}

impl Running {
    fn start(engine: &Engine, component: &Component, writer: GuestWriter) -> Result<Self> {
        let mut linker = Linker::new(engine);
        add_writer_to_linker(&mut linker, |writer: &mut GuestWriter| writer.clone())?;
        let mut store = Store::new(engine, writer);
        let instance = linker.instantiate(&mut store, component)?;
        Ok(Self { store, instance })
    }

    fn call<P, R>(&mut self, name: &str, parameters: P) -> Result<R>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        let calls = self.instance.get_export_index(&mut self.store, None, "audit:guest/calls");
        let function = self.instance.get_export_index(&mut self.store, calls.as_ref(), name);
        let function = function.ok_or("the guest has no such function")?;
        let function = self.instance.get_typed_func::<P, R>(&mut self.store, function)?;
        Ok(function.call(&mut self.store, parameters)?)
    }

    /// Makes the call until there are all events.
    fn repeat<P>(&mut self, name: &str, parameters: P) -> Result<()>
    where
        P: ComponentNamedList + Lower + Send + Sync + Clone,
    {
        for _ in 0..EVENTS / BATCH {
            self.call::<_, Accepted>(name, parameters.clone())?.0?;
        }
        Ok(())
    }
}
