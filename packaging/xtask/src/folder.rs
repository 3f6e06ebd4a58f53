//! Empties folders, and fills them with copies.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::stamp::files_under;

/// Makes an empty folder of `folder`.
///
/// # Errors
/// If its old content cannot be removed.
pub(crate) fn empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))
}

/// Copies all files in and below `source` into `target`.
///
/// # Errors
/// If a file cannot be read or written.
pub(crate) fn copy(source: &Path, target: &Path) -> Result<()> {
    for file in files_under(source)? {
        let name = file.strip_prefix(source).context("the file is below its folder")?;
        copy_file(&file, &target.join(name))?;
    }
    Ok(())
}

/// Copies one file to `target`, whose folders are made where they are missing.
///
/// # Errors
/// If it cannot be read or written.
pub(crate) fn copy_file(source: &Path, target: &Path) -> Result<()> {
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    fs::copy(source, target)
        .with_context(|| format!("cannot copy {} to {}", source.display(), target.display()))?;
    Ok(())
}
