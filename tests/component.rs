//! The artifacts themselves: what they import, how large they are, and that the lines they write carry the
//! leaf hashes that RFC 6962 says.

mod common;

use audit_host::Backend;
use audit_host::{Error, Event, Instance, Options};
use common::{artifact, component, everything, local_component, open};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs;
use wasmtime::Engine;
use wasmtime::component::Component;
use xtask::components::World;

const IMPORTS: [&str; 9] = [
    "audit:store/types",
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
        World::Full => 512_000,
        World::Local => 384_000,
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
fn the_local_artifact_imports_the_interfaces_that_it_uses_and_nothing_else() {
    assert_eq!(imports(World::Local), IMPORTS.map(String::from).into());
}

#[test]
fn the_full_artifact_imports_the_postgres_interface_besides() {
    let mut expected: BTreeSet<_> = IMPORTS.map(String::from).into();
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
fn the_files_hold_lines_with_their_leaf_hashes() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(Backend::Jsonl, folder.path());
    for tool in ["a", "\"quoted\" \\", "検索"] {
        store
            .write(&Event { tool: tool.into(), ts: "2026-11-23T12:00:00Z".into(), ..Event::default() })
            .unwrap();
    }
    // Batches are hashed four at a time: all remainders, and lengths on all sides of the blocks of the hash.
    for size in 1..=9 {
        let lengths = (0..size).map(|n| if n == 1 { 3_600 } else { 13 * n + 7 * size });
        let sized =
            |len| Event { tool: "x".repeat(len), ts: "2026-11-23T12:00:00Z".into(), ..Event::default() };
        store.write_batch(&lengths.map(sized).collect::<Vec<_>>()).unwrap();
    }
    let file = fs::read_to_string(folder.path().join("tool_audit_2026-11-23.jsonl")).unwrap();
    assert!(file.ends_with('\n'));
    let (entries, _) = everything(&mut store);
    assert_eq!(entries.len(), 3 + 45);
    for (seq, (line, entry)) in file.lines().zip(&entries).enumerate() {
        let (body, tail) = line.split_once(",\"hash\":\"").unwrap();
        let mut leaf = vec![0];
        leaf.extend_from_slice(body.as_bytes());
        leaf.push(b'}');
        let hash: String = Sha256::digest(&leaf).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(tail, format!("{hash}\"}}"));
        assert_eq!((entry.seq, &entry.hash, &entry.chain), (seq as u64, &hash, &entries[0].chain));
    }
    assert!(entries.windows(2).all(|pair| pair[0].id < pair[1].id));
    assert_eq!(store.status().unwrap().chain, entries[0].chain);
}

#[test]
fn a_database_is_a_configuration_error_where_there_is_none() {
    for component in [component(), local_component()] {
        for backend in ["postgres", "auto"] {
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
