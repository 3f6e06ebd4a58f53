//! Serves the site to the parts of a test run: the published site, and the pages and files of the tests beside it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;

use crate::folder;
use crate::publish;
use crate::pyodide::Pyodide;
use crate::server::{self, Running, Site};
use crate::setup::browser::Engine;
use crate::site;
use crate::stamp::{self, Fingerprint};
use crate::wheel::{self, Kind};
use crate::workspace::Workspace;

/// The page whose policy comes as a header, and the policy of strict_csp.html.
const STRICT: (&str, &str) = (
    "/tests/strict_csp_by_header.html",
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src blob:; connect-src 'self'; \
     style-src 'self' 'unsafe-inline'; img-src data:",
);

/// The site with isolation headers and without, on two servers that all parts of a run share.
pub(super) struct Sites {
    pair: Mutex<Option<Arc<Pair>>>,
    makes_anew: bool,
}

/// Two servers of one site.
pub(super) struct Pair {
    pub(super) isolated: Running,
    pub(super) plain: Running,
}

impl Sites {
    /// Makes it for a run, which makes all memory snapshots anew or may start pages from those of an earlier run.
    pub(super) fn new(makes_anew: bool) -> Self {
        Self { pair: Mutex::default(), makes_anew }
    }

    /// Gives the servers, which start when they are asked for first, before any page of the run opens.
    pub(super) fn pair(&self, workspace: &Workspace) -> Result<Arc<Pair>> {
        let mut pair = self.pair.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = &*pair {
            return Ok(Arc::clone(running));
        }
        forget_snapshots(workspace, self.makes_anew)?;
        let running = Arc::new(Pair::start(workspace, "site", &[])?);
        *pair = Some(Arc::clone(&running));
        Ok(running)
    }
}

impl Pair {
    /// Starts them for a run of this name; `instead` comes before the site's own folders.
    pub(super) fn start(
        workspace: &Workspace,
        run: &str,
        instead: &[(&'static str, PathBuf)],
    ) -> Result<Self> {
        let isolated = serve(workspace, run, true, instead)?;
        Ok(Self { isolated, plain: serve(workspace, run, false, instead)? })
    }
}

/// The folder of the memory snapshots that pages have made, below it those of each engine.
pub(super) fn kept_snapshots(workspace: &Workspace) -> PathBuf {
    workspace.target().join("kept-snapshots")
}

/// Removes the memory snapshots of earlier runs: all, or those that other code has made.
fn forget_snapshots(workspace: &Workspace, all: bool) -> Result<()> {
    let kept = kept_snapshots(workspace);
    let tests = workspace.tests("browser");
    let mut fingerprint = Fingerprint::new()
        .path(&wheel::find(workspace, Kind::Wasm)?)?
        .path(&workspace.package().join("javascript"))?
        .path(&workspace.packaging("npm").join("package-lock.json"))?
        .path(&tests.join("kept_snapshots.py"))?
        .path(&tests.join("pages").join("keeper.js"))?;
    for engine in [Engine::Chromium, Engine::Firefox, Engine::WebKit] {
        fingerprint = fingerprint.text(&engine.installation());
    }
    let fingerprint = fingerprint.finish();
    if !all && stamp::is_fresh(&kept, &fingerprint) {
        return Ok(());
    }
    stamp::clear(&kept);
    folder::empty(&kept)?;
    stamp::set(&kept, &fingerprint)
}

/// The fresh project into which a test installs the npm package.
pub(super) fn fresh(workspace: &Workspace) -> PathBuf {
    workspace.target().join("npm-fresh")
}

/// Serves the site and the pages of the tests to one run; `instead` comes before the site's own folders.
fn serve(
    workspace: &Workspace,
    run: &str,
    isolated: bool,
    instead: &[(&'static str, PathBuf)],
) -> Result<Running> {
    let micropython = workspace.node_modules().join("@micropython").join("micropython-webassembly-pyscript");
    let published = workspace.target().join("published").join(run);
    let published = published.join(if isolated { "isolated" } else { "plain" });
    let mut mounts = vec![
        ("/tests/", workspace.tests("browser").join("pages")),
        ("/shared/", workspace.tests("shared")),
        ("/wheels/", workspace.wheels_of_314()),
        ("/faults/", workspace.tests("faults").join("pages")),
        ("/patterns/", workspace.tests("patterns").join("pages")),
        ("/fresh/", fresh(workspace).join("dist")),
        ("/pyodide-0.29/", Pyodide::V0_29.folder(workspace)),
        ("/pyodide-315/", workspace.node_modules().join("pyodide-315")),
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
