//! Bindings generated from the WIT. An import can end its instance with a trap.
#![allow(missing_docs)]

wasmtime::component::bindgen!({
    path: "wit",
    world: "full",
    imports: { default: trappable },
    additional_derives: [PartialEq],
});

mod exported {
    use super::exports::audit::store::types;

    audit_format::event_record!(types::Event, types::Attribute);
    audit_format::filter_record!(types::Filter);
}

mod imported {
    use super::audit::store::types;

    audit_format::event_record!(types::Event, types::Attribute);
    audit_format::filter_record!(types::Filter);
}
