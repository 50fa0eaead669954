//! Bindings generated from the WIT: what the host provides, and what it calls in the store.
#![allow(missing_docs)]

/// Spin's interfaces, as the adapter declares them.
pub mod spin {
    wasmtime::component::bindgen!({
        path: [
            "../../host-examples/spin/postgres-adapter/wit/postgres",
            "../../host-examples/spin/postgres-adapter/wit/variables",
        ],
        inline: "
            package audit:spin-host;
            world imports {
                import spin:postgres/postgres@4.2.0;
                import fermyon:spin/variables@2.0.0;
            }
        ",
        world: "audit:spin-host/imports",
        with: { "spin:postgres/postgres.connection": crate::postgres::Pooled },
    });
}

/// The exports of the store.
pub mod store {
    wasmtime::component::bindgen!({ path: "../../wit", world: "audit:store/local" });

    use exports::audit::store::types;

    audit_format::event_record!(types::Event, types::Attribute);
    audit_format::filter_record!(types::Filter);
}
