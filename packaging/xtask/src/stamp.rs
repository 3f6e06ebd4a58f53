//! Remembers what a result was made from, so that work whose inputs did not change is not done again.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest as _, Sha256};
use walkdir::WalkDir;

/// Adds up the inputs of one result.
pub(crate) struct Fingerprint {
    hash: Sha256,
}

impl Fingerprint {
    pub(crate) fn new() -> Self {
        Self { hash: Sha256::new() }
    }

    /// Adds a piece of text.
    pub(crate) fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    /// Adds some bytes.
    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        // The length keeps ("ab", "c") and ("a", "bc") apart.
        self.hash.update(bytes.len().to_le_bytes());
        self.hash.update(bytes);
        self
    }

    /// Adds the content of a file, or of all files in a folder.
    ///
    /// # Errors
    /// If something cannot be read.
    pub(crate) fn path(mut self, path: &Path) -> Result<Self> {
        for file in files_under(path)? {
            let content = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            self = self.text(&file.strip_prefix(path).unwrap_or(&file).to_string_lossy()).bytes(&content);
        }
        Ok(self)
    }

    /// Returns the sum as text.
    pub(crate) fn finish(self) -> String {
        self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Returns the SHA-256 sum of a file's content, as `sha256sum` writes it.
///
/// # Errors
/// If the file cannot be read.
pub(crate) fn sha256_of(file: &Path) -> Result<String> {
    let content = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Tells whether `path` was made from inputs with this fingerprint.
pub(crate) fn is_fresh(path: &Path, fingerprint: &str) -> bool {
    path.exists() && fs::read_to_string(stamp_of(path)).is_ok_and(|stamp| stamp == fingerprint)
}

/// Notes that `path` was made from inputs with this fingerprint.
///
/// # Errors
/// If the note cannot be written.
pub(crate) fn set(path: &Path, fingerprint: &str) -> Result<()> {
    let stamp = stamp_of(path);
    fs::write(&stamp, fingerprint).with_context(|| format!("cannot write {}", stamp.display()))
}

/// Forgets what `path` was made from, before it is made anew.
pub(crate) fn clear(path: &Path) {
    // A stamp that cannot be removed is replaced by `set`, or fails there.
    let _ = fs::remove_file(stamp_of(path));
}

fn stamp_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".stamp");
    path.with_file_name(name)
}

/// Lists a file, or the files in a folder and below it, in a fixed order; caches of Python are left out.
///
/// # Errors
/// If a folder cannot be read.
pub(crate) fn files_under(path: &Path) -> Result<Vec<PathBuf>> {
    let is_cache =
        |name: &str| matches!(name, "__pycache__" | ".pytest_cache" | ".mypy_cache" | ".ruff_cache");
    let mut files = Vec::new();
    let entries = WalkDir::new(path).follow_links(true).sort_by_file_name().into_iter();
    for entry in entries.filter_entry(|entry| !entry.file_name().to_str().is_some_and(is_cache)) {
        let entry = entry.with_context(|| format!("cannot read {}", path.display()))?;
        if entry.file_type().is_file() {
            files.push(entry.into_path());
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_keeps_neighbouring_texts_apart() {
        let first = Fingerprint::new().text("ab").text("c").finish();
        let second = Fingerprint::new().text("a").text("bc").finish();
        assert_ne!(first, second);
    }
}
