//! A small file beside the record, in which processes that record calls leave what others need: when a call began, so that its
//! end has a duration, and which calls are recorded, because several of them may see one call.
//!
//! It is a hash table of a fixed size. What is old makes room. Without it, or after a crash, durations are missing, and a call
//! may be there twice; none is lost.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::process;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use audit_host::Options;
use sha2::{Digest as _, Sha256};

use super::{hex, place};

/// The name of the file.
const NAME: &str = "recent_calls";

/// How many slots a call may be in.
const BUCKET: usize = 32;

const BUCKETS: u64 = 128;

/// The key, when it was written in microseconds since 1970, the state, three zeros, the process that has written it, the
/// contents of the call, and four zeros.
const SLOT: usize = 40;

/// The most bytes of the file.
const SIZE: u64 = BUCKETS * (BUCKET * SLOT) as u64;

/// After this long, in microseconds, a slot is free.
const OLD: u64 = 24 * 3600 * 1_000_000;

/// How long a process waits for others that use the file: they use it for less than a microsecond.
const LOCK_WAIT: Duration = Duration::from_millis(100);

/// How long a process waits for another one that records the same call. Then it records the call itself.
const RECORDING_WAIT: Duration = Duration::from_secs(5);

/// After this long, in microseconds, a process that was to record a call does not any more, or is another one.
const RECORDING: u64 = 10_000_000;

/// What a call is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    name: [u8; 16],
    /// What the call is, as far as that is known; else 0.
    contents: u32,
}

impl Key {
    /// The end of the call of a session, or its beginning; the same for all who see it.
    pub(crate) fn of_call(session: &str, id: &str, is_start: bool) -> Self {
        Self::of(&[if is_start { "start" } else { "end" }, session, id])
    }

    pub(crate) fn of(parts: &[&str]) -> Self {
        Self { name: first(&digest(parts)), contents: 0 }
    }

    /// The same call, if its tool and its arguments are the same too: some products use an identifier for several calls.
    pub(crate) fn with_contents(self, parts: &[&str]) -> Self {
        // 0 means that they are not known.
        Self { contents: u32::from_le_bytes(first(&digest(parts))).max(1), ..self }
    }

    /// A name for the call that began at this time.
    pub(crate) fn name(self, began: u64) -> String {
        let hash = Sha256::new().chain_update(self.name).chain_update(began.to_le_bytes()).finalize();
        hex(&hash[..16])
    }

    fn is_same(self, other: Self) -> bool {
        let agree = self.contents == other.contents || self.contents == 0 || other.contents == 0;
        self.name == other.name && agree
    }

    /// The call, whatever its contents are.
    fn without_contents(self) -> Self {
        Self { contents: 0, ..self }
    }

    fn place(self) -> u64 {
        let bucket = u64::from(u16::from_le_bytes(first(&self.name))) % BUCKETS;
        bucket * (BUCKET * SLOT) as u64
    }
}

fn digest(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// The first bytes; zeros in the place of those that are missing.
fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    std::array::from_fn(|n| bytes.get(n).copied().unwrap_or_default())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum State {
    Free = 0,
    Recorded = 1,
    Recording = 2,
    Began = 3,
    /// A log record told of a call, which is recorded. The contents are those of the log record.
    Told = 4,
}

impl State {
    /// What is needed less makes room first.
    fn need(self) -> u8 {
        match self {
            Self::Free => 0,
            Self::Recorded | Self::Told => 1,
            Self::Recording => 2,
            Self::Began => 3,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    key: Key,
    micros: u64,
    state: State,
    process: u32,
}

impl Slot {
    fn new(key: Key, micros: u64, state: State) -> Self {
        Self { key, micros, state, process: process::id() }
    }

    /// Whether a call is recorded, or another process may still record it.
    fn is_claimed(&self, key: Key, now: u64) -> bool {
        let age = now.abs_diff(self.micros);
        self.key.is_same(key)
            && match self.state {
                State::Recorded => age < OLD,
                State::Recording => {
                    age < RECORDING && self.process != process::id() && is_running(self.process)
                }
                State::Began | State::Free | State::Told => false,
            }
    }

    /// Whether a log record of this call was told, and not long ago.
    fn is_told(&self, key: Key, now: u64) -> bool {
        self.state == State::Told && self.key.name == key.name && now.abs_diff(self.micros) < OLD
    }
}

/// A time, in microseconds since 1970.
pub(crate) fn micros(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Whether a call is this process's to record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    Mine,
    /// Another process has recorded it.
    Recorded,
}

/// The file.
pub(crate) struct Recent(Option<File>);

/// What a look at the file says of a call that a log record tells of.
enum Seen {
    New,
    Recorded,
    /// Another process is about to record a call with this identifier.
    Awaited,
}

impl Recent {
    /// Remembers nothing.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// The file beside the record of a store with these options. Where a database has the record, it is in the user's folder.
    /// What keeps no events claims none.
    pub(crate) fn beside(options: &Options, keeps_nothing: bool) -> Self {
        let folder =
            || options.folder().or_else(place::user_folder).filter(|folder| !folder.as_os_str().is_empty());
        if keeps_nothing {
            Self::none()
        } else {
            folder().map_or_else(Self::none, |folder| Self::open(&folder))
        }
    }

    /// The file in this folder. Without access to it, nothing is remembered.
    pub(crate) fn open(folder: &Path) -> Self {
        let open = || {
            fs::create_dir_all(folder)?;
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            open_regular(&options, &folder.join(NAME))
        };
        Self(open().ok().filter(|file| file.metadata().is_ok_and(|file| file.len() <= SIZE)))
    }

    /// Notes that a call begins.
    pub(crate) fn begin(&mut self, key: Key, now: u64) {
        self.change(key, |bucket| put(bucket, Slot::new(key, now, State::Began), now));
    }

    /// When the call began, in microseconds since 1970: of several with this key, the one that began first. It has ended now.
    pub(crate) fn end(&mut self, key: Key, now: u64) -> Option<u64> {
        self.change(key, |bucket| {
            let began = |slot: &&mut Slot| {
                slot.key.is_same(key) && slot.state == State::Began && now.saturating_sub(slot.micros) < OLD
            };
            let first = bucket.iter_mut().filter(began).min_by_key(|slot| slot.micros)?;
            first.state = State::Free;
            Some(first.micros)
        })?
    }

    /// Claims a call for this process, unless another one has recorded it.
    pub(crate) fn claim(&mut self, key: Key, now: u64) -> Claim {
        let end = Instant::now() + RECORDING_WAIT;
        loop {
            let other = self.change(key, |bucket| {
                let other = bucket.iter().find(|slot| slot.is_claimed(key, now)).copied();
                if other.is_none() {
                    free(bucket, key);
                    put(bucket, Slot::new(key, now, State::Recording), now);
                }
                other
            });
            match other.flatten() {
                Some(Slot { state: State::Recorded, .. }) => return Claim::Recorded,
                Some(_) if Instant::now() < end => thread::sleep(Duration::from_millis(5)),
                _ => return Claim::Mine,
            }
        }
    }

    /// Claims a call that a log record tells of, unless that record, or a hook's event of the call, is recorded. The contents
    /// of the key are those of the log record. Hooks name tools and arguments in their own way, so that theirs cannot be
    /// compared with it: each of a hook's events with the identifier stands for one log record.
    pub(crate) fn claim_told(&mut self, key: Key, now: u64) -> Claim {
        let end = Instant::now() + RECORDING_WAIT;
        let call = key.without_contents();
        loop {
            let seen = self.change(key, |bucket| {
                let seen = look(bucket, key, now);
                match seen {
                    Seen::New => put(bucket, Slot::new(call, now, State::Recording), now),
                    Seen::Recorded
                        if !bucket.iter().any(|slot| slot.is_told(key, now) && slot.key == key) =>
                    {
                        put(bucket, Slot::new(key, now, State::Told), now);
                    }
                    Seen::Recorded | Seen::Awaited => {}
                }
                seen
            });
            match seen {
                Some(Seen::Recorded) => return Claim::Recorded,
                Some(Seen::Awaited) if Instant::now() < end => thread::sleep(Duration::from_millis(5)),
                _ => return Claim::Mine,
            }
        }
    }

    /// Notes that a call is recorded that a log record told of.
    pub(crate) fn recorded_told(&mut self, key: Key, now: u64) {
        let call = key.without_contents();
        self.change(key, |bucket| {
            free(bucket, call);
            // For hooks, one is as good as several.
            bucket
                .iter_mut()
                .filter(|slot| slot.key == call && slot.state == State::Recorded)
                .for_each(|slot| slot.state = State::Free);
            put(bucket, Slot::new(call, now, State::Recorded), now);
            put(bucket, Slot::new(key, now, State::Told), now);
        });
    }

    /// Notes that this process has not recorded a call that a log record told of.
    pub(crate) fn release_told(&mut self, key: Key) {
        self.release(key.without_contents());
    }

    /// Notes that a call is recorded.
    pub(crate) fn recorded(&mut self, key: Key, now: u64) {
        self.change(key, |bucket| {
            free(bucket, key);
            put(bucket, Slot::new(key, now, State::Recorded), now);
        });
    }

    /// Notes that this process has not recorded it.
    pub(crate) fn release(&mut self, key: Key) {
        self.change(key, |bucket| free(bucket, key));
    }

    /// Changes the slots of a key, alone. None: that was not possible.
    fn change<T>(&mut self, key: Key, change: impl FnOnce(&mut [Slot; BUCKET]) -> T) -> Option<T> {
        let file = self.0.as_mut()?;
        lock(file).ok()?;
        let changed = (|| {
            let mut bucket = read(file, key.place())?;
            let value = change(&mut bucket);
            write(file, key.place(), &bucket)?;
            io::Result::Ok(value)
        })();
        let _ = file.unlock();
        changed.ok()
    }
}

/// Whether a process that was to record a call still may: one that was killed does not.
#[cfg(unix)]
fn is_running(process: u32) -> bool {
    use rustix::process::{Pid, test_kill_process};
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

#[cfg(not(unix))]
fn is_running(_: u32) -> bool {
    true
}

fn lock(file: &File) -> io::Result<()> {
    let end = Instant::now() + LOCK_WAIT;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < end => thread::sleep(Duration::from_millis(1)),
            other => return Ok(other?),
        }
    }
}

/// Opens a file, if it is none of another kind: a link may lead to any file, and a pipe makes wait.
pub(crate) fn open_regular(options: &OpenOptions, path: &Path) -> io::Result<File> {
    let mut options = options.clone();
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt as _;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        options.custom_flags(i32::try_from(flags.bits()).unwrap_or_default());
    }
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
    }
    Ok(file)
}

/// What the slots say of a call that a log record tells of.
fn look(bucket: &[Slot; BUCKET], key: Key, now: u64) -> Seen {
    let told = || bucket.iter().filter(|slot| slot.is_told(key, now));
    if told().any(|slot| slot.key == key) {
        return Seen::Recorded;
    }
    let claimed = || bucket.iter().filter(|slot| slot.is_claimed(key.without_contents(), now));
    let of_hooks = claimed().filter(|slot| slot.state == State::Recorded && slot.key.contents != 0).count();
    if of_hooks > told().count() {
        Seen::Recorded
    } else if claimed().any(|slot| slot.state == State::Recording) {
        Seen::Awaited
    } else {
        Seen::New
    }
}

/// Frees what was claimed to be recorded.
fn free(bucket: &mut [Slot; BUCKET], key: Key) {
    let claimed = |slot: &&mut Slot| slot.key == key && slot.state == State::Recording;
    bucket.iter_mut().filter(claimed).for_each(|slot| slot.state = State::Free);
}

/// Puts a slot into the place of what is least needed: what is free or old, then what was recorded first, then what began first.
fn put(bucket: &mut [Slot; BUCKET], slot: Slot, now: u64) {
    let need = |other: &&mut Slot| {
        let is_old = now.abs_diff(other.micros) >= OLD;
        (if is_old { State::Free } else { other.state }.need(), other.micros)
    };
    if let Some(place) = bucket.iter_mut().min_by_key(need) {
        *place = slot;
    }
}

fn read(file: &mut File, place: u64) -> io::Result<[Slot; BUCKET]> {
    file.seek(SeekFrom::Start(place))?;
    // The file is short until its last bucket is used.
    let mut bytes = Vec::with_capacity(BUCKET * SLOT);
    file.take((BUCKET * SLOT) as u64).read_to_end(&mut bytes)?;
    bytes.resize(BUCKET * SLOT, 0);
    let slot = |n: usize| {
        let bytes = &bytes[n * SLOT..(n + 1) * SLOT];
        let state = match bytes[24] {
            1 => State::Recorded,
            2 => State::Recording,
            3 => State::Began,
            4 => State::Told,
            _ => State::Free,
        };
        Slot {
            key: Key { name: first(bytes), contents: u32::from_le_bytes(first(&bytes[32..])) },
            micros: u64::from_le_bytes(first(&bytes[16..])),
            state,
            process: u32::from_le_bytes(first(&bytes[28..])),
        }
    };
    Ok(std::array::from_fn(slot))
}

fn write(file: &mut File, place: u64, bucket: &[Slot; BUCKET]) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(BUCKET * SLOT);
    for slot in bucket {
        bytes.extend_from_slice(&slot.key.name);
        bytes.extend_from_slice(&slot.micros.to_le_bytes());
        bytes.extend_from_slice(&[slot.state as u8, 0, 0, 0]);
        bytes.extend_from_slice(&slot.process.to_le_bytes());
        bytes.extend_from_slice(&slot.key.contents.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
    }
    file.seek(SeekFrom::Start(place))?;
    file.write_all(&bytes)
}

#[cfg(test)]
mod tests;
