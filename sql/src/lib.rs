//! The SQL of audit-store: the statements, as text files for hosts in any language; what the table `tool_audit_events`
//! must be like; and what the server's errors mean. It has no input or output, so that a host can use it with any
//! PostgreSQL driver.
//!
//! ```
//! use audit_format::cursor::Order;
//! use audit_format::query::Filter;
//! use audit_sql::statements::{parameters, select};
//!
//! assert!(select(Order::OldestFirst).contains("$15::bigint"));
//! // The cursor and the limit follow.
//! assert_eq!(parameters(&Filter::default()).len(), 13);
//! ```
#![no_std]
#![deny(missing_docs)]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod column;
pub mod failure;
pub mod health;
pub mod indexes;
pub mod key;
pub mod partitions;
pub mod schema;
pub mod statements;
pub mod table;
