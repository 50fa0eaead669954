//! Guests of another runtime that write to a store which is outside of their reach, and read a part of it.

mod guest;
mod hostile;
mod reader;
mod writer;
