//! Ports for servers.

use std::net::TcpListener;
use std::ops::Range;

/// Ports below those that systems give to outgoing connections. If the server had one of those, a client that dials it
/// while it is stopped could be given the same port for its own end, and would then be connected to itself.
const PORTS: Range<u16> = 10_000..32_000;

/// A port of 127.0.0.1 that nobody uses now, for a server that has to be told one.
pub fn free_port() -> u16 {
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::iter::repeat_with(|| fastrand::u16(PORTS)).find(free).expect("the iterator has no end")
}
