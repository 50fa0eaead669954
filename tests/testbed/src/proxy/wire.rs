//! As much of PostgreSQL's protocol, version 3, as the proxy reads. The source is "Message Formats" in PostgreSQL's
//! manual.

use std::io::{self, Read};

use super::strike::{Seen, Side};

/// `MAX_STARTUP_PACKET_LENGTH` in the server's source.
const STARTUP_LIMIT: u32 = 10_000;

/// The length of a message's head: its type, and a length.
const HEAD: usize = 5;

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

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether the message is SSLRequest or GSSENCRequest, which the server answers with a single byte.
    pub fn asks_for_encryption(&self) -> bool {
        matches!(self.code, 80_877_103 | 80_877_104)
    }

    pub fn seen(&self) -> Seen {
        let name = match self.code {
            80_877_102 => "CancelRequest",
            80_877_103 => "SSLRequest",
            80_877_104 => "GSSENCRequest",
            _ => "StartupMessage",
        };
        Seen { side: Side::Client, name }
    }
}

/// A message after the start-up.
pub struct Message {
    bytes: Vec<u8>,
}

impl Message {
    pub fn read(from: &mut impl Read) -> io::Result<Self> {
        let mut bytes = vec![0; HEAD];
        from.read_exact(&mut bytes)?;
        let length = number(&bytes[1..]).checked_sub(4).ok_or(io::ErrorKind::InvalidData)?;
        bytes.resize(HEAD + length as usize, 0);
        from.read_exact(&mut bytes[HEAD..])?;
        Ok(Self { bytes })
    }

    /// The type of the message.
    pub fn kind(&self) -> u8 {
        self.bytes[0]
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn body(&self) -> &[u8] {
        &self.bytes[HEAD..]
    }

    /// Whether the message is CommandComplete of such a command.
    pub fn completes(&self, command: &[u8]) -> bool {
        self.kind() == b'C'
            && self.body().strip_prefix(command).is_some_and(|rest| matches!(rest[..], [0 | b' ', ..]))
    }

    /// Whether the message is a notice or the like, which the server may send at any time.
    pub fn is_asynchronous(&self) -> bool {
        matches!(self.kind(), b'N' | b'A' | b'S')
    }

    pub fn is_error(&self) -> bool {
        self.kind() == b'E'
    }

    /// For ReadyForQuery, the state of the transaction: `I` outside of one, `T` inside, `E` inside a failed one.
    pub fn ready(&self) -> Option<u8> {
        if self.kind() == b'Z' { self.body().first().copied() } else { None }
    }

    pub fn seen(&self, side: Side) -> Seen {
        let name = match side {
            Side::Client => name_of_client(self.kind()),
            Side::Server => name_of_server(self.kind()),
        };
        Seen { side, name }
    }
}

fn name_of_client(kind: u8) -> &'static str {
    match kind {
        b'B' => "Bind",
        b'C' => "Close",
        b'D' => "Describe",
        b'E' => "Execute",
        b'H' => "Flush",
        b'P' => "Parse",
        b'Q' => "Query",
        b'S' => "Sync",
        b'X' => "Terminate",
        b'c' => "CopyDone",
        b'd' => "CopyData",
        b'f' => "CopyFail",
        b'p' => "a part of the authentication",
        _ => "another message",
    }
}

fn name_of_server(kind: u8) -> &'static str {
    match kind {
        b'1' => "ParseComplete",
        b'2' => "BindComplete",
        b'3' => "CloseComplete",
        b'A' => "NotificationResponse",
        b'C' => "CommandComplete",
        b'D' => "DataRow",
        b'E' => "ErrorResponse",
        b'G' => "CopyInResponse",
        b'H' => "CopyOutResponse",
        b'I' => "EmptyQueryResponse",
        b'K' => "BackendKeyData",
        b'N' => "NoticeResponse",
        b'R' => "a part of the authentication",
        b'S' => "ParameterStatus",
        b'T' => "RowDescription",
        b'Z' => "ReadyForQuery",
        b'c' => "CopyDone",
        b'd' => "CopyData",
        b'n' => "NoData",
        b's' => "PortalSuspended",
        b't' => "ParameterDescription",
        _ => "another message",
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}
