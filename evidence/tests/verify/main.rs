//! Checking records against their logs: each fault is found, placed and named, and an honest record has none.

mod files;
mod honest;
mod log;
mod sample;
mod table;
