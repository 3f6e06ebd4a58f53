//! The npm packages that the site and the tests under Node are made of, in `target/npm`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;
use crate::stamp::{self, Fingerprint};
use crate::steps::Outcome;
use crate::workspace::{Workspace, program_in};

/// Finds Node, if it is new enough to run Pyodide.
pub(crate) fn find() -> Option<PathBuf> {
    let node = process::find_program("node")?;
    let version = process::ask(Command::new(&node).arg("--version"))?;
    let major: u32 = version.trim_start_matches('v').split('.').next()?.parse().ok()?;
    (major >= 18).then_some(node)
}

/// Reads the version of an installed package.
///
/// # Errors
/// If it is not installed.
pub(crate) fn version_of(package: &Path) -> Result<String> {
    let file = package.join("package.json");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let package: serde_json::Value =
        serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))?;
    let version = package.get("version").and_then(serde_json::Value::as_str);
    version.map(str::to_owned).with_context(|| format!("{} has no version", file.display()))
}

/// Installs the packages of `packaging/npm/package-lock.json`.
///
/// # Errors
/// If npm fails.
pub(crate) fn ensure_packages(workspace: &Workspace) -> Result<Outcome> {
    ensure(workspace, &workspace.packaging("npm"), &workspace.target().join("npm"))
}

/// Installs what checks a release and the workflows: the packages of `packaging/release/package-lock.json`.
///
/// # Errors
/// If npm fails.
pub(crate) fn ensure_release_packages(workspace: &Workspace) -> Result<Outcome> {
    ensure(workspace, &workspace.packaging("release"), &release_folder(workspace))
}

/// A program of the packages that check a release.
pub(crate) fn release_program(workspace: &Workspace, name: &str) -> PathBuf {
    program_in(&release_folder(workspace).join("node_modules"), name)
}

/// The folder of one of these packages.
pub(crate) fn release_package(workspace: &Workspace, name: &str) -> PathBuf {
    release_folder(workspace).join("node_modules").join(name)
}

fn release_folder(workspace: &Workspace) -> PathBuf {
    workspace.target().join("npm-release")
}

/// Installs the packages of the lock file in `source` into `folder`.
fn ensure(workspace: &Workspace, source: &Path, folder: &Path) -> Result<Outcome> {
    let packages = folder.join("node_modules");
    let fingerprint = Fingerprint::new().path(&source.join("package-lock.json"))?.finish();
    if stamp::is_fresh(&packages, &fingerprint) {
        return Ok(Outcome::Unchanged);
    }
    fs::create_dir_all(folder)?;
    stamp::clear(&packages);
    for name in ["package.json", "package-lock.json", ".npmrc"] {
        fs::copy(source.join(name), folder.join(name))
            .with_context(|| format!("cannot copy {}", source.join(name).display()))?;
    }
    let npm = process::find_program("npm").context("npm is missing")?;
    process::run(workspace, "npm", Command::new(npm).args(["ci", "--no-progress"]).current_dir(folder))?;
    stamp::set(&packages, &fingerprint)?;
    Ok(Outcome::Done)
}
