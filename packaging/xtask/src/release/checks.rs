//! Checks the files of a release by the tools of those who take them, without a network.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::process;
use crate::setup::{node, python};
use crate::stamp::files_under;
use crate::steps::Outcome;
use crate::workspace::{Workspace, program_of};

/// The variable that names the Python that runs pyodide-build.
pub(crate) const OVERRIDE: &str = "WORKERLIB_AUDIT_PYTHON";

/// The Pythons that can run pyodide-build, the newest first.
const PYTHONS: [&str; 3] = ["python3.14", "python3.13", "python3.12"];

/// Where managers of versions keep Pythons that are not on the PATH, below the home folder.
const MANAGERS: [&str; 2] = [".pyenv/versions", ".local/share/uv/python"];

/// Installs what checks the files.
pub(super) fn ensure_tools(workspace: &Workspace) -> Result<Outcome> {
    let found = python::find().context("Python 3.11 or later is missing")?;
    let requirements = workspace.packaging("release").join("requirements.txt");
    python::ensure_environment(workspace, &found, &venv(workspace), &requirements)?;
    node::ensure_release_packages(workspace)
}

fn venv(workspace: &Workspace) -> PathBuf {
    workspace.target().join("release-venv")
}

/// Checks what PyPI gets: that it takes the metadata and shows the description.
pub(super) fn pypi(workspace: &Workspace, target: &Path) -> Result<Outcome> {
    let mut twine = Command::new(program_of(&venv(workspace), "twine"));
    twine.args(["check", "--strict"]);
    for folder in ["pypi", "native"] {
        twine.args(files_under(&target.join(folder))?);
    }
    process::run(workspace, "release-twine", &mut twine)?;
    Ok(Outcome::Done)
}

/// Checks what npm gets: that Node, bundlers and TypeScript find all that package.json promises.
pub(super) fn npm(workspace: &Workspace, target: &Path) -> Result<Outcome> {
    let archives = files_under(&target.join("npm"))?;
    let archive = archives.first().context("npm made no archive")?;
    let mut publint = Command::new(node::release_program(workspace, "publint"));
    publint.arg("--strict").arg(archive);
    process::run(workspace, "release-publint", &mut publint)?;
    let mut attw = Command::new(node::release_program(workspace, "attw"));
    // The package is ECMAScript only; neither the wheel nor package.json is a module.
    attw.args(["--profile", "esm-only", "--no-emoji", "--no-color", "--exclude-entrypoints"]);
    attw.args(["./workerlib.whl", "--"]).arg(archive);
    process::run(workspace, "release-attw", &mut attw)?;
    Ok(Outcome::Done)
}

/// Finds a Python that can run pyodide-build.
///
/// # Errors
/// If the variable names something else.
pub(crate) fn python_for_audit() -> Result<Option<PathBuf>> {
    if let Some(named) = env::var_os(OVERRIDE) {
        return checked(PathBuf::from(named)).map(Some);
    }
    let home = env::home_dir().unwrap_or_default();
    let managed =
        || MANAGERS.iter().filter_map(|name| fs::read_dir(home.join(name)).ok()).flatten().flatten();
    Ok(PYTHONS.into_iter().find_map(|name| {
        let kept = managed().map(|version| version.path().join("bin").join(name));
        process::find_program(name).into_iter().chain(kept).find(|python| works(python))
    }))
}

/// Checks a Python that the user has named.
fn checked(named: PathBuf) -> Result<PathBuf> {
    if !works(&named) {
        bail!(
            "{OVERRIDE} names {}, which is not Python 3.12 or later with venv and ensurepip",
            named.display()
        );
    }
    Ok(named)
}

/// Whether a program is a Python that can run pyodide-build and make an environment: a manager's shim may stand for one that is not installed.
fn works(python: &Path) -> bool {
    let check = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))";
    python.is_file() && process::ask(Command::new(python).args(["-c", check])).is_some()
}

/// Audits wheels for Pyodide by Pyodide's own tool.
///
/// # Errors
/// If the tool cannot be installed, or finds something.
pub(crate) fn audit(workspace: &Workspace, wheels: &[PathBuf], python: &Path) -> Result<Outcome> {
    let venv = workspace.target().join("auditwheel-venv");
    let requirements = workspace.packaging("release").join("auditwheel.txt");
    python::ensure_environment(workspace, python, &venv, &requirements)?;
    let programs = program_of(&venv, "wheel").parent().map(Path::to_path_buf);
    let path: Vec<PathBuf> =
        programs.into_iter().chain(env::split_paths(&env::var_os("PATH").unwrap_or_default())).collect();
    let mut audits = 0;
    for wheel in wheels {
        for action in ["show", "exports"] {
            let mut audit = Command::new(program_of(&venv, "pyodide"));
            // It unpacks wheels by the program `wheel`, which it looks for on the PATH.
            audit.args(["auditwheel", action]).arg(wheel).env("PATH", env::join_paths(&path)?);
            let name = format!("release-audit-{action}");
            process::run(workspace, &name, &mut audit)?;
            audits += 1;
        }
    }
    Ok(Outcome::Note(format!("{audits} audits, in target/logs/release-audit-*")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A slip in the variable is told by its name and value, and not as a Python that is missing.
    #[test]
    fn a_named_python_that_does_not_work_is_refused() {
        let error = checked(PathBuf::from("no/python3.14")).expect_err("there is none").to_string();
        assert_eq!(
            error,
            "WORKERLIB_AUDIT_PYTHON names no/python3.14, which is not Python 3.12 or later with venv and ensurepip"
        );
    }
}
