//! A disk in memory, with what a process sees and what would be left of that after a power cut. Each call of it can fail,
//! and the process or the machine can end after each.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use audit_evidence::Folder;
use audit_log::checkpoint::SignedCheckpoint;

/// What happens at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails, and does nothing.
    Fails,
    /// It fails, and so do all after it: the process has ended. A file that is being written has a part of its content.
    Ends,
}

/// What is there after the process has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// All that it did.
    Process,
    /// What was synced.
    PowerCut,
    /// Names that were not synced, too: of files whose content may not be there.
    EmptyFiles,
}

#[derive(Clone, Debug, Default)]
struct Content {
    seen: Vec<u8>,
    synced: Option<Vec<u8>>,
}

#[derive(Clone, Debug, Default)]
struct State {
    contents: Vec<Content>,
    /// Files by their names, as numbers of contents; folders have none.
    seen: BTreeMap<String, Option<usize>>,
    synced: BTreeMap<String, Option<usize>>,
    calls: usize,
    fault: Option<(usize, Fault)>,
    has_ended: bool,
    /// Each checkpoint that ever was in a file, under whatever name.
    signed: Vec<SignedCheckpoint>,
}

/// A folder on that disk. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Memory(Rc<RefCell<State>>);

impl Memory {
    /// Sets what happens at the call with this number, from 0.
    pub fn fail_at(&self, call: usize, fault: Fault) {
        let mut state = self.0.borrow_mut();
        (state.calls, state.fault) = (0, Some((call, fault)));
    }

    /// Whether that call was made.
    pub fn has_failed(&self) -> bool {
        let state = self.0.borrow();
        state.fault.is_some_and(|(call, _)| state.calls > call)
    }

    /// What another process finds later.
    pub fn go_on(&self, after: After) {
        let mut state = self.0.borrow_mut();
        (state.fault, state.has_ended) = (None, false);
        if after == After::Process {
            return;
        }
        if after == After::PowerCut {
            state.seen = state.synced.clone();
        } else {
            state.synced = state.seen.clone();
        }
        for content in &mut state.contents {
            content.seen = content.synced.clone().unwrap_or_default();
            content.synced = Some(content.seen.clone());
        }
    }

    /// A copy that changes apart from this.
    pub fn copy(&self) -> Self {
        Self(Rc::new(RefCell::new(self.0.borrow().clone())))
    }

    pub fn signed(&self) -> Vec<SignedCheckpoint> {
        self.0.borrow().signed.clone()
    }

    pub fn names(&self) -> Vec<String> {
        self.0.borrow().seen.keys().cloned().collect()
    }

    fn call(&self) -> io::Result<std::cell::RefMut<'_, State>> {
        let mut state = self.0.borrow_mut();
        let now = state.calls;
        state.calls += 1;
        match state.fault {
            _ if state.has_ended => return Err(io::Error::other("the process has ended")),
            Some((call, fault)) if call == now => {
                state.has_ended = fault == Fault::Ends;
                return Err(io::Error::other("this call fails"));
            }
            _ => {}
        }
        Ok(state)
    }
}

fn parent(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(parent, _)| parent)
}

fn missing(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, name.to_owned())
}

impl Folder for Memory {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let state = self.call()?;
        let file = state.seen.get(name).copied().flatten();
        Ok(file.map(|content| state.contents[content].seen.clone()))
    }

    fn make(&mut self, folder: &str) -> io::Result<()> {
        let mut state = self.call()?;
        let above = parent(folder);
        if !above.is_empty() && state.seen.get(above) != Some(&None) {
            return Err(missing(above));
        }
        state.seen.entry(folder.to_owned()).or_insert(None);
        Ok(())
    }

    fn write(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        let place = |state: &mut State| {
            let known = state.seen.get(name).copied().flatten();
            known.unwrap_or_else(|| {
                state.contents.push(Content::default());
                let content = state.contents.len() - 1;
                state.seen.insert(name.to_owned(), Some(content));
                content
            })
        };
        match self.call() {
            Ok(mut state) => {
                let file = place(&mut state);
                state.contents[file].seen = content.to_owned();
                state.signed.extend(SignedCheckpoint::parse(content).ok());
                Ok(())
            }
            Err(error) => {
                let mut state = self.0.borrow_mut();
                let file = place(&mut state);
                state.contents[file].seen = content[..content.len() / 2].to_owned();
                Err(error)
            }
        }
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.call()?;
        let above = parent(to);
        if !above.is_empty() && state.seen.get(above) != Some(&None) {
            return Err(missing(above));
        }
        let content = state.seen.remove(from).ok_or_else(|| missing(from))?;
        state.seen.insert(to.to_owned(), content);
        Ok(())
    }

    fn sync(&mut self, names: &[&str]) -> io::Result<()> {
        for name in names {
            let mut state = self.call()?;
            match state.seen.get(*name).copied() {
                Some(Some(content)) => {
                    let content = &mut state.contents[content];
                    content.synced = Some(content.seen.clone());
                }
                None if !name.is_empty() => return Err(missing(name)),
                _ => {
                    let is_in = |file: &String| parent(file) == *name && !file.is_empty();
                    state.synced.retain(|file, _| !is_in(file));
                    let seen: Vec<_> = state.seen.iter().filter(|(file, _)| is_in(file)).collect();
                    let seen: Vec<_> =
                        seen.into_iter().map(|(file, content)| (file.clone(), *content)).collect();
                    state.synced.extend(seen);
                }
            }
        }
        Ok(())
    }

    fn remove(&mut self, folder: &str) -> io::Result<()> {
        let mut state = self.call()?;
        let within = format!("{folder}/");
        state.seen.retain(|name, _| name != folder && !name.starts_with(&within));
        Ok(())
    }
}
