//! The checks in a browser: the suite of pages, and the demo.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;

use super::context::Context;
use super::pytest::{self, Suite};
use super::report::Report;
use super::sites::{self, Pair};
use crate::demo;
use crate::javascript;
use crate::process;
use crate::pyodide::Pyodide;
use crate::server::{self, Site};
use crate::setup::browser::Engine;
use crate::setup::node;
use crate::site;
use crate::workspace::Workspace;

/// Which tests run, and where.
struct Run<'a> {
    /// The folder of the tests.
    folder: &'a str,
    engine: Engine,
    /// Only the tests that every engine must pass, or every PyScript if another one is served.
    few: bool,
    /// A PyScript, by its npm package, and a Pyodide that are served in place of the site's own.
    instead: Option<(&'a str, Pyodide)>,
}

/// Runs the browser suite in Chromium.
pub(super) fn browser(context: &Context<'_>) -> Result<Report> {
    suite(context, Engine::Chromium, "browser")
}

/// Runs those of its tests in Firefox that every engine must pass.
pub(super) fn firefox(context: &Context<'_>) -> Result<Report> {
    suite(context, Engine::Firefox, "browser")
}

/// Runs those of its tests in WebKit that every engine must pass.
pub(super) fn webkit(context: &Context<'_>) -> Result<Report> {
    suite(context, Engine::WebKit, "browser")
}

/// Runs the tests of pages in JavaScript in Chromium.
pub(super) fn patterns(context: &Context<'_>) -> Result<Report> {
    suite(context, Engine::Chromium, "patterns")
}

/// Runs those of its tests in Firefox that every engine must pass.
pub(super) fn patterns_in_firefox(context: &Context<'_>) -> Result<Report> {
    suite(context, Engine::Firefox, "patterns")
}

/// Runs those of its tests in WebKit that every engine must pass.
pub(super) fn patterns_in_webkit(context: &Context<'_>) -> Result<Report> {
    suite(context, Engine::WebKit, "patterns")
}

/// Injects faults in Chromium.
pub(super) fn faults(context: &Context<'_>) -> Result<Report> {
    faults_in(context, Engine::Chromium)
}

/// Injects in Firefox the faults that every engine must survive.
pub(super) fn faults_in_firefox(context: &Context<'_>) -> Result<Report> {
    faults_in(context, Engine::Firefox)
}

/// Injects in WebKit the faults that every engine must survive.
pub(super) fn faults_in_webkit(context: &Context<'_>) -> Result<Report> {
    faults_in(context, Engine::WebKit)
}

/// Runs the fault suite, and reports what it has counted.
fn faults_in(context: &Context<'_>, engine: Engine) -> Result<Report> {
    let figures = figures(context.workspace, &format!("faults-{}", engine.name()));
    // Figures of an earlier run would be shown for a run that ended before it wrote its own.
    let _ = fs::remove_file(&figures);
    let mut report = suite(context, engine, "faults")?;
    if let Ok(text) = fs::read_to_string(figures) {
        report.summary = format!("{} ({})", report.summary, text.trim());
    }
    Ok(report)
}

/// The file to which a run of the fault suite writes what it has counted.
fn figures(workspace: &Workspace, run: &str) -> PathBuf {
    pytest::records(workspace).join(format!("{run}.figures"))
}

/// Runs the tests that every PyScript must pass, in an engine with a PyScript, given by its npm package, and a Pyodide.
pub(super) fn combination(
    context: &Context<'_>,
    engine: Engine,
    pyscript: &str,
    pyodide: Pyodide,
) -> Result<Report> {
    let instead = Some((pyscript, pyodide));
    run(context, &Run { folder: "browser", engine, few: true, instead })
}

/// Runs the tests of a folder, in other engines than Chromium those that every one must pass.
fn suite(context: &Context<'_>, engine: Engine, folder: &str) -> Result<Report> {
    run(context, &Run { folder, engine, few: engine != Engine::Chromium, instead: None })
}

/// Runs tests against the site with isolation headers, and without.
fn run(context: &Context<'_>, run: &Run<'_>) -> Result<Report> {
    let workspace = context.workspace;
    let (folder, engine) = (run.folder, run.engine);
    let name = match run.instead {
        None => format!("{folder}-{}", engine.name()),
        Some((pyscript, pyodide)) => {
            format!("{folder}-{}-{}-{pyodide}", engine.name(), pyscript.replace(['@', '/'], ""))
        }
    };
    let Some(programs) = engine.find() else {
        return Ok(Report::nothing(format!("{} is not here and cannot be installed", engine.name())));
    };
    let mut pytest = pytest::command(workspace);
    let mut instead = Vec::new();
    if let Some((pyscript, pyodide)) = run.instead {
        let package = workspace.node_modules().join(pyscript);
        // The tests have to know what it cannot do; nothing in `dist` tells.
        pytest.env("WORKERLIB_PYSCRIPT", node::version_of(&package)?);
        instead = vec![("/pyscript/", package.join("dist")), ("/pyodide/", pyodide.folder(workspace))];
    }
    let pair = match run.instead {
        None => context.sites.pair(workspace)?,
        Some(_) => Arc::new(Pair::start(workspace, &name, &instead)?),
    };
    pytest.env("WORKERLIB_SITE_ISOLATED", pair.isolated.url());
    pytest.env("WORKERLIB_SITE_PLAIN", pair.plain.url());
    // Of another Pyodide, the snapshots are others, and no other part takes them.
    if run.instead.is_none() {
        pytest.env("WORKERLIB_KEPT_SNAPSHOTS", sites::kept_snapshots(workspace).join(engine.name()));
    }
    pytest
        .env("WORKERLIB_NPM_PACKAGE", javascript::npm_folder(workspace))
        .env("WORKERLIB_FRESH", sites::fresh(workspace));
    pytest.env("WORKERLIB_ENGINE", engine.name()).envs(programs);
    pytest.env("WORKERLIB_FAULT_FIGURES", figures(workspace, &name));
    pytest.env("WORKERLIB_WHEELS", workspace.wheels_of_314());
    pytest.env("WORKERLIB_AXE", node::release_package(workspace, "axe-core").join("axe.min.js"));
    match (run.few, engine, run.instead) {
        (false, ..) => {}
        (true, Engine::Chromium, Some(_)) => drop(pytest.args(["-m", "every_engine or every_pyscript"])),
        (true, ..) => drop(pytest.args(["-m", "every_engine"])),
    }
    let tests = workspace.tests(folder);
    let what = format!("tests in {}", engine.name());
    let suite = Suite::native(context, &name, &tests, &what);
    pytest::run(context, &suite, pytest)
}

/// Checks numpy, Pillow, pandas, polars and scipy in a page that has them from Pyodide's CDN, where that can be reached.
pub(super) fn online(context: &Context<'_>) -> Result<Report> {
    let workspace = context.workspace;
    let page = ("/online/", workspace.tests("online").join("page"));
    let mounts = vec![page, ("/", site::folder(workspace))];
    let site = server::start(Site { mounts, isolated: true, ..Site::default() }, 0)?;
    let mut pytest = pytest::command(workspace);
    pytest.env("WORKERLIB_SITE", site.url()).envs(Engine::Chromium.find().unwrap_or_default());
    let tests = workspace.tests("online");
    let suite = Suite::native(context, "online", &tests, "tests of libraries from Pyodide's CDN");
    let report = pytest::run(context, &suite, pytest)?;
    if report.passed == 0 && report.skipped > 0 && report.broken == ["online"] {
        let summary = "Pyodide's CDN cannot be reached (target/logs/online.log)".to_owned();
        return Ok(Report { failed: 0, output: String::new(), broken: Vec::new(), summary, ..report });
    }
    Ok(report)
}

/// Drives the demo page with isolation headers, by which the work that a visitor gives up is interrupted; in a full run also without.
pub(super) fn demo(context: &Context<'_>) -> Result<Report> {
    let workspace = context.workspace;
    let pair = context.sites.pair(workspace)?;
    let mut all = Report::default();
    let visits = [("isolated", &pair.isolated), ("plain", &pair.plain)];
    for (name, server) in &visits[..if context.is_full { 2 } else { 1 }] {
        let log = format!("demo-{name}");
        let mut drive = demo::drive(workspace, &server.url())?;
        drive.envs(context.environment());
        let run = process::capture_within(workspace, &log, &mut drive, context.limit())?;
        let output = if run.succeeded { String::new() } else { format!("{name}:\n{}\n", run.output) };
        all.add(Report::of(run.succeeded, format!("the demo page, {name}"), output));
    }
    Ok(all)
}
