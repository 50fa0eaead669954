//! The built component, in a host that can make each of its calls fail or have something else happen before it. For each
//! call in turn: errors, short writes, a kill, a crash of the machine. And two instances at once, interleaved call by call.

#![cfg(unix)]

mod faults;
mod host;
mod interleaved;
mod run;
mod scenarios;
