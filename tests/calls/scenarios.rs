//! What a caller does while a fault happens, from a write to the taking over of a spool that a dead instance has left.

use crate::run::{DAY, Run, Stopped};

pub fn nothing(_: &mut Run) -> Result<(), Stopped> {
    Ok(())
}

pub fn write(run: &mut Run) -> Result<(), Stopped> {
    run.open()?;
    run.write()?;
    run.write()?;
    run.flush()?;
    run.close()
}

pub fn one_batch(run: &mut Run) -> Result<(), Stopped> {
    run.open()?;
    run.batch(&[0, 0])?;
    run.flush()
}

/// The batch is in several pieces, and goes to the files of two days and back.
pub fn batch_over_midnight(run: &mut Run) -> Result<(), Stopped> {
    run.open()?;
    run.batch(&[0, 1, 2, 3, 60, 61, 62, 4])?;
    run.batch(&[5])?;
    run.flush()
}

pub fn rotate(run: &mut Run) -> Result<(), Stopped> {
    run.batch(&[1])?;
    run.pass(DAY);
    run.batch(&[0, 1, 2])?;
    run.write()?;
    run.flush()?;
    run.read(2)
}

pub fn two_days(run: &mut Run) -> Result<(), Stopped> {
    run.open()?;
    run.batch(&[0, 0, 1, 2, 60, 61])?;
    run.close()
}

pub fn read(run: &mut Run) -> Result<(), Stopped> {
    run.open()?;
    run.read(2)?;
    run.batch(&[3])?;
    run.read(4)
}

/// An earlier instance has left half a line.
pub fn torn(run: &mut Run) -> Result<(), Stopped> {
    one_batch(run)?;
    run.end();
    let mut shared = run.world.lock();
    let (disk, now) = shared.disk_and_time();
    disk.append_as_other("tool_audit_2026-11-23.jsonl", b"{\"ts\":\"2026-11-23T12:00:0", now);
    Ok(())
}

pub fn recover(run: &mut Run) -> Result<(), Stopped> {
    run.open()?;
    run.read(0)?;
    run.batch(&[0, 1, 2])?;
    run.read(0)
}

/// A file that is so long that it has an index, mostly of lines that are no events.
pub fn long_file(run: &mut Run) -> Result<(), Stopped> {
    /// More than the blocks that a file needs for an index.
    const BYTES: usize = 8 << 20;
    one_batch(run)?;
    run.end();
    let mut line = vec![b'x'; (64 << 10) - 1];
    line.push(b'\n');
    let mut shared = run.world.lock();
    let (disk, now) = shared.disk_and_time();
    disk.append_as_other("tool_audit_2026-11-23.jsonl", &line.repeat(BYTES / line.len()), now);
    Ok(())
}

/// A write and a read extend the index, and a later read uses it.
pub fn index(run: &mut Run) -> Result<(), Stopped> {
    run.open()?;
    run.batch(&[0, 1])?;
    run.read(0)?;
    run.open()?;
    run.read(0)
}

pub fn table(run: &mut Run) -> Result<(), Stopped> {
    run.open()?;
    run.batch(&[0, 0, 0])?;
    run.read(2)?;
    run.write()?;
    run.flush()?;
    run.close()
}

pub fn spool(run: &mut Run) -> Result<(), Stopped> {
    run.set_down(true);
    run.open()?;
    run.batch(&[0, 1, 2])?;
    run.write()?;
    // The next file of the spool.
    run.pass(31);
    run.batch(&[0, 0])?;
    run.set_down(false);
    run.read(2)?;
    run.close()
}

pub fn spooled(run: &mut Run) -> Result<(), Stopped> {
    run.set_down(true);
    run.open()?;
    run.batch(&[0, 1, 2])?;
    run.pass(31);
    run.batch(&[0, 0])?;
    run.set_down(false);
    Ok(())
}

pub fn drain(run: &mut Run) -> Result<(), Stopped> {
    run.flush()?;
    run.batch(&[0, 0, 0])?;
    run.flush()?;
    run.read(3)?;
    run.close()
}

/// A killed instance has left two files of its spool, and half a line.
pub fn left_behind(run: &mut Run) -> Result<(), Stopped> {
    spooled(run)?;
    run.end();
    run.pass(61);
    let mut shared = run.world.lock();
    let spool = shared.disk.names().into_iter().rfind(|name| name.starts_with("spool_"));
    let (disk, now) = shared.disk_and_time();
    disk.append_as_other(
        &spool.expect("there is a spool"),
        b"{\"ts\":\"2026-11-23T12:00:0",
        now - 61_000_000,
    );
    Ok(())
}

pub fn take_over(run: &mut Run) -> Result<(), Stopped> {
    run.open()?;
    run.read(2)?;
    run.flush()?;
    run.batch(&[0, 0])?;
    run.pass(61);
    run.flush()?;
    run.read(2)
}

pub fn visit(run: &mut Run) -> Result<(), Stopped> {
    run.open()?;
    run.write()?;
    run.close()?;
    run.open()?;
    run.write()?;
    run.close()
}
