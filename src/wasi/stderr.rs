//! Warnings on `wasi:cli/stderr`.

use alloc::format;
use wasi::cli::stderr::get_stderr;

/// The most bytes that `blocking-write-and-flush` takes in one call.
const MAX_WRITE: usize = 4096;

/// Writes a line to stderr. Errors are ignored: there is nowhere else to report them.
pub fn warn(line: &str) {
    let stderr = get_stderr();
    let line = format!("{line}\n");
    for piece in line.as_bytes().chunks(MAX_WRITE) {
        if stderr.blocking_write_and_flush(piece).is_err() {
            break;
        }
    }
}
