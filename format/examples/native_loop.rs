//! What the store does to write a file of JSON lines, in a native loop without a component, a queue and accounting:
//! `native_loop INPUT FOLDER`. Each line is parsed, checked, stamped, encoded and hashed, and appended to the file of its day
//! in pieces of whole lines, each of at most 32 KiB. `cargo xtask bench` shows `audit write` beside it.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{Read as _, Write as _};
use std::ops::Range;
use std::path::PathBuf;
use std::time::SystemTime;

use audit_format::id::Ids;
use audit_format::time::{Day, Timestamp};
use audit_format::{leaf, names, sent};
use uuid::Uuid;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How much is appended at once, in bytes: as much as the store appends.
const MAX_APPEND: usize = 32 << 10;

/// How much of the input is read at once, in bytes.
const PIECE: usize = 256 << 10;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, folder] = arguments.as_slice() else { return Err("accepted are INPUT FOLDER".into()) };
    fs::create_dir_all(folder)?;
    let mut writer = Writer::new(folder.into())?;
    let (mut input, mut buffer, mut filled) = (File::open(input)?, vec![0; PIECE], 0);
    loop {
        let read = input.read(&mut buffer[filled..])?;
        filled += read;
        let end = match buffer[..filled].iter().rposition(|byte| *byte == b'\n') {
            Some(newline) => newline + 1,
            None if read == 0 => filled,
            None => return Err(format!("a line has more than {PIECE} bytes").into()),
        };
        writer.write(str::from_utf8(&buffer[..end])?)?;
        buffer.copy_within(end..filled, 0);
        filled -= end;
        if read == 0 && filled == 0 {
            return Ok(());
        }
    }
}

struct Writer {
    folder: PathBuf,
    files: BTreeMap<String, File>,
    ids: Ids,
    chain: Uuid,
    seq: u64,
    /// Encoded lines, and where each is.
    bytes: Vec<u8>,
    lines: Vec<(Day, Range<usize>)>,
}

impl Writer {
    fn new(folder: PathBuf) -> Result<Self> {
        let mut ids = Ids::default();
        let chain = ids.next(now()?, random);
        Ok(Self { folder, files: BTreeMap::new(), ids, chain, seq: 0, bytes: Vec::new(), lines: Vec::new() })
    }

    /// Appends the events of these lines.
    fn write(&mut self, text: &str) -> Result<()> {
        let now = now()?;
        self.bytes.clear();
        self.lines.clear();
        for line in text.lines() {
            let (id, start) = (self.ids.next(now, random), self.bytes.len());
            let (at, _) = sent::encode(line, now, id, self.chain, self.seq, &mut self.bytes)?;
            self.seq += 1;
            self.lines.push((at.day(), start..self.bytes.len()));
        }
        leaf::seal(&mut self.bytes, self.lines.iter().map(|(_, line)| line.clone()));
        self.append()
    }

    fn append(&mut self) -> Result<()> {
        let mut rest = self.lines.as_slice();
        while let Some((day, first)) = rest.first() {
            let fits = |(of, line): &&(Day, Range<usize>)| of == day && line.end - first.start <= MAX_APPEND;
            let lines = rest.iter().take_while(fits).count();
            let piece = &self.bytes[first.start..rest[lines - 1].1.end];
            let name = names::daily(*day);
            let file = match self.files.get_mut(&name) {
                Some(file) => file,
                None => {
                    let path = self.folder.join(&name);
                    let file = OpenOptions::new().create(true).append(true).open(path)?;
                    self.files.entry(name).or_insert(file)
                }
            };
            file.write_all(piece)?;
            rest = &rest[lines..];
        }
        Ok(())
    }
}

fn now() -> Result<Timestamp> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(Timestamp::clamped(i64::try_from(since.as_micros())?))
}

/// Random enough for identifiers that nobody keeps.
fn random() -> u128 {
    let half = || u128::from(RandomState::new().hash_one(0));
    half() << 64 | half()
}
