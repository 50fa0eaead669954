//! `audit otlp`: what it makes of what agents send, and what it does where senders, bodies, the store or a collector fail.
#![cfg(unix)]

#[path = "../common/mod.rs"]
mod common;

mod client;
mod faults;
mod forward;
mod identity;
mod merge;
mod peers;
mod receiver;
mod requests;
mod sources;
