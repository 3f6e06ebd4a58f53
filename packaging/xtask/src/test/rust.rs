//! The checks of the Rust code.

use anyhow::Result;

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
