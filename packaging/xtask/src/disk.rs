//! Tells the remedy when a command failed because a disk is full.
//!
//! Each tool says so in its own words, or says nothing. So the words are looked for, and it is tried whether the folders that every
//! command writes to still take a file.

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::workspace::Workspace;

/// The words by which systems and programs say that a disk is full.
const SIGNS: [&str; 4] =
    ["No space left on device", "ENOSPC", "Disk quota exceeded", "not enough space on the disk"];

/// The size of the file that is tried: smaller ones may fit in what a file system keeps back.
const TRIED: usize = 1 << 20;

/// Returns the remedy if a command failed since a disk is full; `told` is all that the command and its tools said.
pub(crate) fn remedy(workspace: &Workspace, told: &str) -> Option<String> {
    let probe = format!("xtask-{}.probe", std::process::id());
    let folders = [workspace.target(), env::temp_dir()];
    let full = folders.iter().find(|folder| is_full(&folder.join(&probe)));
    if full.is_none() && !SIGNS.iter().any(|sign| told.contains(sign)) {
        return None;
    }
    let [target, temporary] = &folders;
    let place = match full {
        Some(folder) => format!("the disk of {} is full", folder.display()),
        // The program that filled the disk has removed its files by now.
        None => format!("the disk of {} or of {} was full", target.display(), temporary.display()),
    };
    let remedy = if full == Some(temporary) && temporary != target {
        "free some space there, or name another folder by TMPDIR".to_owned()
    } else {
        format!(
            "free some space (a whole test run takes about 4 GB), or move {} to a larger disk and put a link in its place",
            target.display()
        )
    };
    Some(format!("{place}: {remedy}. Then run the command again: it goes on with the step that failed."))
}

/// Tells whether a file cannot be written since the disk is full.
fn is_full(probe: &Path) -> bool {
    let written = fs::write(probe, vec![0; TRIED]);
    // Nothing may be left on a disk that is full.
    let _ = fs::remove_file(probe);
    written.is_err_and(|error| matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A full disk during the first run: the remedy names the folder, and other failures get no such remedy.
    #[test]
    fn a_full_disk_has_a_remedy() {
        let folder = env::temp_dir().join(format!("xtask disk {}", std::process::id()));
        let workspace = Workspace::at(folder.clone());
        fs::create_dir_all(workspace.target()).expect("it can be made");
        assert_eq!(remedy(&workspace, "error: linking failed"), None);
        let told = remedy(&workspace, "OSError: [Errno 28] No space left on device: 'x'").expect("a remedy");
        assert!(told.contains(&workspace.target().display().to_string()), "{told}");
        assert!(told.contains("put a link in its place"), "{told}");
        assert_eq!(fs::read_dir(workspace.target()).expect("it is there").count(), 0, "the probe is left");
        fs::remove_dir_all(folder).expect("the folder is ours");
    }

    /// The file that is tried tells a full disk from a folder that is missing.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_told_from_a_missing_folder() {
        // The link is removed, the device stays.
        let link = env::temp_dir().join(format!("xtask full {}", std::process::id()));
        std::os::unix::fs::symlink("/dev/full", &link).expect("it can be made");
        assert!(is_full(&link));
        assert!(!is_full(Path::new("/nowhere/at/all")));
    }
}
