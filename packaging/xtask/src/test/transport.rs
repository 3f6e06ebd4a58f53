//! The checks of the JavaScript that carries messages: lints, types, and its own tests under Node.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::Report;
use crate::process;
use crate::setup::node;
use crate::workspace::Workspace;

/// The longest that the tests may take.
const LIMIT: Duration = Duration::from_secs(120);

/// Runs eslint, the type checker and the tests.
pub(super) fn check(workspace: &Workspace) -> Result<Report> {
    let tests = workspace.tests("javascript");
    let modules = workspace.node_modules();
    let tool = |name: &str| {
        let mut tool = Command::new(modules.join(".bin").join(name));
        // The lints' configuration lies where there are no packages.
        tool.env("NODE_PATH", &modules).current_dir(workspace.root());
        tool
    };
    let mut eslint = tool("eslint");
    eslint.args(["--max-warnings=0", "--config"]).arg(tests.join("eslint.config.cjs"));
    eslint.args(["workerlib-py/python/workerlib/_channels", "benches/browser", "tests/javascript"]);
    let mut tsc = tool("tsc");
    tsc.arg("--project").arg(&tests);
    let mut node = Command::new(node::find().context("Node is missing")?);
    node.arg("--test").args(["channel.test.mjs", "hostile_channel.test.mjs"].map(|file| tests.join(file)));
    node.current_dir(workspace.root());
    let (mut passed, mut output) = (0, String::new());
    for (name, command) in [("eslint", &mut eslint), ("tsc", &mut tsc), ("node-test", &mut node)] {
        let (succeeded, text) = process::capture_within(workspace, name, command, LIMIT)?;
        passed += u64::from(succeeded);
        if !succeeded {
            output.push_str(&text);
        }
    }
    let summary = "eslint, tsc --strict and node --test, of the channel's JavaScript".to_owned();
    Ok(Report { passed, failed: 3 - passed, summary, output })
}
