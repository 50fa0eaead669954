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
            let mut known = core::mem::take(&mut self.known);
            let mut is_whole = true;
            for (name, _) in
                names.iter().filter(|(name, is_file)| *is_file && names::spool_of(name).is_some())
            {
                let (mut blocks, before) = (known.remove(name).unwrap_or_default(), page.skipped());
                match self.scan_one(name, &mut blocks, page) {
                    // Its lines are in a file of another name or in the database, or somebody has changed them.
                    Err(FileError::NotFound) | Ok(false) => is_whole = false,
                    // The first page of a read has counted the skipped lines.
                    Ok(true) if page.is_continuation() => page.reset_skipped(before),
                    Ok(true) => {}
                    Err(error) => {
                        page.skip_file(format!("cannot read {}/{name}: {error}", self.folder.path()));
                    }
                }
                self.known.insert(name.clone(), blocks);
            }
            if is_whole {
                break;
            }
        }
        Ok(())
    }

    /// Offers the page every line of a spool file. False: what was known of the file was wrong, and is forgotten.
    fn scan_one(
        &mut self,
        name: &str,
        blocks: &mut Blocks,
        page: &mut Selection<'_>,
    ) -> Result<bool, FileError> {
        let file = self.folder.open(name)?;
        blocks.begin_read();
        blocks.begin_page();
        blocks.verify(&file)?;
        let mut budget = u64::MAX;
        scan_file(&file, Timestamp::MIN.day(), blocks, page, &mut budget)?;
        let is_right = !blocks.is_wrong;
        if !is_right {
            blocks.forget();
        }
        Ok(is_right)
    }
}
