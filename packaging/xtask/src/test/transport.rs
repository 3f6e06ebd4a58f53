//! The checks of the JavaScript that carries messages, of the pages' pools and of snapshots: lints, types, and their tests under Node.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::context::Context;
use super::report::Report;
use crate::javascript;
use crate::process;
use crate::setup::node;

/// The number of messages of a hostile peer that are tried, in a plain run and in a full one. They are the same in each run.
const MESSAGES: (&str, &str) = ("4000", "20000");

/// Runs eslint, the type checker and the tests.
pub(super) fn check(context: &Context<'_>) -> Result<Report> {
    let workspace = context.workspace;
    let tests = workspace.tests("javascript");
    let tool = |name: &str| {
        let mut tool = javascript::tool(workspace, name);
        // The lints' configuration lies where there are no packages.
        tool.env("NODE_PATH", workspace.node_modules()).current_dir(workspace.root());
        tool
    };
    let mut eslint = tool("eslint");
    eslint.args(["--max-warnings=0", "--config"]).arg(tests.join("eslint.config.cjs"));
    eslint.args(["workerlib-py/python/workerlib/_channels", "benches/browser", "tests/javascript"]);
    let mut tsc = tool("tsc");
    tsc.arg("--project").arg(&tests);
    let mut node = Command::new(node::find(workspace)?);
    node.arg("--test").args(test_files(&tests)?);
    node.env("FUZZ_MESSAGES", if context.is_full { MESSAGES.1 } else { MESSAGES.0 });
    node.env("WORKERLIB_NODE_MODULES", workspace.node_modules()).current_dir(workspace.root());
    let mut all = Report::default();
    for (name, command) in [("eslint", &mut eslint), ("tsc", &mut tsc), ("node --test", &mut node)] {
        let log = format!("transport-{}", name.replace(' ', ""));
        let run =
            process::capture_within(workspace, &log, command.envs(context.environment()), context.limit())?;
        let output = if run.succeeded { String::new() } else { run.output };
        all.add(Report::of(run.succeeded, name, output));
    }
    Ok(all)
}

/// Lists the test files of a folder: a new one needs no entry anywhere.
fn test_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(".test.mjs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
