//! Assembles `target/site`: the demo page, the benchmark and all that they are made of, so that nothing is asked of another server.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::folder;
use crate::javascript;
use crate::process;
use crate::pyodide::{self, Pyodide};
use crate::setup::{self, need::Need};
use crate::steps::{Outcome, Steps};
use crate::wheel::{self, Kind};
use crate::workspace::Workspace;

/// The data sets that the page offers, from the npm package `vega-datasets`.
const DATA: [&str; 6] =
    ["airports.csv", "cars.json", "flights-200k.json", "movies.json", "penguins.json", "seattle-weather.csv"];

/// The needs of a site.
pub(crate) const NEEDS: [Need; 4] =
    [Need::PythonTools, Need::WasmCompiler, Need::PyodideWheels, Need::NodePackages];

/// The site's folder.
pub(crate) fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target().join("site")
}

/// Adds all steps that lead to a site, set-up included; `more` is needed besides.
pub(crate) fn add<'a>(steps: &mut Steps<'a>, workspace: &'a Workspace, pyodide: Pyodide, more: &[Need]) {
    setup::add(steps, workspace, &[NEEDS.as_slice(), more].concat());
    steps.add("building the wheel for Pyodide", || wheel::build(workspace, Kind::Wasm));
    add_assembly(steps, workspace, pyodide);
}

/// Adds the steps from the wheel to the site.
pub(crate) fn add_assembly<'a>(steps: &mut Steps<'a>, workspace: &'a Workspace, pyodide: Pyodide) {
    steps
        .add(format!("adding the wheel to Pyodide {pyodide}"), move || pyodide::assemble(workspace, pyodide));
    steps.add("making the npm package", || {
        javascript::build_package(workspace, &wheel::find(workspace, Kind::Wasm)?)
    });
    steps.add("assembling the site", move || assemble(workspace, pyodide));
}

/// Assembles the site with one Pyodide.
fn assemble(workspace: &Workspace, pyodide: Pyodide) -> Result<Outcome> {
    let site = folder(workspace);
    folder::empty(&site)?;
    let demo = workspace.packaging("demo");
    folder::copy(&demo, &site)?;
    // The script drives the page, and is not part of the site.
    let _ = fs::remove_file(site.join("drive.py"));
    let modules = workspace.node_modules();
    let pyscript = modules.join("@pyscript").join("core");
    folder::copy(&pyscript.join("dist"), &site.join("pyscript"))?;
    // The page tells PyScript's version from it; nothing in `dist` does.
    folder::copy_file(&pyscript.join("package.json"), &site.join("pyscript").join("package.json"))?;
    folder::copy(&pyodide.folder(workspace), &site.join("pyodide"))?;
    for name in DATA {
        folder::copy_file(
            &modules.join("vega-datasets").join("data").join(name),
            &site.join("data").join(name),
        )
        .with_context(|| format!("vega-datasets has no {name}"))?;
    }
    // Pages without a bundler take these files as they are.
    folder::copy(&javascript::npm_folder(workspace).join("dist"), &site.join("workerlib"))?;
    folder::copy(&modules.join("comlink").join("dist"), &site.join("comlink"))?;
    folder::copy(&workspace.root().join("examples"), &site.join("examples"))?;
    // A browser cannot run its sources, so what is served is what Vite made of them.
    let built = site.join("examples").join("vite-typescript");
    folder::empty(&built)?;
    folder::copy(&javascript::build_example(workspace)?, &built)?;
    let bench = site.join("bench");
    let benches = workspace.root().join("benches");
    folder::copy(&benches.join("browser"), &bench)?;
    let _ = fs::remove_file(bench.join("drive.py"));
    folder::copy_file(&benches.join("python").join("shapes.py"), &bench.join("shapes.py"))?;
    for name in ["pool_kills.py", "pool_worker.py"] {
        folder::copy_file(&workspace.tests("shared").join(name), &bench.join(name))?;
    }
    folder::copy_file(
        &modules.join("comlink").join("dist").join("esm").join("comlink.mjs"),
        &bench.join("comlink.mjs"),
    )?;
    folder::copy(&modules.join("@fideus-labs").join("worker-pool").join("dist"), &bench.join("worker-pool"))?;
    let mut index = Command::new(workspace.python());
    index.arg(workspace.packaging("python").join("simple_index.py")).arg(site.join("simple"));
    process::run(workspace, "simple-index", index.arg(wheel::find(workspace, Kind::Wasm)?))?;
    Ok(Outcome::Done)
}
