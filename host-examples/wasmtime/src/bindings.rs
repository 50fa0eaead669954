//! What `bindgen!` makes of the WIT package: the world `full`, called synchronously.
#![allow(missing_docs)]

wasmtime::component::bindgen!({
    path: "wit",
    world: "full",
    additional_derives: [PartialEq, Eq, serde::Serialize],
});
