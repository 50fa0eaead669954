//! Watches what passes, in a thread of its own, so that nothing has to wait for it.
//!
//! Pieces of streams go through a queue of bounded size. If it is full, a stream waits a moment for room, and two seconds in
//! all before the queue is empty again. What then finds no room is passed on all the same, and not observed; that is told. The
//! client's streams and the server's have room of their own each, so that a server that says too much hides no request.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::lines::{Ends, Part};
use super::sse::{Line, Lines};
use super::tracker::{Moment, Place, Sender, Tracker};
use super::watch::Watch;
use crate::call::sketch::Sketcher;
use crate::message::{count, warn};

/// The most bytes of each side that wait to be observed.
const MAX_WAITING: usize = 16 << 20;

/// What an item in the queue counts beside its bytes.
const ITEM: usize = 200;

/// How long streams wait for room in all, until the queue is empty again.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a message of the client that has to be recorded first waits for those of the server before it to be observed.
const SETTLING: Duration = Duration::from_secs(10);

/// How often is looked for what is due.
const TICK: Duration = Duration::from_secs(1);

/// How messages follow each other in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// One on each line.
    Lines,
    /// One is all.
    Whole,
    /// Server-sent events.
    Events,
}

/// A stream of messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    pub(super) number: u64,
    pub(super) place: Place,
    pub(super) sender: Sender,
    pub(super) framing: Framing,
}

/// What the tracker is to do when all before it was observed.
type Work = Box<dyn FnOnce(&mut Tracker, Moment) + Send>;

enum Item {
    Bytes(Stream, Moment, Vec<u8>),
    /// Something is missing here.
    Gap(Stream),
    End(Stream, Moment),
    /// It ended within a message.
    Abandoned(Stream),
    Work(Moment, Work),
}

impl Item {
    fn stream(&self) -> Option<Stream> {
        match self {
            Self::Bytes(stream, ..) | Self::Gap(stream) | Self::End(stream, _) | Self::Abandoned(stream) => {
                Some(*stream)
            }
            Self::Work(..) => None,
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Bytes(_, _, bytes) => ITEM + bytes.len(),
            _ => ITEM,
        }
    }
}

#[derive(Default)]
struct Queue {
    items: VecDeque<Item>,
    /// The room of what the client sends, and of all else.
    of_client: Room,
    of_server: Room,
    /// The streams of which something was skipped, and nothing was taken since.
    skipped: HashSet<u64>,
    is_closed: bool,
}

/// How much of its room one side takes.
#[derive(Default)]
struct Room {
    size: usize,
    /// How long streams have waited since nothing was in it.
    waited: Duration,
    /// No room was found in time, until half of it is free.
    is_skipping: bool,
}

impl Room {
    /// Whether this many bytes more find no room.
    fn is_full(&self, size: usize) -> bool {
        self.size > 0 && self.size + size > MAX_WAITING
    }
}

impl Queue {
    fn room(&mut self, stream: Option<Stream>) -> &mut Room {
        match stream.map(|stream| stream.sender) {
            Some(Sender::Client) => &mut self.of_client,
            Some(Sender::Server) | None => &mut self.of_server,
        }
    }
}

struct Shared {
    queue: Mutex<Queue>,
    more: Condvar,
    room: Condvar,
}

/// Hands pieces of streams to the observer.
#[derive(Clone)]
pub(super) struct Observer(Arc<Shared>);

impl Observer {
    pub(super) fn start(watch: Arc<Watch>) -> io::Result<(Self, JoinHandle<()>)> {
        let shared = Shared { queue: Mutex::default(), more: Condvar::new(), room: Condvar::new() };
        let shared = Arc::new(shared);
        let observing = Arc::clone(&shared);
        let run = move || Observing::new(watch).run(&observing);
        let thread = thread::Builder::new().name("observer".into()).spawn(run)?;
        Ok((Self(shared), thread))
    }

    /// Takes a piece of a stream. To be called before the piece is passed on, so that no answer is observed before what it
    /// answers. It is observed after [`Observer::wake`].
    pub(super) fn bytes(&self, stream: Stream, bytes: &[u8]) {
        self.push(Item::Bytes(stream, Moment::now(), bytes.to_vec()));
    }

    /// A stream has ended.
    pub(super) fn end(&self, stream: Stream) {
        self.push(Item::End(stream, Moment::now()));
    }

    /// A stream has ended within a message, of which the rest never comes.
    pub(super) fn abandon(&self, stream: Stream) {
        self.push(Item::Abandoned(stream));
        self.wake();
    }

    /// Waits until all before was observed, but not for ever.
    pub(super) fn settle(&self) {
        let (done, wait) = sync_channel(1);
        self.work(move |_, _| {
            let _ = done.send(());
        });
        let _ = wait.recv_timeout(SETTLING);
    }

    /// Has the tracker do something, once all before was observed.
    pub(super) fn work(&self, work: impl FnOnce(&mut Tracker, Moment) + Send + 'static) {
        self.push(Item::Work(Moment::now(), Box::new(work)));
        self.wake();
    }

    pub(super) fn wake(&self) {
        self.0.more.notify_one();
    }

    /// Whether a piece of this size finds room at once.
    pub(super) fn has_room(&self, stream: Stream, len: usize) -> bool {
        !lock(&self.0.queue).room(Some(stream)).is_full(len + ITEM)
    }

    /// All was handed over.
    pub(super) fn close(&self) {
        lock(&self.0.queue).is_closed = true;
        self.0.more.notify_one();
    }

    fn push(&self, item: Item) {
        let (size, stream) = (item.size(), item.stream());
        let mut queue = lock(&self.0.queue);
        let is_bytes = matches!(item, Item::Bytes(..));
        // What has no bytes is always taken.
        if is_bytes && queue.room(stream).is_full(size) {
            queue = self.wait_for_room(queue, stream, size);
        }
        if is_bytes && queue.room(stream).is_skipping {
            queue.skipped.extend(stream.map(|stream| stream.number));
            return;
        }
        if let Some(stream) = stream
            && queue.skipped.remove(&stream.number)
        {
            queue.room(Some(stream)).size += ITEM;
            queue.items.push_back(Item::Gap(stream));
        }
        queue.room(stream).size += size;
        queue.items.push_back(item);
    }

    fn wait_for_room<'q>(
        &self,
        mut queue: MutexGuard<'q, Queue>,
        stream: Option<Stream>,
        size: usize,
    ) -> MutexGuard<'q, Queue> {
        if queue.room(stream).is_skipping {
            return queue;
        }
        self.0.more.notify_one();
        let began = Instant::now();
        let left = PATIENCE.saturating_sub(queue.room(stream).waited);
        let is_full = |queue: &mut Queue| queue.room(stream).is_full(size);
        let waited = self.0.room.wait_timeout_while(queue, left, is_full);
        let (guard, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        queue = guard;
        let room = queue.room(stream);
        room.waited += began.elapsed();
        room.is_skipping |= timeout.timed_out();
        queue
    }
}

impl Shared {
    /// The next item. `Err`: there is none yet, or there will be none.
    fn next(&self) -> Result<Item, bool> {
        let mut queue = lock(&self.queue);
        if queue.items.is_empty() && !queue.is_closed {
            let is_idle = |queue: &mut Queue| queue.items.is_empty() && !queue.is_closed;
            let waited = self.more.wait_timeout_while(queue, TICK, is_idle);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let Some(item) = queue.items.pop_front() else { return Err(queue.is_closed) };
        let room = queue.room(item.stream());
        room.size -= item.size();
        if room.size == 0 {
            room.waited = Duration::ZERO;
        }
        room.is_skipping &= room.size > MAX_WAITING / 2;
        self.room.notify_all();
        Ok(item)
    }
}

/// Observes pieces at once, on this thread, and then the ends of these streams, for tests.
pub(super) fn observe_all<'b>(
    watch: &Arc<Watch>,
    pieces: impl IntoIterator<Item = (Stream, &'b [u8])>,
    streams: &[Stream],
) {
    let mut observing = Observing::new(Arc::clone(watch));
    for (stream, bytes) in pieces {
        observing.item(Item::Bytes(stream, Moment::now(), bytes.to_vec()));
    }
    for stream in streams {
        observing.item(Item::End(*stream, Moment::now()));
    }
}

/// The observer's own side.
struct Observing {
    watch: Arc<Watch>,
    streams: HashMap<u64, Text>,
    /// How many gaps there were, and how many texts of the client were no JSON.
    missed: u64,
    invalid: u64,
}

/// The text that comes in a stream.
struct Text {
    sketcher: Option<(Sketcher, Moment)>,
    lines: Lines,
    ends: Ends,
    /// What came since the line may have ended for the server.
    part: Option<(Sketcher, Moment)>,
    /// A part of it is missing, so that nothing can be known of the rest.
    is_broken: bool,
}

impl Observing {
    fn new(watch: Arc<Watch>) -> Self {
        Self { watch, streams: HashMap::new(), missed: 0, invalid: 0 }
    }

    fn run(mut self, shared: &Shared) {
        let mut ticked = Instant::now();
        loop {
            match shared.next() {
                Ok(item) => self.item(item),
                Err(true) => break,
                Err(false) => {}
            }
            if ticked.elapsed() >= TICK {
                ticked = Instant::now();
                self.watch.track(|tracker| tracker.tick(Moment::now()));
                self.watch.remember();
            }
        }
        self.watch.remember();
        if self.missed > 1 {
            warn(format_args!("{} could not be observed in all", count(self.missed, "part")));
        }
        if self.invalid > 1 {
            warn(format_args!("{} of the client were no JSON", count(self.invalid, "message")));
        }
    }

    fn item(&mut self, item: Item) {
        match item {
            Item::Bytes(stream, now, bytes) => self.bytes(stream, now, &bytes),
            Item::Gap(stream) => {
                if self.missed == 0 {
                    warn(
                        "a part of what passed could not be observed, because it came too fast; calls may be missing",
                    );
                }
                self.missed += 1;
                let text = self.text(stream);
                (text.is_broken, text.sketcher, text.part) = (true, None, None);
                self.watch.tracker().missed(stream.place.channel);
            }
            Item::End(stream, now) => {
                // Clients drop an event without its empty line, and a line of the server without its end.
                if stream.framing == Framing::Whole || stream.sender == Sender::Client {
                    self.finish(stream, now);
                }
                self.streams.remove(&stream.number);
            }
            Item::Abandoned(stream) => drop(self.streams.remove(&stream.number)),
            Item::Work(now, work) => self.watch.track(|tracker| work(tracker, now)),
        }
    }

    fn bytes(&mut self, stream: Stream, now: Moment, bytes: &[u8]) {
        match stream.framing {
            Framing::Whole => self.piece(stream, now, bytes),
            Framing::Lines => {
                let mut rest = bytes;
                while let Some(end) = memchr::memchr(b'\n', rest) {
                    self.of_line(stream, now, &rest[..end]);
                    self.finish(stream, now);
                    rest = &rest[end + 1..];
                }
                self.of_line(stream, now, rest);
            }
            Framing::Events => {
                let text = self.text(stream);
                let mut lines = std::mem::take(&mut text.lines);
                lines.push(bytes, |line| match line {
                    Line::Data(piece) => self.piece(stream, now, piece),
                    Line::EndOfEvent { is_message: true } => self.finish(stream, now),
                    Line::EndOfEvent { is_message: false } => self.discard(stream),
                });
                self.text(stream).lines = lines;
            }
        }
    }

    fn text(&mut self, stream: Stream) -> &mut Text {
        self.streams.entry(stream.number).or_insert_with(Text::new)
    }

    /// Takes a piece of a line. That of a client may end elsewhere for the server than for this program.
    fn of_line(&mut self, stream: Stream, now: Moment, bytes: &[u8]) {
        if stream.sender == Sender::Server {
            return self.piece(stream, now, bytes);
        }
        let mut ends = std::mem::take(&mut self.text(stream).ends);
        ends.push(bytes, |part| self.part(stream, now, part));
        self.text(stream).ends = ends;
    }

    fn part(&mut self, stream: Stream, now: Moment, part: Part) {
        let (bytes, is_end) = match part {
            Part::Bytes(bytes) => (bytes, false),
            Part::End(end) => (end, true),
        };
        let text = self.text(stream);
        if text.is_broken {
            return;
        }
        if is_end && text.sketcher.as_ref().is_some_and(|(sketcher, _)| sketcher.is_complete()) {
            return self.finish(stream, now);
        }
        if is_end {
            // All of the line may be one message all the same.
            let fresh = self.watch.sketcher();
            let part = self.text(stream).part.replace((fresh, now));
            self.finish_part(stream, part);
        } else if let Some((sketcher, _)) = &mut text.part {
            sketcher.push(bytes);
        }
        self.piece(stream, now, bytes);
    }

    fn finish_part(&mut self, stream: Stream, part: Option<(Sketcher, Moment)>) {
        if let Some((sketcher, began)) = part {
            self.watch.text(stream.place, stream.sender, sketcher.finish(), began);
        }
    }

    fn piece(&mut self, stream: Stream, now: Moment, bytes: &[u8]) {
        let text = self.text(stream);
        // White space between messages is none.
        let is_blank = text.sketcher.is_none() && bytes.trim_ascii().is_empty();
        if text.is_broken || is_blank {
            return;
        }
        if text.sketcher.is_none() {
            let fresh = self.watch.sketcher();
            self.text(stream).sketcher = Some((fresh, now));
        }
        if let Some((sketcher, _)) = &mut self.text(stream).sketcher {
            sketcher.push(bytes);
        }
    }

    /// What came is no message.
    fn discard(&mut self, stream: Stream) {
        if let Some(text) = self.streams.get_mut(&stream.number) {
            (text.is_broken, text.sketcher) = (false, None);
        }
    }

    /// A message is complete.
    fn finish(&mut self, stream: Stream, now: Moment) {
        let mut ends = std::mem::take(&mut self.text(stream).ends);
        ends.finish(|part| self.part(stream, now, part));
        let part = self.text(stream).part.take();
        self.finish_part(stream, part);
        let text = self.text(stream);
        text.is_broken = false;
        let Some((sketcher, began)) = text.sketcher.take() else { return };
        // A request begins with its first byte, and an answer is there with its last.
        let at = if stream.sender == Sender::Client { began } else { now };
        if !self.watch.text(stream.place, stream.sender, sketcher.finish(), at)
            && stream.sender == Sender::Client
        {
            if self.invalid == 0 {
                warn("a message of the client is no JSON, and was passed on without a record");
            }
            self.invalid += 1;
        }
    }
}

impl Text {
    fn new() -> Self {
        Self { sketcher: None, lines: Lines::default(), ends: Ends::default(), part: None, is_broken: false }
    }
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::input::Hasher;
    use crate::mcp::recorder::Recorder;
    use crate::mcp::tracker::{Gone, Settings};

    /// An observer of a run over stdio, and what it records to.
    struct Observed {
        watch: Arc<Watch>,
        recorder: Recorder,
        observer: Observer,
        observing: JoinHandle<()>,
        place: Place,
    }

    impl Observed {
        fn start() -> Self {
            let recorder = Recorder::collecting();
            let tracker = Tracker::new(Settings::default());
            let how = ("stdio", false);
            let watch = Arc::new(Watch::new(tracker, recorder.clone(), None, Hasher::default(), how));
            let (observer, observing) = Observer::start(Arc::clone(&watch)).unwrap();
            let place = Place { channel: watch.tracker().channel(), exchange: 0 };
            Self { watch, recorder, observer, observing, place }
        }

        fn stream(&self, sender: Sender) -> Stream {
            Stream { number: sender as u64, place: self.place, sender, framing: Framing::Lines }
        }

        fn says(&self, sender: Sender, text: &str) {
            self.observer.bytes(self.stream(sender), text.as_bytes());
            self.observer.wake();
        }

        /// Each call in short, once all has ended.
        fn end(self) -> Vec<(String, String)> {
            for sender in [Sender::Client, Sender::Server] {
                self.observer.end(self.stream(sender));
            }
            self.observer.close();
            self.observing.join().unwrap();
            self.watch.track(|tracker| tracker.end_all(Gone::Server, Moment::now()));
            let events = self.recorder.collected().into_iter();
            events.map(|event| (event.tool, event.status.as_str().to_owned())).collect()
        }
    }

    fn call(id: u32) -> String {
        format!("{{\"id\":{id},\"method\":\"tools/call\",\"params\":{{\"name\":\"t{id}\"}}}}\n")
    }

    fn result(id: u32) -> String {
        format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{}}}}\n")
    }

    fn found(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(tool, status)| ((*tool).to_owned(), (*status).to_owned())).collect()
    }

    #[test]
    fn an_observer_that_cannot_keep_up_holds_a_stream_up_for_a_bounded_time_and_loses_nothing_silently() {
        let run = Observed::start();
        // The observer waits for the tracker.
        let held = run.watch.tracker();
        run.says(Sender::Client, &call(1));
        let began = Instant::now();
        let piece = "x".repeat(64 << 10);
        for _ in 0..2 * MAX_WAITING / piece.len() {
            run.says(Sender::Server, &piece);
        }
        run.says(Sender::Server, &format!("\n{}", result(1)));
        let held_up = began.elapsed();
        assert!((PATIENCE..PATIENCE + Duration::from_secs(2)).contains(&held_up), "{held_up:?}");
        drop(held);
        run.observer.settle();
        // The rest of a line in which something is missing is not taken for one.
        run.says(Sender::Server, &result(1));
        run.says(Sender::Client, &call(2));
        run.says(Sender::Server, &result(2));
        assert_eq!(run.end(), found(&[("t2", "ok"), ("t1", "unknown")]));
    }

    #[test]
    fn a_server_that_says_too_much_hides_no_request_of_the_client() {
        let run = Observed::start();
        let held = run.watch.tracker();
        run.says(Sender::Client, &call(1));
        let piece = "x".repeat(64 << 10);
        for _ in 0..2 * MAX_WAITING / piece.len() {
            run.says(Sender::Server, &piece);
        }
        let began = Instant::now();
        run.says(Sender::Client, &call(2));
        assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
        drop(held);
        run.observer.settle();
        assert_eq!(run.end(), found(&[("t1", "unknown"), ("t2", "unknown")]));
    }
}
