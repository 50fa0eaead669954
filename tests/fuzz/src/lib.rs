//! What is promised of any input whatsoever. Each target is a function of bytes that panics where a promise is broken: the
//! fuzzers in `fuzz/` look for such bytes, and a test runs what they have found, and what is known to be odd, each time.
//!
//! A target takes its bytes apart by itself, so that the files of a corpus can be read and written by hand: where it needs
//! more than one text, they are parted by [`SEPARATOR`].

#![deny(missing_docs)]
#![forbid(unsafe_code)]

#[cfg(feature = "program")]
mod event;
mod evidence;
#[cfg(feature = "program")]
mod hook;
mod host;
mod jsonl;
mod log;
#[cfg(feature = "program")]
mod mcp;
#[cfg(feature = "program")]
mod otlp;
mod pages;
mod query;
mod settings;
#[cfg(feature = "program")]
mod url;
mod write;

/// Parts the texts of an input. It is in no UTF-8.
pub const SEPARATOR: u8 = 0xFF;

/// A target of the fuzzers.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of its fuzzer, and of the folder of its corpus.
    pub name: &'static str,
    /// Panics where a promise is broken.
    pub run: fn(&[u8]),
}

macro_rules! targets {
    ($($(#[$attribute:meta])* $module:ident::$name:ident,)*) => {
        /// All targets.
        pub const TARGETS: &[Target] = &[$($(#[$attribute])* Target { name: stringify!($name), run: $module::$name },)*];

        $($(#[$attribute])* pub use $module::$name;)*
    };
}

targets! {
    evidence::segments,
    evidence::leaves,
    #[cfg(feature = "program")]
    hook::hooks,
    jsonl::jsonl,
    log::notes,
    log::proofs,
    #[cfg(feature = "program")]
    mcp::mcp_messages,
    #[cfg(feature = "program")]
    mcp::mcp_strict,
    #[cfg(feature = "program")]
    otlp::otlp_json,
    #[cfg(feature = "program")]
    otlp::otlp_protobuf,
    query::filters,
    query::cursors,
    settings::configuration,
    #[cfg(feature = "program")]
    url::database_url,
    write::write_jsonl,
}

/// The next text of an input, up to a separator. Bytes that are not UTF-8 are replaced.
fn next_text(input: &mut &[u8]) -> String {
    let end = input.iter().position(|byte| *byte == SEPARATOR);
    let (text, rest) = input.split_at(end.unwrap_or(input.len()));
    *input = rest.get(1..).unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

/// The next byte of an input; 0 where it has none.
fn next_byte(input: &mut &[u8]) -> u8 {
    let Some((first, rest)) = input.split_first() else { return 0 };
    *input = rest;
    *first
}
