//! The artifacts themselves: what they import, how large they are, and that the lines they write carry the leaf hashes
//! of RFC 6962.

mod common;

use audit_fixtures::{assert_leaf_hash, component, event, everything, open};
use audit_host::{Backend, Error, Event, Instance, Options};
use audit_testbed::DATABASE_BACKENDS;
use common::{artifact, local_component};
use std::collections::BTreeSet;
use std::fs;
use wasmtime::Engine;
use wasmtime::component::Component;
use xtask::components::World;

const IMPORTS: [&str; 8] = [
    "wasi:cli/environment",
    "wasi:cli/stderr",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/streams",
    "wasi:random/random",
];

/// The limit on the size of an artifact, in bytes.
fn max_size(world: World) -> u64 {
    match world {
        World::Full => 640 << 10,
        World::Local => 512 << 10,
    }
}

fn imports(world: World) -> BTreeSet<String> {
    let engine = Engine::default();
    let component = Component::from_file(&engine, artifact(world)).unwrap();
    let types = component.component_type();
    let names = types.imports(&engine).map(|(name, _)| name.to_string());
    names.map(|name| name.split('@').next().unwrap_or_default().to_string()).collect()
}

#[test]
fn the_local_artifact_imports_only_the_interfaces_that_it_uses() {
    assert_eq!(imports(World::Local), IMPORTS.map(String::from).into());
}

#[test]
fn the_full_artifact_imports_the_postgres_interface_too() {
    let mut expected: BTreeSet<_> = IMPORTS.map(String::from).into();
    // The types of its functions.
    expected.insert("audit:store/types".into());
    expected.insert("audit:store/postgres".into());
    assert_eq!(imports(World::Full), expected);
}

#[test]
fn each_artifact_is_small() {
    for world in [World::Full, World::Local] {
        let size = fs::metadata(artifact(world)).unwrap().len();
        println!("{world:?}: {size} bytes of {} at most", max_size(world));
        assert!(size <= max_size(world), "{world:?} has {size} bytes");
    }
}

#[test]
fn every_line_of_a_file_ends_with_its_leaf_hash() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(Backend::Jsonl, folder.path());
    let of_tool = |tool: String| Event { ts: event(0).ts, tool, ..Event::default() };
    for tool in ["a", "\"quoted\" \\", "検索"] {
        store.write(&of_tool(tool.into())).unwrap();
    }
    // The lines of a batch are hashed four at a time. These batches leave every remainder of four, and their lines end
    // before, in and after every block of the hash.
    for size in 1..=9 {
        let lengths = (0..size).map(|n| if n == 1 { 3_600 } else { 13 * n + 7 * size });
        store.write_batch(&lengths.map(|len| of_tool("x".repeat(len))).collect::<Vec<_>>()).unwrap();
    }
    let file = fs::read_to_string(folder.path().join("tool_audit_2026-11-23.jsonl")).unwrap();
    assert!(file.ends_with('\n'));
    let (entries, _) = everything(&mut store);
    assert_eq!(entries.len(), 3 + 45);
    for (seq, (line, entry)) in file.lines().zip(&entries).enumerate() {
        let hash = assert_leaf_hash(line);
        assert_eq!((entry.seq, entry.hash.as_str(), &entry.chain), (seq as u64, hash, &entries[0].chain));
    }
    assert!(entries.windows(2).all(|pair| pair[0].id < pair[1].id));
    assert_eq!(store.status().unwrap().chain, entries[0].chain);
}

#[test]
fn a_backend_that_needs_a_database_is_a_configuration_error_in_a_host_without_one() {
    for component in [component(), local_component()] {
        for backend in DATABASE_BACKENDS {
            let folder = tempfile::tempdir().unwrap();
            let options = Options::new().backend(backend).dir(folder.path());
            match Instance::start(component, &options) {
                Err(Error::Config(text)) => assert!(text.contains("the host has no database"), "{text}"),
                Err(error) => panic!("{error}"),
                Ok(_) => panic!("{backend} was accepted"),
            }
        }
    }
}
