//! As much of PostgreSQL's protocol, version 3, as the proxy reads. The source is "Message Formats" in PostgreSQL's
//! manual.

use std::io::{self, Read, Write};

/// `MAX_STARTUP_PACKET_LENGTH` in the server's source.
const STARTUP_LIMIT: u32 = 10_000;

/// A client's first message, which has no type, or a request for encryption that comes before it.
pub struct Startup {
    bytes: Vec<u8>,
    code: u32,
}

impl Startup {
    pub fn read(client: &mut impl Read) -> io::Result<Self> {
        let mut bytes = vec![0; 8];
        client.read_exact(&mut bytes)?;
        let (length, code) = (number(&bytes[..4]), number(&bytes[4..]));
        if !(8..=STARTUP_LIMIT).contains(&length) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        bytes.resize(length as usize, 0);
        client.read_exact(&mut bytes[8..])?;
        Ok(Self { bytes, code })
    }

    pub fn write(&self, server: &mut impl Write) -> io::Result<()> {
        server.write_all(&self.bytes)
    }

    /// Whether the message is SSLRequest or GSSENCRequest, which the server answers with a single byte.
    pub fn asks_for_encryption(&self) -> bool {
        matches!(self.code, 80_877_103 | 80_877_104)
    }
}

/// A message of the server after the start-up.
pub struct Message {
    /// The type of the message.
    pub kind: u8,
    body: Vec<u8>,
}

impl Message {
    pub fn read(server: &mut impl Read) -> io::Result<Self> {
        let mut head = [0; 5];
        server.read_exact(&mut head)?;
        let length = number(&head[1..]).checked_sub(4).ok_or(io::ErrorKind::InvalidData)?;
        let mut body = vec![0; length as usize];
        server.read_exact(&mut body)?;
        Ok(Self { kind: head[0], body })
    }

    pub fn write(&self, client: &mut impl Write) -> io::Result<()> {
        let length = self.body.len() as u32 + 4;
        client.write_all(&[self.kind])?;
        client.write_all(&length.to_be_bytes())?;
        client.write_all(&self.body)
    }

    /// Whether the message is CommandComplete of such a command.
    pub fn completes(&self, command: &[u8]) -> bool {
        self.kind == b'C'
            && self.body.strip_prefix(command).is_some_and(|rest| matches!(rest[..], [0 | b' ', ..]))
    }

    /// Whether the message is a notice or the like, which the server may send at any time.
    pub fn is_asynchronous(&self) -> bool {
        matches!(self.kind, b'N' | b'A' | b'S')
    }

    pub fn is_error(&self) -> bool {
        self.kind == b'E'
    }

    /// For ReadyForQuery, the state of the transaction: `I` outside of one, `T` inside, `E` inside a failed one.
    pub fn ready(&self) -> Option<u8> {
        if self.kind == b'Z' { self.body.first().copied() } else { None }
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}
