//! Server-sent events in pieces: the data of each event (HTML Living Standard, section 9.2).

/// What a stream of events consists of, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line<'b> {
    /// A part of the data of an event.
    Data(&'b [u8]),
    EndOfEvent,
}

/// Where the stream stands.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The first bytes of the line, until it is clear what it is.
    begun: Vec<u8>,
    is: Is,
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
    Other,
}

const FIELD: &[u8] = b"data:";
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
            } else if self.begun == FIELD {
                self.is = Is::Data;
            } else if !FIELD.starts_with(&self.begun)
                && (self.is_within || !BYTE_ORDER_MARK.starts_with(&self.begun))
            {
                self.is = Is::Other;
            }
        }
        self.is_within = true;
        // A space behind the colon is white space in JSON.
        if self.is == Is::Data && !piece.is_empty() {
            take(Line::Data(piece));
        }
    }

    fn end_line(&mut self, take: &mut impl FnMut(Line)) {
        match self.is {
            Is::Unclear if self.begun.is_empty() => take(Line::EndOfEvent),
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
                Line::EndOfEvent => events.push(String::from_utf8(std::mem::take(&mut event)).unwrap()),
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
}
