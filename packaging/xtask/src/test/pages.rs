//! The checks in a browser: the suite of pages, and the demo.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use super::{Report, counts, python};
use crate::demo;
use crate::javascript;
use crate::process;
use crate::publish;
use crate::pyodide::Pyodide;
use crate::server::{self, Running, Site};
use crate::setup::browser::Engine;
use crate::setup::node;
use crate::site;
use crate::workspace::Workspace;

/// The longest that a part may take: it ends what hangs, not what is slow on a busy machine.
const LIMIT: Duration = Duration::from_secs(1500);

/// The page whose policy comes as a header, and the policy of strict_csp.html.
const STRICT: (&str, &str) = (
    "/tests/strict_csp_by_header.html",
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src blob:; connect-src 'self'; \
     style-src 'self' 'unsafe-inline'; img-src data:",
);

/// Which tests run, and where.
struct Run<'a> {
    /// The folder of the tests, which the log is called after.
    folder: &'a str,
    engine: Engine,
    /// Only the tests that every engine must pass.
    few: bool,
    /// What is served in place of the site's own: a PyScript, by its npm package, and a Pyodide.
    instead: Option<(&'a str, Pyodide)>,
}

/// Runs the browser suite in Chromium.
pub(super) fn browser(workspace: &Workspace) -> Result<Report> {
    suite(workspace, Engine::Chromium)
}

/// Runs those of its tests in Firefox that every engine must pass.
pub(super) fn firefox(workspace: &Workspace) -> Result<Report> {
    suite(workspace, Engine::Firefox)
}

/// Runs those of its tests in WebKit that every engine must pass.
pub(super) fn webkit(workspace: &Workspace) -> Result<Report> {
    suite(workspace, Engine::WebKit)
}

/// Runs the tests of pages in JavaScript in Chromium, and in the other engines those that every one must pass.
pub(super) fn patterns(workspace: &Workspace) -> Result<Report> {
    let mut all = Report { passed: 0, failed: 0, summary: String::new(), output: String::new() };
    for engine in [Engine::Chromium, Engine::Firefox, Engine::WebKit] {
        let report = suite_of(workspace, engine, "patterns")?;
        all.passed += report.passed;
        all.failed += report.failed;
        all.summary = format!("{}{}; ", all.summary, report.summary);
        all.output.push_str(&report.output);
    }
    Ok(all)
}

/// Runs the tests that every engine must pass in Chromium, with a PyScript, given by its npm package, and a Pyodide.
pub(super) fn combination(workspace: &Workspace, pyscript: &str, pyodide: Pyodide) -> Result<Report> {
    let instead = Some((pyscript, pyodide));
    run(workspace, &Run { folder: "browser", engine: Engine::Chromium, few: true, instead })
}

/// Runs the browser suite against the site with isolation headers, and without.
fn suite(workspace: &Workspace, engine: Engine) -> Result<Report> {
    suite_of(workspace, engine, "browser")
}

/// Runs the tests of a folder, in other engines than Chromium those that every one must pass.
fn suite_of(workspace: &Workspace, engine: Engine, folder: &str) -> Result<Report> {
    run(workspace, &Run { folder, engine, few: engine != Engine::Chromium, instead: None })
}

/// Runs tests against the site with isolation headers, and without.
fn run(workspace: &Workspace, run: &Run<'_>) -> Result<Report> {
    let (folder, engine) = (run.folder, run.engine);
    let Some(programs) = engine.find() else {
        return Ok(Report::skipped(format!("{} is not here and cannot be installed", engine.name())));
    };
    let mut pytest = python::pytest(workspace);
    pytest.arg(workspace.tests(folder));
    let mut instead = Vec::new();
    if let Some((pyscript, pyodide)) = run.instead {
        let package = workspace.node_modules().join(pyscript);
        // The tests have to know what it cannot do; nothing in `dist` tells.
        pytest.env("WORKERLIB_PYSCRIPT", node::version_of(&package)?);
        instead = vec![("/pyscript/", package.join("dist")), ("/pyodide/", pyodide.folder(workspace))];
    }
    let (isolated, plain) = (serve(workspace, true, &instead)?, serve(workspace, false, &instead)?);
    pytest.env("WORKERLIB_SITE_ISOLATED", isolated.url()).env("WORKERLIB_SITE_PLAIN", plain.url());
    pytest
        .env("WORKERLIB_NPM_PACKAGE", javascript::npm_folder(workspace))
        .env("WORKERLIB_FRESH", fresh(workspace));
    pytest.env("WORKERLIB_ENGINE", engine.name()).envs(programs);
    pytest.env("WORKERLIB_WHEELS", workspace.wheels_of_314());
    if run.few {
        pytest.args(["-m", "every_engine"]);
    }
    let (succeeded, output) =
        process::capture_within(workspace, &format!("{folder}-{}", engine.name()), &mut pytest, LIMIT)?;
    let counts = counts::of_pytest(&output);
    let what = format!("tests in {}, with and without isolation", engine.name());
    Ok(super::of_counts(succeeded, &counts, &what, output))
}

/// Checks numpy, Pillow and pandas in a page that has them from Pyodide's CDN, where that can be reached.
pub(super) fn online(workspace: &Workspace) -> Result<Report> {
    let page = ("/online/", workspace.tests("online").join("page"));
    let mounts = vec![page, ("/", site::folder(workspace))];
    let site = server::start(Site { mounts, isolated: true, ..Site::default() }, 0)?;
    let mut pytest = python::pytest(workspace);
    pytest.arg(workspace.tests("online")).env("WORKERLIB_SITE", site.url());
    pytest.envs(Engine::Chromium.find().unwrap_or_default());
    let (succeeded, output) = process::capture_within(workspace, "online", &mut pytest, LIMIT)?;
    let counts = counts::of_pytest(&output);
    if succeeded && counts.passed == 0 && counts.skipped > 0 {
        let reason = output.lines().find_map(|line| line.strip_prefix("SKIPPED "));
        return Ok(Report::skipped(reason.unwrap_or("pytest does not say why")));
    }
    Ok(super::of_counts(succeeded, &counts, "tests of libraries from Pyodide's CDN", output))
}

/// Drives the demo page, with isolation headers and without.
pub(super) fn demo(workspace: &Workspace) -> Result<Report> {
    let mut report = Report { passed: 0, failed: 0, summary: String::new(), output: String::new() };
    for (name, isolated) in [("isolated", true), ("plain", false)] {
        let server = serve(workspace, isolated, &[])?;
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

/// The fresh project into which a test installs the npm package.
fn fresh(workspace: &Workspace) -> PathBuf {
    workspace.target().join("npm-fresh")
}

/// Serves the site and the pages of the tests; `instead` comes before the site's own folders.
fn serve(workspace: &Workspace, isolated: bool, instead: &[(&'static str, PathBuf)]) -> Result<Running> {
    let micropython = workspace.node_modules().join("@micropython").join("micropython-webassembly-pyscript");
    let published = workspace.target().join("published").join(if isolated { "isolated" } else { "plain" });
    let mut mounts = vec![
        ("/tests/", workspace.tests("browser").join("pages")),
        ("/shared/", workspace.tests("shared")),
        ("/wheels/", workspace.wheels_of_314()),
        ("/patterns/", workspace.tests("patterns").join("pages")),
        ("/fresh/", fresh(workspace).join("dist")),
        ("/pyodide-0.29/", Pyodide::V0_29.folder(workspace)),
        // As a user would have put it beside the page.
        ("/tests/document/", publish::starter(workspace)),
        ("/tests/reference/", publish::starter(workspace)),
        ("/micropython/", micropython),
        ("/published/", published.clone()),
    ];
    mounts.extend_from_slice(instead);
    mounts.push(("/", site::folder(workspace)));
    let server = server::start(Site { mounts, isolated, policies: vec![STRICT] }, 0)?;
    // Its address stands in it, and the port is known only now.
    publish::write(workspace, &published, &format!("{}/published/", server.url()))?;
    Ok(server)
}
