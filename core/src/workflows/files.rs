//! Copies of files that appear whole or not at all, and once.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use super::action::{StoreMode, StoreStep};
use crate::error::{Error, Result};
use crate::jobs::{JobRun, Published, is_as_noted};
use crate::processing::Overwrite;
use crate::services::seams::{FileInfo, FileSystem};

/// Bytes that are copied at a time: a wish to cancel waits for one of these.
const PIECE: usize = 256 << 10;

/// Copies `source` to `target`. With `noted`, what an earlier try put there is left alone.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Io`], [`Error::Cancelled`]; [`Error::Conflict`] when the target exists and may not be replaced.
pub(super) fn copy(
    source: &Path,
    target: &Path,
    step: &StoreStep,
    noted: &[Published],
    files: &Arc<dyn FileSystem>,
    run: &JobRun,
) -> Result<()> {
    let reading = |e| Error::io("read", Some(source), e);
    let writing = |e| Error::io("write", Some(target), e);
    // An earlier try got this far: with a move, the source may be gone already.
    if is_as_noted(target, noted, &**files, run).map_err(reading)? || same_file(source, target, &**files) {
        return Ok(());
    }
    let mut from = files.open(source).map_err(reading)?.file;
    if files.info(source).is_ok_and(|info| info.folder) {
        let allowed = "a file; this is a folder".to_owned();
        return Err(Error::InvalidValue { name: "files".into(), value: source.display().to_string(), allowed });
    }
    let exists = || Error::Conflict { what: format!("{} exists and may not be replaced", target.display()) };
    let replace = step.overwrite == Overwrite::Replace;
    if !replace && files.info(target).is_ok() {
        return Err(exists());
    }
    let new = files.create(target).map_err(writing)?;
    let mut to = new.handle().map_err(writing)?;
    let mut piece = vec![0; PIECE];
    loop {
        run.cancel().check()?;
        match from.read(&mut piece).map_err(reading)? {
            0 => break,
            n => to.write_all(&piece[..n]).map_err(writing)?,
        }
    }
    drop(to);
    new.publish(replace).map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists if !replace => exists(),
        _ if run.cancel().is_cancelled() => Error::Cancelled,
        _ => writing(e),
    })?;
    Ok(())
}

/// True when both names are of one file: there is nothing to copy, and nothing to remove after a move.
fn same_file(source: &Path, target: &Path, files: &dyn FileSystem) -> bool {
    let one = |a: &FileInfo, b: &FileInfo| a.number != 0 && a == b && source.parent() == target.parent();
    source == target || matches!((files.info(source), files.info(target)), (Ok(a), Ok(b)) if one(&a, &b))
}

/// The mode of a step, for texts.
pub(super) fn word(mode: StoreMode) -> &'static str {
    match mode {
        StoreMode::Copy => "copy",
        StoreMode::Move => "move",
    }
}
