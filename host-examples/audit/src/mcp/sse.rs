//! Server-sent events in pieces: the data of each event (HTML Living Standard, section 9.2).

/// What a stream of events consists of, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line<'b> {
    /// A part of the data of an event.
    Data(&'b [u8]),
    /// Clients take only messages, which is also what an event without a type is.
    EndOfEvent { is_message: bool },
}

/// Where the stream stands.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The first bytes of the line, until it is clear what it is.
    begun: Vec<u8>,
    is: Is,
    /// The type of the event, as far as it tells whether it is a message.
    kind: Vec<u8>,
    /// The last line ended in a carriage return, of which a line feed is a part.
    after_return: bool,
    /// A byte order mark may only come first.
    is_within: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Is {
    #[default]
    Unclear,
    Data,
    Kind,
    Other,
}

const DATA: &[u8] = b"data:";
const KIND: &[u8] = b"event:";
const MESSAGE: &[u8] = b"message";
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

impl Lines {
    pub(super) fn push(&mut self, mut bytes: &[u8], mut take: impl FnMut(Line)) {
        while let Some(&first) = bytes.first() {
            if std::mem::take(&mut self.after_return) && first == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = memchr::memchr2(b'\n', b'\r', bytes);
            self.line(&bytes[..end.unwrap_or(bytes.len())], &mut take);
            let Some(end) = end else { return };
            self.after_return = bytes[end] == b'\r';
            self.end_line(&mut take);
            bytes = &bytes[end + 1..];
        }
    }

    /// Takes a part of a line.
    fn line(&mut self, mut piece: &[u8], take: &mut impl FnMut(Line)) {
        while self.is == Is::Unclear {
            let Some((&byte, rest)) = piece.split_first() else { return };
            self.begun.push(byte);
            piece = rest;
            if !self.is_within && self.begun == BYTE_ORDER_MARK {
                self.begun.clear();
            } else if self.begun == DATA {
                self.is = Is::Data;
            } else if self.begun == KIND {
                self.is = Is::Kind;
                self.kind.clear();
            } else if !DATA.starts_with(&self.begun)
                && !KIND.starts_with(&self.begun)
                && (self.is_within || !BYTE_ORDER_MARK.starts_with(&self.begun))
            {
                self.is = Is::Other;
            }
        }
        self.is_within = true;
        if self.is == Is::Kind {
            // A space, and a byte too many to be the type that counts.
            let room = (MESSAGE.len() + 2).saturating_sub(self.kind.len()).min(piece.len());
            self.kind.extend_from_slice(&piece[..room]);
        }
        // A space behind the colon is white space in JSON.
        if self.is == Is::Data && !piece.is_empty() {
            take(Line::Data(piece));
        }
    }

    fn end_line(&mut self, take: &mut impl FnMut(Line)) {
        match self.is {
            Is::Unclear if self.begun.is_empty() => {
                let kind = self.kind.strip_prefix(b" ").unwrap_or(&self.kind);
                let is_message = kind.is_empty() || kind == MESSAGE;
                self.kind.clear();
                take(Line::EndOfEvent { is_message });
            }
            // A field without a value.
            Is::Unclear if KIND.strip_suffix(b":") == Some(&self.begun) => self.kind.clear(),
            // Lines of data are joined by line feeds.
            Is::Data => take(Line::Data(b"\n")),
            _ => {}
        }
        self.is_within = true;
        self.is = Is::Unclear;
        self.begun.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(stream: &[u8], piece: usize) -> Vec<String> {
        let (mut lines, mut events, mut event) = (Lines::default(), Vec::new(), Vec::new());
        for piece in stream.chunks(piece) {
            lines.push(piece, |line| match line {
                Line::Data(data) => event.extend_from_slice(data),
                Line::EndOfEvent { is_message } => {
                    let data = String::from_utf8(std::mem::take(&mut event)).unwrap();
                    events.push(if is_message { data } else { format!("no message: {data}") });
                }
            });
        }
        events
    }

    #[test]
    fn the_data_of_events_is_found_in_whatever_pieces() {
        let stream = "\u{FEFF}event: message\nid: 7\ndata: {\"a\":\r\ndata:1}\n\n: keep-alive\n\nretry: 5\r\rdata\ndatas: x\ndata: é\n\n";
        for piece in 1..stream.len() {
            let found: Vec<String> = events(stream.as_bytes(), piece);
            let found: Vec<&str> = found.iter().map(|data| data.trim()).collect();
            assert_eq!(found, ["{\"a\":\n1}", "", "", "é"], "{piece}");
        }
    }

    #[test]
    fn only_events_of_the_type_message_are_messages() {
        let stream = "data: 1\nevent: message\n\nevent:message\ndata: 2\n\nevent: other\ndata: 3\n\ndata: 4\n\nevent: other\nevent\ndata: 5\n\nevent: messages\ndata: 6\n\nevent:  message\ndata: 7\n\nevent:\ndata: 8\n\n";
        for piece in 1..stream.len() {
            let found: Vec<String> = events(stream.as_bytes(), piece);
            let found: Vec<&str> = found.iter().map(|data| data.trim()).collect();
            assert_eq!(
                found,
                ["1", "2", "no message:  3", "4", "5", "no message:  6", "no message:  7", "8"],
                "{piece}"
            );
        }
    }
}
