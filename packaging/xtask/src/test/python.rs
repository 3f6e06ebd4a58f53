//! The checks of the Python code: lints, types, and the one suite in every Python that the library supports.

use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{Report, counts};
use crate::process;
use crate::pyodide::Pyodide;
use crate::setup::node;
use crate::workspace::Workspace;

/// The longest that the suite may take in one Python.
const LIMIT: Duration = Duration::from_secs(420);

/// Runs ruff, as linter and as formatter.
pub(super) fn lint(workspace: &Workspace) -> Result<Report> {
    let mut all = true;
    let mut text = String::new();
    for action in [["check", "--no-cache"].as_slice(), &["format", "--no-cache", "--check", "--diff"]] {
        let mut ruff = Command::new(workspace.tool("ruff"));
        ruff.args(action).args(["workerlib-py/python", "tests", "packaging"]).current_dir(workspace.root());
        let (succeeded, output) = process::capture(workspace, &format!("ruff-{}", action[0]), &mut ruff)?;
        all &= succeeded;
        text.push_str(&output);
    }
    Ok(Report::of(all, "ruff check, ruff format --check", text))
}

/// Runs mypy on the package.
pub(super) fn types(workspace: &Workspace) -> Result<Report> {
    let mut mypy = Command::new(workspace.python());
    mypy.args(["-m", "mypy", "--strict", "--config-file", "../pyproject.toml", "--cache-dir"]);
    mypy.arg(workspace.target().join("mypy")).args(["--package", "workerlib"]);
    let (succeeded, output) =
        process::capture(workspace, "mypy", mypy.current_dir(workspace.package().join("python")))?;
    let summary = output.lines().last().unwrap_or_default().to_owned();
    Ok(Report::of(succeeded, format!("mypy --strict: {summary}"), output))
}

/// Checks that modules of the package import only what `pyproject.toml` lets their rooms import.
pub(super) fn arrows(workspace: &Workspace) -> Result<Report> {
    let mut lint = Command::new(workspace.tool("lint-imports"));
    // The package is found in the folder where it runs: the source, not what is installed.
    lint.args(["../pyproject.toml", "--no-cache"]).current_dir(workspace.package().join("python"));
    let (succeeded, output) = process::capture(workspace, "arrows", &mut lint)?;
    let summary = output.lines().last().unwrap_or_default().to_owned();
    Ok(Report::of(succeeded, format!("imports between rooms: {summary}"), output))
}

/// Compares the stub of the extension with the extension.
pub(super) fn stubs(workspace: &Workspace) -> Result<Report> {
    let mut stubtest = Command::new(workspace.python());
    stubtest.args(["-m", "mypy.stubtest", "workerlib._native"]).current_dir(workspace.target());
    let (succeeded, output) = process::capture(workspace, "stubtest", &mut stubtest)?;
    Ok(Report::of(succeeded, "the stub of workerlib._native against the native wheel", output))
}

/// Runs the suite against the native wheel.
pub(super) fn suite(workspace: &Workspace) -> Result<Report> {
    natively(workspace, "python", "tests against the native wheel")
}

/// Runs the tests of workers that are subprocesses, the shared suite among them, against the native wheel.
pub(super) fn subprocesses(workspace: &Workspace) -> Result<Report> {
    natively(workspace, "local", "tests of workers as subprocesses")
}

/// Checks that mypy and pyright know a worker by its interface, as it is installed for users.
pub(super) fn checkers(workspace: &Workspace) -> Result<Report> {
    let mut pytest = pytest(workspace);
    pytest.env("WORKERLIB_PYRIGHT", workspace.node_modules().join("pyright").join("index.js"));
    run_natively(workspace, pytest, "typing", "tests of an interface by mypy and pyright")
}

fn natively(workspace: &Workspace, folder: &str, what: &str) -> Result<Report> {
    run_natively(workspace, pytest(workspace), folder, what)
}

fn run_natively(workspace: &Workspace, mut pytest: Command, folder: &str, what: &str) -> Result<Report> {
    pytest.arg(workspace.tests(folder));
    let (succeeded, output) =
        process::capture_within(workspace, &format!("pytest-{folder}"), &mut pytest, LIMIT)?;
    Ok(super::of_counts(succeeded, &counts::of_pytest(&output), what, output))
}

/// Makes the command that runs pytest where it finds no source tree and leaves nothing behind.
pub(super) fn pytest(workspace: &Workspace) -> Command {
    pytest_by(workspace, Command::new(workspace.python()))
}

/// Does the same with a Python that runs in some way of its own.
pub(crate) fn pytest_by(workspace: &Workspace, mut pytest: Command) -> Command {
    pytest.args(["-m", "pytest", "--color=no", "-q"]).current_dir(workspace.target());
    pytest.env("PYTHONDONTWRITEBYTECODE", "1");
    pytest.env("HYPOTHESIS_STORAGE_DIRECTORY", workspace.target().join("hypothesis"));
    pytest
}

pub(super) fn suite_in_314(workspace: &Workspace) -> Result<Report> {
    // With what has compiled code, too: attrs and pydantic are tested there as they are natively.
    suite_in(workspace, Pyodide::V314, &[workspace.pure_wheels(), workspace.wheels_of_314()])
}

pub(super) fn suite_in_029(workspace: &Workspace) -> Result<Report> {
    suite_in(workspace, Pyodide::V0_29, &[workspace.pure_wheels()])
}

/// Runs the suite inside a Pyodide under Node.
fn suite_in(workspace: &Workspace, pyodide: Pyodide, wheels: &[PathBuf]) -> Result<Report> {
    let mut node = Command::new(node::find().context("Node is missing")?);
    let folders = env::join_paths(wheels).context("a folder of wheels has a colon in its name")?;
    node.arg(workspace.tests("node").join("run.mjs")).arg(pyodide.folder(workspace)).arg(folders);
    node.arg(workspace.tests("python")).args(["--color=no", "-q"]).current_dir(workspace.target());
    let (succeeded, output) =
        process::capture_within(workspace, &format!("pyodide-{pyodide}"), &mut node, LIMIT)?;
    let counts = counts::of_pytest(&output);
    Ok(super::of_counts(succeeded, &counts, &format!("tests in Pyodide {pyodide} under Node"), output))
}

/// Runs the shared suite in Pyodide under Node, over a worker that it spawns.
pub(super) fn spawn_in_node(workspace: &Workspace) -> Result<Report> {
    let mut node = Command::new(node::find().context("Node is missing")?);
    node.arg(workspace.tests("node").join("spawn.mjs")).arg(Pyodide::V314.folder(workspace));
    node.arg(workspace.root().join("tests"));
    let (succeeded, output) = process::capture_within(workspace, "spawn-node", &mut node, LIMIT)?;
    let counts = counts::of_pytest(&output);
    Ok(super::of_counts(succeeded, &counts, "tests over a spawned worker under Node", output))
}
