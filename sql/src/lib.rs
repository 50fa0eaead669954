//! The SQL of audit-store: what the table `tool_audit_events` must be like, the statements that write and
//! read it, how its rows become events, and what the server's errors mean. It has no input or output, so that
//! a host can use it with any PostgreSQL driver.
//!
//! ```
//! use audit_format::query::{Filter, PageRequest, Query};
//! use audit_sql::select::Select;
//!
//! let query = Query::new(Filter::default(), &PageRequest::default())?;
//! let select = Select::new(&query).expect("something can match");
//! assert!(select.sql(false).starts_with("SELECT ts, req_id"));
//! assert_eq!(select.values().len(), 3);
//! # Ok::<(), audit_format::Invalid>(())
//! ```
#![deny(missing_docs)]
#![forbid(unsafe_code)]

pub mod column;
pub mod failure;
pub mod health;
pub mod insert;
pub mod row;
pub mod schema;
pub mod select;
pub mod table;
