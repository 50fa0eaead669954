//! One connection, with a thread for each direction.

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::Shared;
use super::strike::{Fault, Side};
use super::wire::{Message, Startup};

/// The buffer holds most answers, so that an answer goes out in one piece, as it came in.
const BUFFER: usize = 64 * 1024;

/// A server that has said nothing for so long waits for its client, which does not hear it.
const SILENCE: Duration = Duration::from_millis(200);

pub fn pass_on(client: TcpStream, connection: u64, shared: &Arc<Shared>) {
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        let deaf = AtomicBool::new(false);
        // After an error both ends are closed, as at any other end.
        let _ = Connection { number: connection, shared: &shared, deaf: &deaf }.run(client);
        shared.close(connection);
        if deaf.into_inner() {
            shared.end_strike();
        }
    });
}

#[derive(Clone, Copy)]
struct Connection<'a> {
    number: u64,
    shared: &'a Shared,
    /// Whether the client hears nothing more.
    deaf: &'a AtomicBool,
}

impl Connection<'_> {
    fn run(self, mut client: TcpStream) -> io::Result<()> {
        self.may_pass()?;
        let mut server = TcpStream::connect(self.shared.server)?;
        self.shared.join(self.number, &server)?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let encrypted = self.start(&mut client, &mut server)?;
        thread::scope(|scope| {
            let (asking, asked) = (client.try_clone()?, server.try_clone()?);
            scope.spawn(move || {
                let _ = if encrypted { self.pieces(asking, asked) } else { self.questions(asking, asked) };
                self.shared.close(self.number);
            });
            let end = if encrypted { self.late_pieces(server, client) } else { self.answers(server, client) };
            self.shared.close(self.number);
            end
        })
    }

    fn may_pass(self) -> io::Result<()> {
        self.shared.may_pass(self.number)
    }

    /// Passes the client's first messages on. Returns whether the connection is encrypted from here on.
    fn start(self, client: &mut TcpStream, server: &mut TcpStream) -> io::Result<bool> {
        loop {
            let startup = Startup::read(client)?;
            self.may_pass()?;
            self.deliver(startup.bytes(), self.shared.meet(startup.seen()), server)?;
            if !startup.asks_for_encryption() {
                return Ok(false);
            }
            let mut answer = [0];
            server.read_exact(&mut answer)?;
            self.may_pass()?;
            client.write_all(&answer)?;
            if answer != *b"N" {
                return Ok(true);
            }
        }
    }

    fn questions(self, client: TcpStream, server: TcpStream) -> io::Result<()> {
        let mut client = BufReader::with_capacity(BUFFER, client);
        let mut server = BufWriter::with_capacity(BUFFER, server);
        loop {
            let message = Message::read(&mut client)?;
            self.may_pass()?;
            self.deliver(message.bytes(), self.shared.meet(message.seen(Side::Client)), &mut server)?;
            if client.buffer().is_empty() {
                server.flush()?;
            }
        }
    }

    fn pieces(self, mut client: TcpStream, mut server: TcpStream) -> io::Result<()> {
        self.copy(&mut client, &mut server, || {})
    }

    fn late_pieces(self, mut server: TcpStream, mut client: TcpStream) -> io::Result<()> {
        self.copy(&mut server, &mut client, || self.shared.delay())
    }

    fn copy(self, from: &mut TcpStream, to: &mut TcpStream, wait: impl Fn()) -> io::Result<()> {
        let mut piece = vec![0; BUFFER];
        loop {
            let length = from.read(&mut piece)?;
            if length == 0 {
                return Ok(());
            }
            wait();
            self.may_pass()?;
            to.write_all(&piece[..length])?;
        }
    }

    fn answers(self, server: TcpStream, client: TcpStream) -> io::Result<()> {
        let mut server = BufReader::with_capacity(BUFFER, server);
        let mut client = BufWriter::with_capacity(BUFFER, client);
        let mut answer = Answer::default();
        loop {
            let message = Message::read(&mut server)?;
            if !answer.begun && !message.is_asynchronous() {
                self.shared.delay();
                answer.begun = true;
            }
            self.may_pass()?;
            let fault = self.shared.meet(message.seen(Side::Server));
            if fault == Some(Fault::LoseAnswer) || self.deaf.load(Ordering::Relaxed) {
                self.deaf.store(true, Ordering::Relaxed);
                server.get_ref().set_read_timeout(Some(SILENCE))?;
                match message.ready() {
                    Some(_) => return Err(cut()),
                    None => continue,
                }
            }
            if fault.is_some() {
                self.deliver(message.bytes(), fault, &mut client)?;
                continue;
            }
            for message in answer.add(message, self.shared)? {
                client.write_all(message.bytes())?;
            }
            if server.buffer().is_empty() {
                client.flush()?;
            }
        }
    }

    /// Passes a message on, or what the fault leaves of it. It is an error where the connection is cut.
    fn deliver(self, message: &[u8], fault: Option<Fault>, to: &mut impl Write) -> io::Result<()> {
        let (arrives, is_cut) = match fault {
            None => return to.write_all(message),
            Some(Fault::CutBefore) => (0, true),
            Some(Fault::CutWithin) => (message.len() / 2, true),
            Some(Fault::CutAfter) => (message.len(), true),
            Some(Fault::LoseAnswer) => {
                self.deaf.store(true, Ordering::Relaxed);
                return to.write_all(message);
            }
            Some(Fault::Delay(delay)) => {
                to.flush()?;
                thread::sleep(delay);
                (message.len(), false)
            }
        };
        let arrived = to.write_all(&message[..arrives]).and_then(|()| to.flush());
        if is_cut {
            self.shared.close(self.number);
        }
        self.shared.end_strike();
        if is_cut { Err(cut()) } else { arrived }
    }
}

fn cut() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}

/// What the server has said since its last ReadyForQuery.
#[derive(Default)]
struct Answer {
    begun: bool,
    /// An INSERT is complete, in this answer or in an earlier one of the same transaction.
    inserted: bool,
    failed: bool,
    /// Messages that may be an acknowledgement. The next ReadyForQuery tells.
    held: Vec<Message>,
}

impl Answer {
    /// Adds a message, and returns those that can be passed on by now. It is an error where they are swallowed.
    fn add(&mut self, message: Message, shared: &Shared) -> io::Result<Vec<Message>> {
        self.inserted |= message.completes(b"INSERT");
        self.failed |= message.is_error();
        let acknowledges = message.completes(b"INSERT") || (self.inserted && message.completes(b"COMMIT"));
        let holds = !self.held.is_empty() || (acknowledges && shared.swallows());
        let ready = message.ready();
        if !holds && ready.is_none() {
            return Ok(vec![message]);
        }
        self.held.push(message);
        let Some(transaction) = ready else { return Ok(Vec::new()) };
        let committed = transaction == b'I' && !self.failed;
        if holds && committed && shared.swallow() {
            return Err(cut());
        }
        let inserted = self.inserted && transaction != b'I';
        Ok(std::mem::replace(self, Self { inserted, ..Self::default() }).held)
    }
}
