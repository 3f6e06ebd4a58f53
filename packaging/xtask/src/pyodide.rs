//! The supported Pyodides, and for each a folder in `target/pyodide` whose lock file knows the library.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::folder;
use crate::process;
use crate::stamp::{self, Fingerprint};
use crate::steps::Outcome;
use crate::wheel::{self, Kind};
use crate::workspace::Workspace;

/// A Pyodide that the library supports.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Pyodide {
    V0_29,
    V314,
    V315,
}

impl Pyodide {
    pub(crate) const ALL: [Self; 3] = [Self::V0_29, Self::V314, Self::V315];

    /// Finds the Pyodide of a version, given as `314` or in full.
    ///
    /// # Errors
    /// If it is none of those in `packaging/npm/package.json`.
    pub(crate) fn parse(workspace: &Workspace, version: &str) -> Result<Self> {
        let versions = Self::ALL.map(|pyodide| (pyodide, pyodide.version(workspace)));
        for (pyodide, exact) in &versions {
            if version == pyodide.to_string() || exact.as_ref().is_ok_and(|exact| exact == version) {
                return Ok(*pyodide);
            }
        }
        let known: Vec<String> = versions
            .into_iter()
            .map(|(name, exact)| format!("{name} ({})", exact.unwrap_or_default()))
            .collect();
        bail!(
            "Pyodide {version} is not among those that packaging/npm/package.json names: {}",
            known.join(", ")
        )
    }

    /// Tells the version in full, from `packaging/npm/package.json`.
    fn version(self, workspace: &Workspace) -> Result<String> {
        let file = workspace.packaging("npm").join("package.json");
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let package: serde_json::Value =
            serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))?;
        let entry = package
            .pointer(&format!("/dependencies/{}", self.npm_name()))
            .and_then(serde_json::Value::as_str);
        Ok(entry.and_then(|entry| entry.strip_prefix("npm:pyodide@")).unwrap_or_default().to_owned())
    }

    fn npm_name(self) -> &'static str {
        match self {
            Self::V0_29 => "pyodide-029",
            Self::V314 => "pyodide-314",
            Self::V315 => "pyodide-315",
        }
    }

    /// The folder whose lock file knows the library.
    pub(crate) fn folder(self, workspace: &Workspace) -> PathBuf {
        workspace.target().join("pyodide").join(self.to_string())
    }
}

impl fmt::Display for Pyodide {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::V0_29 => "0.29",
            Self::V314 => "314",
            Self::V315 => "315",
        })
    }
}

/// The wheels among those of the tests that the lock file names: a page with `index_urls` needs micropip.
const LOCKED: [&str; 2] = ["micropip-", "packaging-"];

/// Copies a Pyodide and puts into its lock file the library, micropip, packaging, dask, and what dask needs.
///
/// # Errors
/// If one of the parts is missing, or the lock file cannot be amended.
pub(crate) fn assemble(workspace: &Workspace, pyodide: Pyodide) -> Result<Outcome> {
    let target = pyodide.folder(workspace);
    let source = workspace.node_modules().join(pyodide.npm_name());
    let library = wheel::find(workspace, Kind::Wasm)?;
    let script = workspace.packaging("python").join("amend_lock.py");
    let fingerprint = Fingerprint::new()
        .path(&workspace.packaging("npm").join("package-lock.json"))?
        .path(&workspace.packaging("python").join("pyodide.txt"))?
        .path(&workspace.packaging("python").join("pyodide-dask.txt"))?
        .path(&workspace.packaging("python").join("pyodide-sources.txt"))?
        .path(&script)?
        .path(&library)?
        .finish();
    if stamp::is_fresh(&target, &fingerprint) {
        return Ok(Outcome::Unchanged);
    }
    stamp::clear(&target);
    folder::empty(&target)?;
    folder::copy(&source, &target)?;
    let pure = stamp::files_under(&workspace.pure_wheels())?;
    let dask = [workspace.dask_wheels(), workspace.built_wheels()];
    let locked = |file: &Path| {
        LOCKED
            .iter()
            .any(|start| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with(start)))
    };
    let mut wheels = vec![library];
    wheels.extend(pure.into_iter().filter(|file| locked(file)));
    for folder in dask {
        wheels.extend(stamp::files_under(&folder)?);
    }
    let mut amend = Command::new(workspace.python());
    amend.arg(script).arg(target.join("pyodide-lock.json"));
    for wheel in wheels {
        let copy = target.join(wheel.file_name().context("a wheel has a name")?);
        folder::copy_file(&wheel, &copy)?;
        amend.arg(copy);
    }
    process::run(workspace, &format!("lock-{pyodide}"), &mut amend)?;
    stamp::set(&target, &fingerprint)?;
    Ok(Outcome::Done)
}
