//! What a read sees of the spool.

use super::spool::Spool;
use crate::error::Error;
use crate::host::{FileError, Folder, Host};
use crate::scan::{Blocks, scan_file};
use crate::selection::Selection;
use alloc::format;
use audit_format::names;
use audit_format::time::Timestamp;

/// How often the spool is scanned, because files may be taken over or removed meanwhile.
const SCAN_TRIES: u32 = 5;

impl<H: Host> Spool<H> {
    /// Offers the page every line in the spool, of all instances.
    pub fn scan(&mut self, page: &mut Selection<'_>) -> Result<(), Error> {
        let skipped = page.skipped();
        for _ in 0..SCAN_TRIES {
            page.reset_skipped(skipped);
            let names = self.folder.list().map_err(|error| self.access("list the spool", &error))?;
            let mut gone = false;
            for (name, _) in
                names.iter().filter(|(name, is_file)| *is_file && names::spool_of(name).is_some())
            {
                let (mut blocks, before) = (Blocks::default(), page.skipped());
                let day = Timestamp::MIN.day();
                let scanned =
                    self.folder.open(name).and_then(|file| scan_file(&file, day, &mut blocks, page));
                match scanned {
                    // The first page of a read has counted the skipped lines.
                    Ok(()) if page.is_continuation() => page.reset_skipped(before),
                    Ok(()) => {}
                    // Its lines are in a file of another name or in the database.
                    Err(FileError::NotFound) => gone = true,
                    Err(error) => {
                        page.skip_file(format!("cannot read {}/{name}: {error}", self.folder.path()));
                    }
                }
            }
            if !gone {
                break;
            }
        }
        Ok(())
    }
}
