//! Bindings generated from the WIT.
#![allow(missing_docs, reason = "the WIT has the documentation")]

wit_bindgen::generate!({
    path: ["../../../wit", "wit"],
    world: "audit:spin-app/app",
    generate_all,
});
