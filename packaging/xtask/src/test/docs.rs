//! The check of the documentation: the site builds strictly, and its tests find it complete.

use anyhow::Result;

use super::context::Context;
use super::pytest::{self, Suite};
use super::report::Report;
use crate::docs;
use crate::setup::{self, browser::Engine, node};

/// Builds the site, and runs its tests in Chromium.
pub(super) fn check(context: &Context<'_>) -> Result<Report> {
    let workspace = context.workspace;
    setup::python::ensure_docs_tools(workspace)?;
    let run = docs::build(workspace)?;
    let mut all = Report::of(run.succeeded, "the site, strictly", docs::complaints(&run.output));
    if run.succeeded {
        let mut pytest = pytest::command(workspace);
        pytest.env("WORKERLIB_DOCS", docs::folder(workspace));
        pytest.env("WORKERLIB_AXE", node::release_package(workspace, "axe-core").join("axe.min.js"));
        pytest.envs(Engine::Chromium.find().unwrap_or_default());
        let tests = workspace.tests("docs");
        let suite = Suite::native(context, "docs", &tests, "tests of the site");
        all.add(pytest::run(context, &suite, pytest)?);
    }
    Ok(all)
}
