//! Bindings generated from the WIT: for the world `full` with the feature `postgres`, else for `local`.

#[cfg(feature = "postgres")]
wit_bindgen::generate!({ path: "wit", world: "full", pub_export_macro: true });
#[cfg(not(feature = "postgres"))]
wit_bindgen::generate!({ path: "wit", world: "local", pub_export_macro: true });

pub use exports::audit::store::types;

audit_format::event_record!(types::Event, types::Attribute);
audit_format::filter_record!(types::Filter);

#[cfg(feature = "postgres")]
mod imported {
    use super::audit::store::types;

    audit_format::event_record!(types::Event, types::Attribute);
    audit_format::filter_record!(types::Filter);
}

impl From<audit_format::line::Parsed<'_>> for types::Entry {
    fn from(parsed: audit_format::line::Parsed<'_>) -> Self {
        use alloc::string::{String, ToString};
        let event = parsed.event.into();
        match parsed.stamp {
            Some(stamp) => Self {
                event,
                id: stamp.id.to_string(),
                chain: stamp.chain.to_string(),
                seq: stamp.seq,
                hash: stamp.hash.into(),
            },
            None => Self { event, id: String::new(), chain: String::new(), seq: 0, hash: String::new() },
        }
    }
}
