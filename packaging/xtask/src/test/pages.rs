//! The checks in a browser: the suite of pages, and the demo.

use std::time::Duration;

use anyhow::{Context, Result};

use super::{Report, counts, python};
use crate::demo;
use crate::process;
use crate::server::{self, Running, Site};
use crate::setup::browser as chromium;
use crate::site;
use crate::workspace::Workspace;

/// The longest that a part may take.
const LIMIT: Duration = Duration::from_secs(600);

/// Runs the browser suite against the site with isolation headers, and without.
pub(super) fn browser(workspace: &Workspace) -> Result<Report> {
    let (isolated, plain) = (serve(workspace, true)?, serve(workspace, false)?);
    let mut pytest = python::pytest(workspace);
    pytest.arg(workspace.tests("browser"));
    pytest.env("WORKERLIB_SITE_ISOLATED", isolated.url()).env("WORKERLIB_SITE_PLAIN", plain.url());
    pytest.env(chromium::OVERRIDE, chromium::find().context("Chromium is missing")?);
    let (succeeded, output) = process::capture_within(workspace, "browser", &mut pytest, LIMIT)?;
    let counts = counts::of_pytest(&output);
    Ok(super::of_counts(succeeded, &counts, "tests in Chromium, with and without isolation", output))
}

/// Drives the demo page, with isolation headers and without.
pub(super) fn demo(workspace: &Workspace) -> Result<Report> {
    let mut report = Report { passed: 0, failed: 0, summary: String::new(), output: String::new() };
    for (name, isolated) in [("isolated", true), ("plain", false)] {
        let server = serve(workspace, isolated)?;
        let mut drive = demo::drive(workspace, &server.url())?;
        let (succeeded, output) =
            process::capture_within(workspace, &format!("demo-{name}"), &mut drive, LIMIT)?;
        report.passed += u64::from(succeeded);
        report.failed += u64::from(!succeeded);
        if !succeeded {
            report.output.push_str(&format!("{name}:\n{output}\n"));
        }
    }
    report.summary = "the demo page in Chromium, with and without isolation".into();
    Ok(report)
}

fn serve(workspace: &Workspace, isolated: bool) -> Result<Running> {
    let mounts = vec![("/tests/", workspace.tests("browser").join("pages")), ("/", site::folder(workspace))];
    server::start(Site { mounts, isolated }, 0)
}
