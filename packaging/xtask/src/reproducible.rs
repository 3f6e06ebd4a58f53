//! Checks that a wheel for Pyodide does not depend on where it was built: builds it again in a copy of the sources, in a folder
//! whose name is longer, from nothing, and compares the bytes.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self as this, Command};

use anyhow::{Result, bail};

use crate::folder;
use crate::process;
use crate::stamp::{self, Fingerprint};
use crate::steps::Outcome;
use crate::wheel::{self, Kind};
use crate::workspace::Workspace;

/// Builds the wheel again elsewhere.
///
/// # Errors
/// If the bytes differ, or it cannot be built.
pub(crate) fn check(workspace: &Workspace) -> Result<Outcome> {
    check_dated(workspace, &wheel::epoch(workspace))
}

/// Builds a wheel whose files have the date `epoch` again elsewhere, and compares the bytes.
///
/// # Errors
/// If the bytes differ, or it cannot be built.
pub(crate) fn check_dated(workspace: &Workspace, epoch: &str) -> Result<Outcome> {
    let folder = env::temp_dir().join(format!("workerlib built in another folder {}", this::id()));
    let result = compare(workspace, &folder, epoch);
    // Files that stay in a temporary folder are no reason to fail.
    let _ = fs::remove_dir_all(&folder);
    result
}

fn compare(workspace: &Workspace, folder: &Path, epoch: &str) -> Result<Outcome> {
    folder::empty(folder)?;
    for file in sources(workspace)? {
        folder::copy_file(&workspace.root().join(&file), &folder.join(&file))?;
    }
    let copy = Workspace::at(folder.to_path_buf());
    if !wheel::is_built_from(workspace, &copy, Kind::Wasm, epoch)? {
        bail!(
            "the wheel was not built from these files: they changed meanwhile, or some of them are ignored by git"
        );
    }
    wheel::build_of(&copy, workspace, Kind::Wasm, epoch)?;
    let (first, second) = (wheel::find(workspace, Kind::Wasm)?, wheel::find(&copy, Kind::Wasm)?);
    let digest = |path: &Path| fs::read(path).map(|bytes| Fingerprint::new().bytes(&bytes).finish());
    let (one, other) = (digest(&first)?, digest(&second)?);
    if first.file_name() != second.file_name() || one != other {
        let kept = workspace.target().join("not-reproduced.whl");
        fs::copy(&second, &kept)?;
        bail!("the wheels differ; compare {} and {}", first.display(), kept.display());
    }
    Ok(Outcome::Note(format!("the same {} bytes", fs::metadata(&first)?.len())))
}

/// Lists the files that belong to the sources, committed or not, by their paths in the checkout.
///
/// # Errors
/// If a folder cannot be read.
pub(crate) fn sources(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]).current_dir(workspace.root());
    if let Some(list) = process::ask(&mut git) {
        let files = list.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from);
        return Ok(files.filter(|file| workspace.root().join(file).is_file()).collect());
    }
    // Without git, or in an unpacked archive: all but what is built.
    let mut files = Vec::new();
    for entry in fs::read_dir(workspace.root())? {
        let name = PathBuf::from(entry?.file_name());
        if name != Path::new("target") && name != Path::new(".git") {
            let path = workspace.root().join(&name);
            let below = stamp::files_under(&path)?;
            files.extend(
                below.iter().filter_map(|file| file.strip_prefix(workspace.root()).ok().map(PathBuf::from)),
            );
        }
    }
    files.sort();
    Ok(files)
}
