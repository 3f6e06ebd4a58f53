//! The checks of the npm package's JavaScript: types and lints.

use anyhow::Result;

use super::context::Context;
use super::report::Report;
use crate::javascript;
use crate::process;

/// Runs `tsc --strict` and eslint on the sources of the npm package.
pub(super) fn check(context: &Context<'_>) -> Result<Report> {
    let workspace = context.workspace;
    let staged = javascript::stage(workspace, workspace, "checked")?;
    let mut all = Report::default();
    for (name, arguments) in
        [("tsc", ["--project", ".", "--noEmit"].as_slice()), ("eslint", &["--max-warnings=0", "."])]
    {
        let mut tool = javascript::tool(workspace, name);
        tool.args(arguments).current_dir(&staged);
        let run = process::capture(workspace, &format!("javascript-{name}"), &mut tool)?;
        all.add(Report::of(run.succeeded, name, run.output));
    }
    Ok(all)
}
