//! Finds the Chromium that the demo and the browser tests drive.

use std::env;
use std::path::PathBuf;

use crate::process::find_program;

/// The variable that names the browser.
pub(crate) const OVERRIDE: &str = "CHROMIUM";

/// Finds a Chromium, or a Chrome.
pub(crate) fn find() -> Option<PathBuf> {
    if let Some(path) = env::var_os(OVERRIDE) {
        return Some(PathBuf::from(path)).filter(|path| path.is_file());
    }
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let applications = [
        "/usr/bin/chromium",
        "/Applications/Chromium.app/Contents/MacOS/Chromium",
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    ];
    names
        .into_iter()
        .find_map(find_program)
        .or_else(|| applications.into_iter().map(PathBuf::from).find(|path| path.is_file()))
}
