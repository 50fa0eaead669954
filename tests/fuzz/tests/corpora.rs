//! What is in the corpora of the fuzzers keeps every promise, each time.

use std::fs;
use std::path::{Path, PathBuf};

use audit_fuzz::TARGETS;

/// The most files of a target, and the most bytes of all: a corpus is chosen, and not collected.
const MAX_FILES: usize = 100;
const MAX_BYTES: u64 = 1 << 20;

fn fuzz() -> PathBuf {
    xtask::root().join("fuzz")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn every_input_of_the_corpora_keeps_the_promises_of_its_target() {
    let mut bytes = 0;
    for target in TARGETS {
        let folder = fuzz().join("corpus").join(target.name);
        let files = names(&folder);
        assert!((1..=MAX_FILES).contains(&files.len()), "{} has {} inputs", target.name, files.len());
        for file in files {
            let input = fs::read(folder.join(&file)).unwrap();
            bytes += input.len() as u64;
            // The name, should it panic.
            println!("{}/{file}", target.name);
            (target.run)(&input);
        }
    }
    assert!(bytes <= MAX_BYTES, "the corpora have {bytes} bytes");
}

#[test]
fn each_target_has_a_fuzzer_and_a_corpus_of_its_own() {
    let expected: Vec<String> = {
        let mut names: Vec<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
        names.sort();
        names
    };
    let manifest: toml::Table = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap().parse().unwrap();
    let fuzzers = manifest["bin"].as_array().unwrap().iter();
    let mut fuzzers: Vec<String> = fuzzers.map(|bin| bin["name"].as_str().unwrap().to_owned()).collect();
    fuzzers.sort();
    assert_eq!(fuzzers, expected);
    assert_eq!(names(&fuzz().join("corpus")), expected);
    for name in expected {
        let source = fs::read_to_string(fuzz().join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(source.contains(&format!("audit_fuzz::{name}(input)")), "{name}: {source}");
    }
}
