//! The types and functions that `bindgen!` generates from the WIT package, for synchronous calls to the world
//! `full`.
#![allow(missing_docs)]

wasmtime::component::bindgen!({
    path: "wit",
    world: "full",
    additional_derives: [PartialEq, Eq],
});
