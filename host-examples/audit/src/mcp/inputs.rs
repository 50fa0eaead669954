//! What passes between a client and a server, as the observer understands it, for tests and fuzzers.

use std::sync::Arc;

use audit_host::Event;

use super::message::{Message, Messages, sketcher};
use super::observer::{Framing, Stream, observe_all};
use super::recorder::Recorder;
use super::strict;
use super::tracker::{Gone, Moment, Place, Sender, Settings, Tracker};
use super::watch::Watch;
use crate::call::input::Hasher;

/// What one side said.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'b> {
    /// The client said it, and not the server.
    pub is_of_client: bool,
    /// Its bytes: a part of a stream of lines, or of one of server-sent events.
    pub bytes: &'b [u8],
}

/// A request that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// As JSON; none: it waits for no answer.
    pub id: Option<String>,
    /// The method.
    pub method: String,
    /// The tool, or what else has a name.
    pub name: String,
    /// It may go on with a call for which the server wanted input.
    pub answers_input: bool,
}

/// The events of all calls in these pieces, once both sides are gone. With `events`, the server's pieces are server-sent events.
pub fn calls(pieces: &[Piece<'_>], events: bool) -> Vec<Event> {
    let recorder = Recorder::collecting();
    let how = ("stdio", false);
    let watch = Arc::new(Watch::new(
        Tracker::new(Settings::default()),
        recorder.clone(),
        None,
        Hasher::default(),
        how,
    ));
    let place = Place { channel: watch.tracker().channel(), exchange: 0 };
    let stream = |sender: Sender| {
        let framing = if events && sender == Sender::Server { Framing::Events } else { Framing::Lines };
        Stream { number: sender as u64, place, sender, framing }
    };
    let sender = |piece: &Piece<'_>| if piece.is_of_client { Sender::Client } else { Sender::Server };
    let streams = [Sender::Client, Sender::Server].map(stream);
    observe_all(&watch, pieces.iter().map(|piece| (stream(sender(piece)), piece.bytes)), &streams);
    watch.track(|tracker| tracker.end_all(Gone::Server, Moment::now()));
    recorder.collected()
}

/// The requests in a text. None: it is no JSON.
pub fn requests(text: &[u8]) -> Option<Vec<Request>> {
    let mut sketcher = sketcher(&Hasher::default(), false);
    sketcher.push(text);
    let request = |message| match message {
        Message::Request(request) => Some(Request {
            answers_input: request.answers_input(),
            id: request.id.map(|id| id.json().to_owned()),
            method: request.method,
            name: request.name,
        }),
        _ => None,
    };
    Some(Messages::of(sketcher.finish()).ok()?.all.into_iter().filter_map(request).collect())
}

/// What a text has for whoever lets no call pass without a record: why it could be understood in another way, and the
/// identifiers of its requests, as they came. None: it is no JSON.
pub fn checked(text: &[u8]) -> Option<(Option<String>, Vec<String>)> {
    strict::check(text).ok().map(|checked| (checked.problem, checked.requests))
}
