//! The checks of the Rust code.

use anyhow::Result;

/// How many random schedules of two peers the session has to pass.
const SCHEDULES: &str = "3000000";

use super::{Report, counts};
use crate::process;
use crate::workspace::Workspace;

/// Checks the format.
pub(super) fn format(workspace: &Workspace) -> Result<Report> {
    let mut cargo = crate::cargo();
    let (succeeded, output) = process::capture(
        workspace,
        "rustfmt",
        cargo.args(["fmt", "--all", "--check"]).current_dir(workspace.root()),
    )?;
    Ok(Report::of(succeeded, "cargo fmt --check", output))
}

/// Runs clippy on everything, with warnings denied.
pub(super) fn lint(workspace: &Workspace) -> Result<Report> {
    let mut cargo = crate::cargo();
    cargo.args(["clippy", "--quiet", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    let (succeeded, output) = process::capture(workspace, "clippy", cargo.current_dir(workspace.root()))?;
    Ok(Report::of(succeeded, "cargo clippy -D warnings, all crates and targets", output))
}

/// Runs the unit tests, property tests and documentation tests of all crates.
pub(super) fn test(workspace: &Workspace) -> Result<Report> {
    let mut cargo = crate::cargo();
    cargo.args(["test", "--locked", "--workspace", "--no-fail-fast"]);
    let (succeeded, output) = process::capture(workspace, "cargo-test", cargo.current_dir(workspace.root()))?;
    let counts = counts::of_cargo(&output);
    Ok(super::of_counts(succeeded, &counts, "tests of all crates", output))
}

/// Runs the session's model through random schedules, as many as take optimised code to be run.
pub(super) fn session_model(workspace: &Workspace) -> Result<Report> {
    let mut cargo = crate::cargo();
    cargo.args(["test", "--release", "--locked", "--package=workerlib-core", "--test=schedules"]);
    cargo.args(["--", "--nocapture"]).env("WORKERLIB_SCHEDULES", SCHEDULES).current_dir(workspace.root());
    let (succeeded, output) = process::capture(workspace, "session-model", &mut cargo)?;
    let counts = counts::of_cargo(&output);
    let run = output.lines().find_map(|line| line.split_once("schedules run: "));
    let what = run.map_or("tests, of which none told its schedules".to_owned(), |(_, told)| {
        format!("tests, schedules run: {told}")
    });
    Ok(super::of_counts(succeeded && run.is_some(), &counts, &what, output))
}
