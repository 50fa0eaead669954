//! What of a folder would survive a crash of the machine. The folder itself is a real one, which the component writes to;
//! this keeps account of each change to it, and can put the folder into the state after a crash.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::fault::Loss;

/// A file, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileId(usize);

#[derive(Clone, Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    /// The bytes that are on the disk.
    synced: Vec<u8>,
    /// When they were last changed, in microseconds since 1970.
    modified: i64,
}

/// A folder, what is in it, and what of that is on the disk.
pub struct Disk {
    path: PathBuf,
    files: Vec<Content>,
    names: BTreeMap<String, FileId>,
    synced_names: BTreeMap<String, FileId>,
    /// Whether the name of the folder itself is on the disk.
    is_synced: bool,
}

impl Disk {
    pub fn new(path: &Path) -> Self {
        let (files, names) = (Vec::new(), BTreeMap::new());
        Self { path: path.into(), files, synced_names: names.clone(), names, is_synced: false }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of this name, which is created if there is none.
    pub fn open(&mut self, name: &str, now: i64) -> FileId {
        if let Some(known) = self.names.get(name) {
            return *known;
        }
        let id = FileId(self.files.len());
        self.files.push(Content { modified: now, ..Content::default() });
        self.names.insert(name.into(), id);
        id
    }

    pub fn append(&mut self, file: FileId, bytes: &[u8], now: i64) {
        let content = &mut self.files[file.0];
        content.bytes.extend_from_slice(bytes);
        content.modified = now;
    }

    pub fn set_size(&mut self, file: FileId, size: u64, now: i64) {
        let content = &mut self.files[file.0];
        content.bytes.resize(size as usize, 0);
        content.modified = now;
    }

    pub fn sync(&mut self, file: FileId) {
        let content = &mut self.files[file.0];
        content.synced.clone_from(&content.bytes);
    }

    pub fn sync_folder(&mut self) {
        self.synced_names.clone_from(&self.names);
    }

    pub fn sync_parent(&mut self) {
        self.is_synced = self.path.is_dir();
    }

    pub fn rename(&mut self, from: &str, to: &str) {
        if let Some(file) = self.names.remove(from) {
            self.names.insert(to.into(), file);
        }
    }

    pub fn remove(&mut self, name: &str) {
        self.names.remove(name);
    }

    pub fn modified(&self, file: FileId) -> i64 {
        self.files[file.0].modified
    }

    pub fn modified_by_name(&self, name: &str) -> Option<i64> {
        self.names.get(name).map(|file| self.modified(*file))
    }

    pub fn names(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }

    pub fn content(&self, name: &str) -> Option<&[u8]> {
        self.names.get(name).map(|file| &self.files[file.0].bytes[..])
    }

    /// Appends to a file as another program does.
    pub fn append_as_other(&mut self, name: &str, bytes: &[u8], now: i64) {
        use std::io::Write as _;
        let file = self.open(name, now);
        self.append(file, bytes, now);
        let real = fs::OpenOptions::new().create(true).append(true).open(self.path.join(name));
        real.and_then(|mut real| real.write_all(bytes)).expect("the folder can be written");
    }

    /// Removes a file as another program does.
    pub fn remove_as_other(&mut self, name: &str) {
        self.remove(name);
        fs::remove_file(self.path.join(name)).expect("the file is there");
    }

    /// Puts the folder into the state after a crash of the machine. No instance may run.
    pub fn crash(&mut self, loss: Loss) {
        let names = if loss == Loss::Everything { &self.synced_names } else { &self.names };
        let survived = names.iter().map(|(name, file)| {
            let content = &self.files[file.0];
            (name.clone(), Content { bytes: content.survives(loss), ..content.clone() })
        });
        let mut survived: Vec<_> = survived.collect();
        if self.path.is_dir() {
            fs::remove_dir_all(&self.path).expect("the folder can be removed");
        }
        self.files.clear();
        self.names.clear();
        if loss == Loss::Everything && !self.is_synced {
            survived.clear();
        } else {
            fs::create_dir(&self.path).expect("the folder can be created");
        }
        for (name, mut content) in survived {
            fs::write(self.path.join(&name), &content.bytes).expect("the folder can be written");
            content.synced.clone_from(&content.bytes);
            self.names.insert(name, FileId(self.files.len()));
            self.files.push(content);
        }
        self.sync_folder();
    }

    /// Checks that the folder has what it should have by this account.
    #[track_caller]
    pub fn assert_same(&self) {
        let mut real = BTreeMap::new();
        for entry in fs::read_dir(&self.path).into_iter().flatten() {
            let path = entry.expect("the folder can be read").path();
            let name = path.file_name().expect("it has a name").to_string_lossy().into_owned();
            real.insert(name, fs::read(&path).expect("it is a file"));
        }
        let known = self.names.iter().map(|(name, file)| (name.clone(), self.files[file.0].bytes.clone()));
        assert_eq!(real, known.collect(), "the folder differs from what the calls have made of it");
    }

    /// What is in the folder, for messages.
    pub fn shown(&self) -> String {
        let mut shown = String::new();
        for (name, file) in &self.names {
            let Content { bytes, synced, .. } = &self.files[file.0];
            shown += &format!("  {name}: {} bytes, of which {} are synced\n", bytes.len(), synced.len());
            for line in String::from_utf8_lossy(bytes).replace('\0', "␀").lines() {
                let (beginning, end) = line.split_at(line.floor_char_boundary(60));
                shown += &format!("    {beginning}… and {} bytes\n", end.len());
            }
        }
        shown
    }
}

impl Content {
    /// The bytes that are left after a crash.
    fn survives(&self, loss: Loss) -> Vec<u8> {
        let Some(rest) = self.bytes.strip_prefix(&self.synced[..]) else {
            // It was truncated since: that is what is lost.
            return if matches!(loss, Loss::Everything | Loss::Bytes) { &self.synced } else { &self.bytes }
                .clone();
        };
        let mut survived = self.synced.clone();
        match loss {
            Loss::Everything | Loss::Bytes => {}
            Loss::HalfOfTheBytes => survived.extend_from_slice(&rest[..rest.len() / 2]),
            Loss::Zeros => survived.resize(self.bytes.len(), 0),
        }
        survived
    }
}
