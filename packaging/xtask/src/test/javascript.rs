//! The checks of the JavaScript: types and lints.

use anyhow::Result;

use super::Report;
use crate::javascript;
use crate::process;
use crate::workspace::Workspace;

/// Runs `tsc --strict` and eslint on the sources of the npm package.
pub(super) fn check(workspace: &Workspace) -> Result<Report> {
    let staged = javascript::stage(workspace, workspace)?;
    let mut all = true;
    let mut text = String::new();
    for (name, arguments) in
        [("tsc", ["--project", ".", "--noEmit"].as_slice()), ("eslint", &["--max-warnings=0", "."])]
    {
        let mut tool = javascript::tool(workspace, name);
        let (succeeded, output) =
            process::capture(workspace, name, tool.args(arguments).current_dir(&staged))?;
        all &= succeeded;
        text.push_str(&output);
    }
    Ok(Report::of(all, "tsc --strict, eslint", text))
}
