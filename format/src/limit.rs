//! The size of a line, which both its encoding and its hashing depend on.

/// The longest line in bytes, newline included. Every backend and host appends so many bytes as one piece.
pub const MAX_LEN: usize = 4096;
