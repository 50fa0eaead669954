//! Lines that the database refuses are kept in a file, for somebody to look at them.

use super::spool::Spool;
use crate::backend::Notice;
use crate::backends::rows::Refusal;
use crate::host::{File, Folder, Host};
use alloc::format;
use audit_format::line::MAX_LEN;

impl<H: Host> Spool<H> {
    /// Appends a refused line to `refused_<chain>.jsonl`, and returns a message about it.
    pub fn set_aside(&mut self, refusal: &Refusal<'_>) -> Notice {
        let name = format!("refused_{}.jsonl", self.chain);
        let mut line = refusal.line.trim_ascii_end().to_vec();
        line.push(b'\n');
        let kept = self.folder.append(&name).and_then(|mut file| {
            let size = file.size()?;
            if size > 0 && file.read(size - 1, 1)? != b"\n" {
                file.append(b"\n")?;
            }
            line.chunks(MAX_LEN).try_for_each(|piece| file.append(piece))
        });
        let path = self.folder.path();
        let reason = &refusal.reason;
        let what = match refusal.chain {
            Some(_) => "the database refuses an event",
            None => "a line of the spool is not an event of a store",
        };
        let text = match kept {
            Ok(()) => format!("{what}; it is kept in {path}/{name}: {reason}"),
            Err(error) => {
                format!("{what}; it is lost, because {path}/{name} cannot be written ({error}): {reason}")
            }
        };
        Notice { topic: Refusal::TOPIC, text, lost: u64::from(refusal.chain == Some(self.chain)) }
    }
}
