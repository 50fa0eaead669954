//! The artifacts for Spin: what they import and export, and their size.

use audit_spin_host::{exports, imports};

use crate::site;

#[test]
fn the_store_imports_what_spin_offers_and_exports_the_whole_package() {
    let names = imports(site::store());
    // Any version of WASI 0.2 fits; those of Spin have to be these.
    let mut names: Vec<&str> = names
        .iter()
        .map(|name| match name.starts_with("wasi:") {
            true => name.split('@').next().unwrap_or_default(),
            false => name,
        })
        .collect();
    names.sort_unstable();
    let expected = [
        "audit:store/types@0.1.0",
        "fermyon:spin/variables@2.0.0",
        "spin:postgres/postgres@4.2.0",
        "wasi:cli/environment",
        "wasi:cli/stderr",
        "wasi:clocks/wall-clock",
        "wasi:filesystem/preopens",
        "wasi:filesystem/types",
        "wasi:io/error",
        "wasi:io/streams",
        "wasi:random/random",
    ];
    assert_eq!(names, expected);
    let mut exported = exports(site::store());
    exported.sort_unstable();
    let package = ["control", "reader", "types", "writer"].map(|name| format!("audit:store/{name}@0.1.0"));
    assert_eq!(exported, package);
}

#[test]
fn the_store_for_spin_is_small() {
    let size = site::store().len();
    println!("{size} bytes");
    assert!(size <= 1 << 20, "it has {size} bytes");
}
