//! The checks of the Rust code: the library's crates, and this program, which is a workspace of its own.

use std::process::Command;

use anyhow::Result;

use super::context::Context;
use super::counts;
use super::report::Report;
use crate::process;
use crate::release::CRATES;
use crate::workspace::Workspace;

/// The number of random schedules of two peers that the session has to pass, in a plain run and in a full one.
const SCHEDULES: (&str, &str) = ("500000", "3000000");

/// The workspaces: how they are called in messages and logs, and what follows a command of cargo's for them.
fn workspaces(workspace: &Workspace) -> [(&'static str, Vec<String>); 2] {
    let manifest = workspace.packaging("xtask").join("Cargo.toml").display().to_string();
    [("library", Vec::new()), ("xtask", vec!["--manifest-path".to_owned(), manifest])]
}

/// Makes a command of cargo's for a workspace, which builds into a folder of its own.
fn cargo(workspace: &Workspace, name: &str, command: &[&str], place: &[String]) -> Command {
    let mut cargo = process::cargo();
    cargo.args(command).args(place).current_dir(workspace.root());
    if name == "xtask" {
        cargo.env("CARGO_TARGET_DIR", workspace.target().join("xtask"));
    }
    cargo
}

/// Checks the format.
pub(super) fn format(context: &Context<'_>) -> Result<Report> {
    let workspace = context.workspace;
    let mut all = Report::default();
    for (name, place) in workspaces(workspace) {
        let mut cargo = cargo(workspace, name, &["fmt", "--all", "--check"], &place);
        let run = process::capture(workspace, &format!("rustfmt-{name}"), &mut cargo)?;
        all.add(Report::of(run.succeeded, format!("cargo fmt --check, {name}"), run.output));
    }
    Ok(all)
}

/// Runs clippy on everything, with warnings denied.
pub(super) fn lint(context: &Context<'_>) -> Result<Report> {
    let workspace = context.workspace;
    let mut all = Report::default();
    for (name, place) in workspaces(workspace) {
        let mut cargo = cargo(
            workspace,
            name,
            &["clippy", "--quiet", "--locked", "--workspace", "--all-targets"],
            &place,
        );
        cargo.args(["--", "-D", "warnings"]);
        let run = process::capture(workspace, &format!("clippy-{name}"), &mut cargo)?;
        all.add(Report::of(run.succeeded, format!("cargo clippy -D warnings, {name}"), run.output));
    }
    Ok(all)
}

/// Runs the unit tests, property tests and documentation tests of all crates.
pub(super) fn test(context: &Context<'_>) -> Result<Report> {
    let workspace = context.workspace;
    let mut all = Report::default();
    for (name, place) in workspaces(workspace) {
        let mut cargo =
            cargo(workspace, name, &["test", "--locked", "--workspace", "--no-fail-fast"], &place);
        let run = process::capture(workspace, &format!("cargo-test-{name}"), &mut cargo)?;
        all.add(Report::of_counts(
            run.succeeded,
            &counts::of_cargo(&run.output),
            &format!("tests of the {name}"),
            run.output,
        ));
    }
    if all.failed == 0 {
        all.output.clear();
    }
    Ok(all)
}

/// Packs the crates that others can depend on, and builds each from its package alone, without a network.
pub(super) fn crates(context: &Context<'_>) -> Result<Report> {
    let workspace = context.workspace;
    // In a fresh clone this may be the first part that needs the dependencies.
    let mut fetch = process::cargo();
    fetch.args(["fetch", "--quiet", "--locked"]).current_dir(workspace.root());
    process::run(workspace, "crates-fetched", &mut fetch)?;
    let mut cargo = process::cargo();
    cargo.args(["package", "--quiet", "--locked", "--offline", "--allow-dirty"]);
    for package in CRATES {
        cargo.args(["--package", package]);
    }
    let run = process::capture(workspace, "crates", cargo.current_dir(workspace.root()))?;
    Ok(Report::of(run.succeeded, format!("cargo package: {}", CRATES.join(", ")), run.output))
}

/// Runs the session's model through random schedules, as many as take optimised code to be run.
pub(super) fn session_model(context: &Context<'_>) -> Result<Report> {
    let workspace = context.workspace;
    let schedules = if context.is_full { SCHEDULES.1 } else { SCHEDULES.0 };
    let mut cargo = process::cargo();
    cargo.args([
        "test",
        "--profile=model",
        "--locked",
        "--package=workerlib-core",
        "--test=schedules",
        "--test=reference_schedules",
    ]);
    cargo.args(["--", "--nocapture"]).env("WORKERLIB_SCHEDULES", schedules).current_dir(workspace.root());
    let run = process::capture(workspace, "session-model", &mut cargo)?;
    let schedules = run.output.lines().find_map(|line| line.split_once("schedules run: "));
    let what = schedules.map_or("tests, of which none told its schedules".to_owned(), |(_, told)| {
        format!("tests, schedules run: {told}")
    });
    Ok(Report::of_counts(
        run.succeeded && schedules.is_some(),
        &counts::of_cargo(&run.output),
        &what,
        run.output,
    ))
}
