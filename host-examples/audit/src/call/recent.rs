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
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

/// The name of the file.
const NAME: &str = "recent_calls";

/// How many slots a call may be in.
const BUCKET: usize = 8;

const BUCKETS: u64 = 512;

/// The key, when it was written in microseconds since 1970, the state, three zeros, and the process that has written it.
const SLOT: usize = 32;

/// After this long, in microseconds, a slot is free.
const OLD: u64 = 24 * 3600 * 1_000_000;

/// How long a process waits for others that use the file: they use it for less than a microsecond.
const LOCK_WAIT: Duration = Duration::from_micros(100);

/// How long a process waits for another one that records the same call. Then it records the call itself.
const RECORDING_WAIT: Duration = Duration::from_secs(5);

/// What a call is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key([u8; 16]);

impl Key {
    /// The end of the call of a session, or its beginning; the same for all who see it.
    pub(crate) fn of_call(session: &str, id: &str, is_start: bool) -> Self {
        Self::of(&[if is_start { "start" } else { "end" }, session, id])
    }

    pub(crate) fn of(parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let mut key = [0; 16];
        key.copy_from_slice(&hash.finalize()[..16]);
        Self(key)
    }

    /// A name for the call that began at this time.
    pub(crate) fn name(self, began: u64) -> String {
        let hash = Sha256::new().chain_update(self.0).chain_update(began.to_le_bytes()).finalize();
        hash[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn place(self) -> u64 {
        let bucket = u64::from(u16::from_le_bytes([self.0[0], self.0[1]])) % BUCKETS;
        bucket * (BUCKET * SLOT) as u64
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum State {
    Free = 0,
    Recorded = 1,
    Recording = 2,
    Began = 3,
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

impl Recent {
    /// The file in this folder. Without access to it, nothing is remembered.
    pub(crate) fn open(folder: &Path) -> Self {
        let open = || {
            fs::create_dir_all(folder)?;
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(folder.join(NAME))
        };
        Self(open().ok())
    }

    /// Notes that a call begins.
    pub(crate) fn begin(&mut self, key: Key, now: u64) {
        self.change(key, |bucket| put(bucket, Slot::new(key, now, State::Began), now));
    }

    /// When the call began, in microseconds since 1970: of several with this key, the one that began first. It has ended now.
    pub(crate) fn end(&mut self, key: Key, now: u64) -> Option<u64> {
        self.change(key, |bucket| {
            let began = |slot: &&mut Slot| {
                slot.key == key && slot.state == State::Began && now.saturating_sub(slot.micros) < OLD
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
            let known = self.change(key, |bucket| {
                let known = |slot: &&Slot| {
                    slot.key == key && matches!(slot.state, State::Recorded | State::Recording)
                };
                let known = bucket.iter().find(known).map(|slot| (slot.state, slot.process));
                if known.is_none() {
                    put(bucket, Slot::new(key, now, State::Recording), now);
                }
                known
            });
            match known.flatten() {
                Some((State::Recorded, _)) => return Claim::Recorded,
                Some((_, process)) if Instant::now() < end && is_running(process) => {
                    thread::sleep(Duration::from_micros(5));
                }
                _ => return Claim::Mine,
            }
        }
    }

    /// Notes that a call is recorded.
    pub(crate) fn recorded(&mut self, key: Key, now: u64) {
        self.change(key, |bucket| {
            bucket.iter_mut().filter(|slot| slot.key == key && slot.state == State::Recording).for_each(
                |slot| {
                    slot.state = State::Free;
                },
            );
            put(bucket, Slot::new(key, now, State::Recorded), now);
        });
    }

    /// Notes that this process has not recorded it.
    pub(crate) fn release(&mut self, key: Key) {
        self.change(key, |bucket| {
            bucket.iter_mut().filter(|slot| slot.key == key && slot.state == State::Recording).for_each(
                |slot| {
                    slot.state = State::Free;
                },
            );
        });
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
            Err(TryLockError::WouldBlock) if Instant::now() < end => thread::sleep(Duration::from_micros(1)),
            other => return Ok(other?),
        }
    }
}

/// Puts a slot into the place of what is least needed: what is free or old, then what was recorded first, then what began first.
fn put(bucket: &mut [Slot; BUCKET], slot: Slot, now: u64) {
    let need = |other: &&mut Slot| {
        let is_old = now.abs_diff(other.micros) >= OLD;
        (if is_old { State::Free } else { other.state } as u8, other.micros)
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
        let (mut key, mut micros) = ([0; 16], [0; 8]);
        key.copy_from_slice(&bytes[..16]);
        micros.copy_from_slice(&bytes[16..24]);
        let state = match bytes[24] {
            1 => State::Recorded,
            2 => State::Recording,
            3 => State::Began,
            _ => State::Free,
        };
        let process = u32::from_le_bytes([bytes[28], bytes[29], bytes[30], bytes[31]]);
        Slot { key: Key(key), micros: u64::from_le_bytes(micros), state, process }
    };
    Ok(std::array::from_fn(slot))
}

fn write(file: &mut File, place: u64, bucket: &[Slot; BUCKET]) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(BUCKET * SLOT);
    for slot in bucket {
        bytes.extend_from_slice(&slot.key.0);
        bytes.extend_from_slice(&slot.micros.to_le_bytes());
        bytes.extend_from_slice(&[slot.state as u8, 0, 0, 0]);
        bytes.extend_from_slice(&slot.process.to_le_bytes());
    }
    file.seek(SeekFrom::Start(place))?;
    file.write_all(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u64) -> Key {
        Key::of(&["session", &n.to_string()])
    }

    #[test]
    fn a_call_ends_once_and_the_first_that_began_ends_first() {
        let folder = tempfile::tempdir().unwrap();
        Recent::open(folder.path()).begin(key(1), 1000);
        Recent::open(folder.path()).begin(key(1), 1500);
        let mut recent = Recent::open(folder.path());
        assert_eq!(recent.end(key(2), 2000), None);
        assert_eq!(recent.end(key(1), 2000), Some(1000));
        assert_eq!(recent.end(key(1), 2000), Some(1500));
        assert_eq!(recent.end(key(1), 2000), None);
    }

    #[test]
    fn a_call_is_recorded_by_one_process() {
        let folder = tempfile::tempdir().unwrap();
        let mut recent = Recent::open(folder.path());
        assert_eq!(recent.claim(key(1), 1000), Claim::Mine);
        recent.release(key(1));
        assert_eq!(recent.claim(key(1), 1000), Claim::Mine);
        recent.recorded(key(1), 1000);
        assert_eq!(Recent::open(folder.path()).claim(key(1), 1000), Claim::Recorded);
        assert_eq!(recent.claim(key(2), 1000), Claim::Mine);
    }

    #[test]
    fn a_call_that_a_killed_process_was_to_record_is_recorded_by_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut recent = Recent::open(folder.path());
        let mut killed = process::Command::new("true").spawn().unwrap();
        killed.wait().unwrap();
        let slot = Slot { process: killed.id(), ..Slot::new(key(1), 1000, State::Recording) };
        recent.change(key(1), |bucket| put(bucket, slot, 1000)).unwrap();
        let start = Instant::now();
        assert_eq!(recent.claim(key(1), 1000), Claim::Mine);
        assert!(start.elapsed() < RECORDING_WAIT);
    }

    #[test]
    fn the_file_stays_small_and_forgets_what_is_old_first() {
        let folder = tempfile::tempdir().unwrap();
        let mut recent = Recent::open(folder.path());
        recent.begin(key(0), 1000);
        for n in 1..20_000 {
            assert_eq!(recent.claim(key(n), 1000 + n), Claim::Mine);
            recent.recorded(key(n), 1000 + n);
        }
        assert!(fs::metadata(folder.path().join(NAME)).unwrap().len() <= BUCKETS * (BUCKET * SLOT) as u64);
        assert_eq!(recent.end(key(0), 30_000), Some(1000), "what is recorded goes before what has not ended");
        assert_eq!(recent.claim(key(19_999), 30_000), Claim::Recorded);
        recent.begin(key(5), 1000);
        assert_eq!(recent.end(key(5), 1000 + OLD), None);
    }

    #[test]
    fn garbage_and_a_folder_that_cannot_be_used_do_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(NAME), [0xAB; 300]).unwrap();
        let mut recent = Recent::open(folder.path());
        assert_eq!(recent.claim(key(1), 1000), Claim::Mine);
        let mut nowhere = Recent::open(&folder.path().join(NAME));
        nowhere.begin(key(1), 1000);
        assert_eq!((nowhere.end(key(1), 1000), nowhere.claim(key(1), 1000)), (None, Claim::Mine));
    }
}
