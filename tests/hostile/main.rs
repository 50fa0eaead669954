//! Whatever a caller does through the WIT, there is a stored event or an error of the WIT, and never a trap: texts of any size,
//! all of Unicode, times and numbers at their ends, cursors of others, odd settings, and calls at any time.
//!
//! The host here checks nothing before a call. What it cannot keep from a trap, because there is not enough memory to hand the
//! arguments over, the Rust library refuses before (`library.rs`).

mod calls;
mod large;
mod library;
mod odd;
mod sequences;
mod site;
mod unicode;
