//! The checks of the Python code: lints, types, and the one suite in every Python that the library supports.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::context::Context;
use super::counts;
use super::pytest::{self, Suite};
use super::report::Report;
use crate::process;
use crate::pyodide::Pyodide;
use crate::setup;
use crate::setup::node;

/// The number of round trips that the tests of leaks make in all, in the suite and in the part for them alone.
const TRIPS: (&str, &str, &str) = ("WORKERLIB_LEAK_TRIPS", "100000", "1000000");

/// Runs ruff, as linter and as formatter.
pub(super) fn lint(context: &Context<'_>) -> Result<Report> {
    let workspace = context.workspace;
    let mut all = Report::default();
    for action in [["check", "--no-cache"].as_slice(), &["format", "--no-cache", "--check", "--diff"]] {
        let mut ruff = Command::new(workspace.tool("ruff"));
        ruff.args(action).args(["workerlib-py/python", "tests", "packaging"]).current_dir(workspace.root());
        let run = process::capture(workspace, &format!("ruff-{}", action[0]), &mut ruff)?;
        all.add(Report::of(run.succeeded, format!("ruff {}", action[0]), run.output));
    }
    Ok(all)
}

/// Runs mypy on the package.
pub(super) fn types(context: &Context<'_>) -> Result<Report> {
    let workspace = context.workspace;
    let mut mypy = Command::new(workspace.python());
    mypy.args(["-m", "mypy", "--strict", "--config-file", "../pyproject.toml", "--cache-dir"]);
    mypy.arg(workspace.target().join("mypy")).args(["--package", "workerlib"]);
    let run = process::capture(workspace, "mypy", mypy.current_dir(workspace.package().join("python")))?;
    let summary = run.output.lines().last().unwrap_or_default().to_owned();
    Ok(Report::of(run.succeeded, format!("mypy --strict: {summary}"), run.output))
}

/// Checks that modules of the package import only what `pyproject.toml` lets their rooms import.
pub(super) fn arrows(context: &Context<'_>) -> Result<Report> {
    let workspace = context.workspace;
    let mut lint = Command::new(workspace.tool("lint-imports"));
    // The package is found in the folder where it runs: the source, not what is installed.
    lint.args(["../pyproject.toml", "--no-cache"]).current_dir(workspace.package().join("python"));
    let run = process::capture(workspace, "arrows", &mut lint)?;
    let summary = run.output.lines().last().unwrap_or_default().to_owned();
    Ok(Report::of(run.succeeded, format!("imports between rooms: {summary}"), run.output))
}

/// Compares the stub of the extension with the extension.
pub(super) fn stubs(context: &Context<'_>) -> Result<Report> {
    let workspace = context.workspace;
    let mut stubtest = Command::new(workspace.python());
    stubtest.args(["-m", "mypy.stubtest", "workerlib._native"]).current_dir(workspace.target());
    let run = process::capture(workspace, "stubtest", &mut stubtest)?;
    Ok(Report::of(run.succeeded, "the stub of workerlib._native against the native wheel", run.output))
}

/// Runs the suite against the native wheel.
pub(super) fn suite(context: &Context<'_>) -> Result<Report> {
    let (trips, few, _) = TRIPS;
    let mut pytest = pytest::command(context.workspace);
    pytest.env(trips, few);
    natively(context, pytest, "python", None, "tests against the native wheel")
}

/// Runs the tests of leaks with so many round trips that a leak in one of a hundred shows.
pub(super) fn leaks(context: &Context<'_>) -> Result<Report> {
    let (trips, _, many) = TRIPS;
    let mut pytest = pytest::command(context.workspace);
    pytest.env(trips, many);
    natively(context, pytest, "python", Some("test_leaks.py"), "tests of leaks, a million round trips")
}

/// Runs the tests of pandas with pandas 2: among the tools is pandas 3.
pub(super) fn suite_with_pandas_2(context: &Context<'_>) -> Result<Report> {
    setup::python::ensure_pandas_2(context.workspace)?;
    let mut all = Report::default();
    for file in ["test_pandas.py", "test_pandas_objects.py"] {
        let mut pytest = pytest::command(context.workspace);
        // It is searched before the packages of the virtual environment.
        pytest.env("PYTHONPATH", context.workspace.pandas_2());
        let run = format!("pandas-2-{}", file.trim_end_matches(".py"));
        let folder = context.workspace.tests("python");
        let what = format!("{file} with pandas 2");
        let suite = Suite { file: Some(file), ..Suite::native(context, &run, &folder, &what) };
        all.add(pytest::run(context, &suite, pytest)?);
    }
    Ok(all)
}

/// Runs the tests of workers that are subprocesses, the shared suite among them, against the native wheel.
pub(super) fn subprocesses(context: &Context<'_>) -> Result<Report> {
    setup::python::ensure_optional(context.workspace)?;
    let mut pytest = pytest::command(context.workspace);
    pytest.env("PYTHONPATH", context.workspace.optional());
    natively(context, pytest, "local", None, "tests of workers as subprocesses")
}

/// Checks that mypy, pyright and tsc know a worker by its interface, as it is installed for users.
pub(super) fn checkers(context: &Context<'_>) -> Result<Report> {
    let mut pytest = pytest::command(context.workspace);
    pytest.env("WORKERLIB_PYRIGHT", context.workspace.node_modules().join("pyright").join("index.js"));
    pytest.env("WORKERLIB_NODE_MODULES", context.workspace.node_modules());
    natively(context, pytest, "typing", None, "tests of an interface by mypy, pyright and tsc")
}

fn natively(
    context: &Context<'_>,
    pytest: Command,
    folder: &str,
    file: Option<&str>,
    what: &str,
) -> Result<Report> {
    let run = format!("pytest-{}", if file.is_some() { "leaks" } else { folder });
    let folder = context.workspace.tests(folder);
    let suite = Suite { file, ..Suite::native(context, &run, &folder, what) };
    pytest::run(context, &suite, pytest)
}

pub(super) fn suite_in_314(context: &Context<'_>) -> Result<Report> {
    // With what has compiled code, too: attrs and pydantic are tested there as they are natively.
    let wheels = [context.workspace.pure_wheels(), context.workspace.wheels_of_314()];
    suite_in(context, Pyodide::V314, &wheels)
}

pub(super) fn suite_in_029(context: &Context<'_>) -> Result<Report> {
    suite_in(context, Pyodide::V0_29, &[context.workspace.pure_wheels()])
}

/// Runs the suite inside a Pyodide under Node.
fn suite_in(context: &Context<'_>, pyodide: Pyodide, wheels: &[PathBuf]) -> Result<Report> {
    let workspace = context.workspace;
    let mut node = Command::new(node::find(workspace)?);
    let folders =
        env::join_paths(wheels).context("a folder's path has the character that separates paths")?;
    node.arg(workspace.tests("node").join("run.mjs")).arg(pyodide.folder(workspace)).arg(folders);
    node.arg(workspace.tests("python")).arg(pytest::records(workspace)).current_dir(workspace.target());
    let run = format!("pyodide-{pyodide}");
    // Where run.mjs puts the folders of the tests and the records in Pyodide's file system.
    let suite = Suite {
        run: &run,
        folder: Path::new("/tests/python"),
        sources: workspace.tests("python"),
        file: None,
        record: Path::new("/records").join(pytest::record_of(&run)),
        what: &format!("tests in Pyodide {pyodide} under Node"),
    };
    pytest::run(context, &suite, node)
}

/// Runs the shared suite in Pyodide under Node, over a worker that it spawns.
pub(super) fn spawn_in_node(context: &Context<'_>) -> Result<Report> {
    spawn_by(context, &node::find(context.workspace)?, "spawn-node", None)
}

/// Runs the tests of sync code that waits for a pool in a Node that has JSPI; npm has that Node for Linux on x64.
pub(super) fn spawn_in_node_with_jspi(context: &Context<'_>) -> Result<Report> {
    let Some(node) = node::with_jspi(context.workspace) else {
        return Ok(Report::of(true, "npm has no Node with JSPI for this system", String::new()));
    };
    spawn_by(context, &node, "node-jspi", Some("shared/blocking_pools.py"))
}

fn spawn_by(context: &Context<'_>, node: &Path, run: &str, file: Option<&str>) -> Result<Report> {
    let workspace = context.workspace;
    let mut node = Command::new(node);
    node.arg(workspace.tests("node").join("spawn.mjs")).arg(Pyodide::V314.folder(workspace));
    node.arg(workspace.root().join("tests")).arg(pytest::records(workspace));
    // A developer's own folder is not written to.
    node.env("XDG_CACHE_HOME", workspace.target().join("snapshots"));
    let suite = Suite {
        run,
        folder: Path::new("/tests"),
        sources: workspace.root().join("tests"),
        file,
        record: Path::new("/records").join(pytest::record_of(run)),
        what: "tests over a spawned worker under Node",
    };
    pytest::run(context, &suite, node)
}

/// Runs the visits in Pyodide 314; a plain run leaves out a file of something else, since the first visit has such an image, and
/// storage that takes nothing, since that is the browsers' tests.
pub(super) fn snapshots_in_314(context: &Context<'_>) -> Result<Report> {
    let visits = ["first", "second", "damaged", "foreign", "unwritable"];
    snapshots_in(context, Pyodide::V314, if context.is_full { &visits } else { &visits[..3] })
}

/// Runs those visits in Pyodide 0.29 that Pyodide can change: files of snapshots are read and written by Node.
pub(super) fn snapshots_in_029(context: &Context<'_>) -> Result<Report> {
    snapshots_in(context, Pyodide::V0_29, &["first", "second"])
}

/// Runs visits of the tests of workers that start from a memory snapshot, in a Pyodide under Node.
fn snapshots_in(context: &Context<'_>, pyodide: Pyodide, visits: &[&str]) -> Result<Report> {
    let workspace = context.workspace;
    let mut node = Command::new(node::find(workspace)?);
    node.arg(workspace.tests("node").join("snapshot.mjs")).arg(pyodide.folder(workspace));
    node.arg(workspace.root().join("tests"));
    node.arg(workspace.target().join("snapshots").join(pyodide.to_string()));
    node.args(visits).envs(context.environment());
    let log = format!("snapshot-{pyodide}");
    let run = process::capture_within(workspace, &log, &mut node, context.limit())?;
    let counts = counts::of_pytest(&run.output);
    let what = format!("tests of memory snapshots in Pyodide {pyodide} under Node");
    Ok(Report::of_counts(run.succeeded, &counts, &what, run.output))
}
