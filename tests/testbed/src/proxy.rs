//! A proxy between a client and the server that knows PostgreSQL's messages, so that it can lose the answer to a
//! statement which the server has executed, and fail at any one message.

mod connection;
mod strike;
mod wire;

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::url;

use strike::Watch;
pub use strike::{Aftermath, Fault, Seen, Side, Strike};

/// Listens on a port of 127.0.0.1 and passes all connections on to a server, until it is told otherwise.
///
/// A fault can be set at any time and holds for all connections. [`Proxy::pass`] ends all faults. An encrypted
/// connection is passed on too, but the proxy cannot tell its answers apart and swallows none of them.
///
/// Dropping the proxy cuts all connections.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    server: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    mode: Mode,
    delay: Duration,
    /// The last of so many acknowledgements is swallowed. With 0, none is.
    every: u64,
    /// So many of the next acknowledgements are swallowed.
    next: u64,
    acknowledged: u64,
    swallowed: u64,
    connections: u64,
    open: HashMap<u64, Vec<TcpStream>>,
    watch: Watch,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Pass,
    Refuse,
    Hang,
    End,
}

impl Proxy {
    /// A proxy to a server on a port of 127.0.0.1.
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            server: (Ipv4Addr::LOCALHOST, port).into(),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let proxy = Self { port: address.port(), shared: Arc::clone(&shared) };
        thread::spawn(move || listen(&listener, &shared));
        proxy
    }

    /// The port that the proxy listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a database, with the proxy's port in the place of the server's.
    pub fn url(&self, url: &str) -> String {
        url::with_port(url, self.port)
    }

    /// Ends all faults. Connections that hung go on. The counts stay.
    pub fn pass(&self) {
        self.change(|state| {
            state.mode = Mode::Pass;
            state.delay = Duration::ZERO;
            state.every = 0;
            state.next = 0;
            state.watch.strike = None;
        });
    }

    /// Makes each answer of the server come later by so much. An answer is all messages up to ReadyForQuery. On an
    /// encrypted connection each piece of data counts as an answer.
    pub fn delay(&self, delay: Duration) {
        self.change(|state| state.delay = delay);
    }

    /// Closes all connections. New ones are passed on as before.
    pub fn cut(&self) {
        self.change(State::cut);
    }

    /// Closes new connections at once. Open ones are passed on as before.
    pub fn refuse(&self) {
        self.change(|state| state.mode = Mode::Refuse);
    }

    /// Closes all connections, and new ones at once: the server cannot be reached.
    pub fn disconnect(&self) {
        self.refuse();
        self.cut();
    }

    /// Accepts connections, but passes nothing on any more, neither on new connections nor on open ones.
    pub fn hang(&self) {
        self.change(|state| state.mode = Mode::Hang);
    }

    /// Loses each `k`-th acknowledgement of an INSERT, counted from now over all connections. With 0, none is lost.
    ///
    /// Once the server has committed and says so by ReadyForQuery, the proxy cuts the connection: the client gets
    /// nothing from CommandComplete on. Where the INSERT is part of a transaction, the answer to COMMIT is its
    /// acknowledgement. Statements that the client has sent after it may have been executed too.
    pub fn swallow_answers(&self, k: u64) {
        self.change(|state| {
            state.every = k;
            state.acknowledged = 0;
        });
    }

    /// Loses the next `n` acknowledgements of an INSERT, like [`Proxy::swallow_answers`].
    pub fn swallow_next(&self, n: u64) {
        self.change(|state| state.next = n);
    }

    /// How many acknowledgements the proxy has lost.
    pub fn swallowed(&self) -> u64 {
        self.shared.state().swallowed
    }

    /// Notes all messages from now on, for [`Proxy::seen`].
    pub fn watch(&self) {
        self.change(|state| state.watch.seen = Some(Vec::new()));
    }

    /// The messages that came since [`Proxy::watch`], in about their order: those of one side are in order.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.state().watch.seen.clone().unwrap_or_default()
    }

    /// Has one fault happen, at a message that is counted from now on. Only the connection of that message fails.
    pub fn strike(&self, strike: Strike) {
        self.change(|state| state.watch = Watch { strike: Some(strike), ..Watch::default() });
    }

    /// The message at which the fault has happened. `None` if it has not.
    pub fn struck(&self) -> Option<Seen> {
        self.shared.state().watch.struck
    }

    /// Whether the fault has happened, and nothing of it is still to come: a message that was late has been passed on.
    pub fn is_over(&self) -> bool {
        self.shared.state().watch.over
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.shared.state());
        self.shared.changed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.change(|state| {
            state.mode = Mode::End;
            state.cut();
        });
        // This connection wakes the listener.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

fn listen(listener: &TcpListener, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        let Ok(client) = client else { continue };
        match shared.open(&client) {
            Ok(Some(connection)) => connection::pass_on(client, connection, shared),
            Ok(None) if shared.state().mode == Mode::End => return,
            Ok(None) | Err(_) => {}
        }
    }
}

impl State {
    fn cut(&mut self) {
        for stream in self.open.drain().flat_map(|(_, streams)| streams) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of a new connection, unless it is refused.
    fn open(&self, client: &TcpStream) -> io::Result<Option<u64>> {
        let client = client.try_clone()?;
        let mut state = self.state();
        if matches!(state.mode, Mode::Refuse | Mode::End) {
            return Ok(None);
        }
        state.connections += 1;
        let connection = state.connections;
        state.open.insert(connection, vec![client]);
        Ok(Some(connection))
    }

    /// Adds the server's end to a connection.
    fn join(&self, connection: u64, server: &TcpStream) -> io::Result<()> {
        let server = server.try_clone()?;
        let mut state = self.state();
        let streams = state.open.get_mut(&connection).ok_or(io::ErrorKind::ConnectionAborted)?;
        streams.push(server);
        Ok(())
    }

    fn close(&self, connection: u64) {
        for stream in self.state().open.remove(&connection).into_iter().flatten() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.changed.notify_all();
    }

    /// Waits while connections hang. It is an error where this connection has been cut.
    fn may_pass(&self, connection: u64) -> io::Result<()> {
        let mut state = self.state();
        while state.open.contains_key(&connection) {
            if state.mode != Mode::Hang {
                return Ok(());
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Err(io::ErrorKind::ConnectionAborted.into())
    }

    fn delay(&self) {
        let delay = self.state().delay;
        thread::sleep(delay);
    }

    /// Takes note of a message. Returns the fault that happens at it.
    fn meet(&self, message: Seen) -> Option<Fault> {
        let mut state = self.state();
        let strike = state.watch.meet(message)?;
        if strike.aftermath == Aftermath::Away {
            state.mode = Mode::Refuse;
        }
        Some(strike.fault)
    }

    /// Notes that nothing of the fault is still to come.
    fn end_strike(&self) {
        self.state().watch.over = true;
    }

    /// Whether the next acknowledgement may have to be swallowed.
    fn swallows(&self) -> bool {
        let state = self.state();
        state.every > 0 || state.next > 0
    }

    /// Counts an acknowledgement, and returns whether it is swallowed.
    fn swallow(&self) -> bool {
        let mut state = self.state();
        state.acknowledged += 1;
        let swallow = state.next > 0 || (state.every > 0 && state.acknowledged.is_multiple_of(state.every));
        state.next = state.next.saturating_sub(1);
        state.swallowed += u64::from(swallow);
        swallow
    }
}
