//! The Python tools in `target/venv`, and the pure wheels of others that are installed in Pyodide.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;
use crate::stamp::{self, Fingerprint};
use crate::steps::Outcome;
use crate::workspace::{Workspace, python_of};

/// The variable that names the Python to use.
pub(crate) const OVERRIDE: &str = "WORKERLIB_PYTHON";

/// Finds a Python that can make the virtual environment: 3.11 or later, with `venv` and `ensurepip`.
pub(crate) fn find() -> Option<PathBuf> {
    let names = ["python3", "python3.11", "python3.12", "python3.13", "python3.14", "python"];
    let named = std::env::var_os(OVERRIDE).map(PathBuf::from);
    let candidates: Vec<PathBuf> = match named {
        Some(python) => vec![python],
        None => names
            .into_iter()
            .filter_map(process::find_program)
            .chain([PathBuf::from("/usr/bin/python3")])
            .collect(),
    };
    candidates.into_iter().find(|python| {
        let check = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))";
        process::ask(Command::new(python).args(["-c", check])).is_some()
    })
}

/// Installs the tools of `packaging/python/requirements.txt`.
///
/// # Errors
/// If there is no Python, or pip fails.
pub(crate) fn ensure_tools(workspace: &Workspace) -> Result<Outcome> {
    let python = find().context("Python 3.11 or later is missing")?;
    let requirements = workspace.packaging("python").join("requirements.txt");
    ensure_environment(workspace, &python, &workspace.venv(), &requirements)
}

/// Installs the builder of the documentation site in an environment of its own: only `cargo xtask docs` has use for it.
///
/// # Errors
/// If there is no Python, or pip fails.
pub(crate) fn ensure_docs_tools(workspace: &Workspace) -> Result<Outcome> {
    let python = find().context("Python 3.11 or later is missing")?;
    let requirements = workspace.packaging("docs").join("requirements.txt");
    ensure_environment(workspace, &python, &workspace.docs_venv(), &requirements)
}

/// Makes the virtual environment `venv` of `python`, and installs the locked `requirements` there.
///
/// # Errors
/// If Python or pip fails.
pub(crate) fn ensure_environment(
    workspace: &Workspace,
    python: &Path,
    venv: &Path,
    requirements: &Path,
) -> Result<Outcome> {
    let version =
        process::ask(Command::new(python).args(["-c", "import sys; print(sys.version)"])).unwrap_or_default();
    let fingerprint =
        Fingerprint::new().text(&python.to_string_lossy()).text(&version).path(requirements)?.finish();
    if stamp::is_fresh(venv, &fingerprint) {
        return Ok(Outcome::Unchanged);
    }
    stamp::clear(venv);
    let name = venv.file_name().unwrap_or_default().to_string_lossy();
    process::run(
        workspace,
        &format!("{name}-made"),
        Command::new(python).args(["-m", "venv", "--clear"]).arg(venv),
    )?;
    let mut pip = pip_of(&python_of(venv));
    pip.args(["install", "--no-compile", "--require-hashes", "--only-binary=:all:", "-r"]).arg(requirements);
    process::run(workspace, &format!("{name}-filled"), &mut pip)?;
    stamp::set(venv, &fingerprint)?;
    Ok(Outcome::Done)
}

/// Installs pandas 2 into a folder of its own, which a Python searches before the tools, where pandas 3 is.
///
/// # Errors
/// If pip fails.
pub(crate) fn ensure_pandas_2(workspace: &Workspace) -> Result<Outcome> {
    ensure_beside(workspace, "pandas-2.txt", &workspace.pandas_2())
}

/// Installs libraries that users have and the package does not need.
///
/// # Errors
/// If pip fails.
pub(crate) fn ensure_optional(workspace: &Workspace) -> Result<Outcome> {
    ensure_beside(workspace, "optional.txt", &workspace.optional())
}

/// Installs locked packages into a folder of their own.
fn ensure_beside(workspace: &Workspace, requirements: &str, folder: &Path) -> Result<Outcome> {
    let requirements = workspace.packaging("python").join(requirements);
    let fingerprint = Fingerprint::new().path(&workspace.python())?.path(&requirements)?.finish();
    ensure_folder(folder, &fingerprint, || {
        let mut pip = pip(workspace);
        pip.args(["install", "--no-compile", "--require-hashes", "--only-binary=:all:", "--target"]);
        process::run(workspace, "pip-beside", pip.arg(folder).arg("-r").arg(&requirements))
    })
}

/// Fills a folder anew if it was made from other inputs than those of this fingerprint.
fn ensure_folder(folder: &Path, fingerprint: &str, fill: impl FnOnce() -> Result<String>) -> Result<Outcome> {
    if stamp::is_fresh(folder, fingerprint) {
        return Ok(Outcome::Unchanged);
    }
    stamp::clear(folder);
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fill()?;
    stamp::set(folder, fingerprint)?;
    Ok(Outcome::Done)
}

/// Installs the native wheel of the library, `library`, among the tools.
///
/// # Errors
/// If pip fails.
pub(crate) fn ensure_library(workspace: &Workspace, library: &Path) -> Result<Outcome> {
    let mark = workspace.venv().join("workerlib");
    let fingerprint = Fingerprint::new().path(library)?.finish();
    if stamp::is_fresh(&mark, &fingerprint) {
        return Ok(Outcome::Unchanged);
    }
    stamp::clear(&mark);
    let mut pip = pip(workspace);
    // The version stays while the content changes, so pip has to be told to install it again.
    pip.args(["install", "--no-compile", "--no-index", "--no-deps", "--force-reinstall"]);
    process::run(workspace, "pip-workerlib", pip.arg(library))?;
    fs::write(&mark, "").with_context(|| format!("cannot write {}", mark.display()))?;
    stamp::set(&mark, &fingerprint)?;
    Ok(Outcome::Done)
}

/// Fetches the wheels of `packaging/python/pyodide.txt`, `pyodide-dask.txt` and `pyodide-314.txt`, and builds those of
/// `pyodide-sources.txt`.
///
/// # Errors
/// If pip fails.
pub(crate) fn ensure_pyodide_wheels(workspace: &Workspace) -> Result<Outcome> {
    // They are for Pyodide's Python, not for the one that fetches them.
    let pure = ["--python-version", "3.13"];
    let compiled = [
        ["--python-version", "3.14"],
        ["--abi", "cp314"],
        ["--platform", "pyemscripten_2026_0_wasm32"],
        ["--implementation", "cp"],
    ];
    let outcomes = [
        fetch_wheels(workspace, "pyodide.txt", &workspace.pure_wheels(), &pure)?,
        fetch_wheels(workspace, "pyodide-314.txt", &workspace.wheels_of_314(), &compiled.concat())?,
        fetch_wheels(workspace, "pyodide-dask.txt", &workspace.dask_wheels(), &pure)?,
        build_wheels(workspace, "pyodide-sources.txt", &workspace.built_wheels())?,
    ];
    Ok(if outcomes.iter().all(|outcome| matches!(outcome, Outcome::Unchanged)) {
        Outcome::Unchanged
    } else {
        Outcome::Done
    })
}

/// Builds pure wheels from sources whose C libraries are optional.
fn build_wheels(workspace: &Workspace, list: &str, folder: &Path) -> Result<Outcome> {
    let requirements = workspace.packaging("python").join(list);
    let builder = workspace.packaging("python").join("builder.txt");
    let fingerprint = Fingerprint::new().path(&requirements)?.path(&builder)?.finish();
    ensure_folder(folder, &fingerprint, || {
        ensure_beside(workspace, "builder.txt", &workspace.builder())?;
        let mut pip = pip(workspace);
        pip.args(["wheel", "--no-deps", "--require-hashes", "--no-binary=:all:", "--no-build-isolation"]);
        // PyYAML is pure Python without its libyaml.
        pip.envs([("PYYAML_FORCE_CYTHON", "0"), ("PYYAML_FORCE_LIBYAML", "0")]);
        pip.env("PYTHONPATH", workspace.builder());
        process::run(workspace, "pip-built", pip.arg("-r").arg(&requirements).arg("-w").arg(folder))
    })
}

fn fetch_wheels(workspace: &Workspace, list: &str, folder: &Path, options: &[&str]) -> Result<Outcome> {
    let requirements = workspace.packaging("python").join(list);
    let fingerprint = Fingerprint::new().path(&requirements)?.finish();
    ensure_folder(folder, &fingerprint, || {
        let mut pip = pip(workspace);
        pip.args(["download", "--no-deps", "--require-hashes", "--only-binary=:all:"]).args(options);
        process::run(workspace, "pip-pyodide", pip.arg("-r").arg(&requirements).arg("-d").arg(folder))
    })
}

/// Makes the command of pip. It compiles nothing that it installs: few of the modules are ever imported (`Workspace::bytecode`).
fn pip(workspace: &Workspace) -> Command {
    pip_of(&workspace.python())
}

fn pip_of(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.args(["-m", "pip", "--disable-pip-version-check", "--no-input"]);
    command
}
