//! A fault at one message: the n-th of the client's or of the server's messages, counted over all connections.

use std::fmt;
use std::time::Duration;

/// Who sends a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The client, which is the host of the store.
    Client,
    /// The server.
    Server,
}

/// What happens at a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection is cut, and nothing of the message arrives.
    CutBefore,
    /// The connection is cut in the middle of the message.
    CutWithin,
    /// The message arrives, and the connection is cut.
    CutAfter,
    /// The server gets this message of the client and those behind it, and executes them. From this message on, the client
    /// hears nothing. The connection is cut once the server is ready for the next statement, or says nothing more.
    LoseAnswer,
    /// The message comes so much later. If the client has gone by then, the server gets it all the same.
    Delay(Duration),
}

/// What happens to new connections after a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aftermath {
    /// They are passed on: only one connection has failed.
    Reachable,
    /// They are closed at once, until [`Proxy::pass`](crate::Proxy::pass): the server is away.
    Away,
}

/// A message that came to the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Who sent it.
    pub side: Side,
    /// Its name in PostgreSQL's manual.
    pub name: &'static str,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = match self.side {
            Side::Client => "the client",
            Side::Server => "the server",
        };
        write!(f, "{} of {from}", self.name)
    }
}

/// Where a fault is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strike {
    /// Whose messages count.
    pub side: Side,
    /// How many of them pass before the one that is meant.
    pub after: usize,
    /// What happens at that message.
    pub fault: Fault,
    /// What happens to new connections then.
    pub aftermath: Aftermath,
}

/// The messages that were seen, and the fault that is to come.
#[derive(Default)]
pub(super) struct Watch {
    /// The messages since somebody asked for them. `None` if nobody has.
    pub seen: Option<Vec<Seen>>,
    pub strike: Option<Strike>,
    /// The message at which the fault has happened.
    pub struck: Option<Seen>,
    /// Whether nothing of the fault is still to come.
    pub over: bool,
}

impl Watch {
    /// Takes note of a message. Returns the fault that happens at it.
    pub fn meet(&mut self, message: Seen) -> Option<Strike> {
        if let Some(seen) = &mut self.seen {
            seen.push(message);
        }
        let strike = self.strike.as_mut().filter(|strike| strike.side == message.side)?;
        if strike.after > 0 {
            strike.after -= 1;
            return None;
        }
        self.struck = Some(message);
        self.strike.take()
    }
}
