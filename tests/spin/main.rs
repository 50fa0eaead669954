//! What runs in Spin, in a host of the tests' own with Spin's interfaces and a real PostgreSQL: the example application with
//! the store composed into it as `spin.toml` says, and the store itself.

#![cfg(unix)]

mod component;
mod files;
mod losses;
mod manifest;
mod readme;
mod requests;
mod site;
mod tables;
