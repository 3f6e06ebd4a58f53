//! Builds the JavaScript of `workerlib-py/javascript`: what goes into the wheel, and the npm package.
//!
//! TypeScript becomes JavaScript by `tsc`, which also writes the types; files that have to stand alone (a worker's script, a module
//! for pages without a bundler) are made by esbuild, which puts Comlink into them. The tools are those of `packaging/npm`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

use crate::folder;
use crate::process;
use crate::stamp::{self, Fingerprint};
use crate::steps::Outcome;
use crate::workspace::Workspace;

/// The name that code finds defined where the wheel is not beside it.
const WHEEL_IS_ELSEWHERE: &str = "--define:WHEEL_IS_ELSEWHERE=true";

/// The module that PyScript pages name as their `interpreter`.
pub(crate) const INTERPRETER: &str = "workerlib-pyodide.mjs";

/// The licenses, which the npm package has a copy of.
const LICENSES: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];

/// The npm package's folder, ready for `npm pack`.
pub(crate) fn npm_folder(workspace: &Workspace) -> PathBuf {
    workspace.target().join("npm-package")
}

/// Makes the archive of the npm package, as npm's registry would have it, in a folder; returns its path.
pub(crate) fn pack(workspace: &Workspace, folder: &Path) -> Result<PathBuf> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let npm = process::find_program("npm").context("npm is missing")?;
    let mut pack = Command::new(npm);
    pack.args(["pack", "--silent"]).arg(npm_folder(workspace)).arg("--pack-destination").arg(folder);
    let written = process::run(workspace, "npm-pack", &mut pack)?;
    // Warnings may stand before the name.
    Ok(folder.join(written.trim().lines().next_back().unwrap_or_default()))
}

/// Copies the sources to where the tools of `tools` find the packages that they import, into a folder of this name.
pub(crate) fn stage(workspace: &Workspace, tools: &Workspace, name: &str) -> Result<PathBuf> {
    let staged = tools.target().join("npm").join(name);
    folder::empty(&staged)?;
    folder::copy(&workspace.package().join("javascript"), &staged)?;
    Ok(staged)
}

/// Makes the files of the wheel's folder `workerlib/javascript`.
///
/// # Errors
/// If esbuild fails.
pub(crate) fn build_for_wheel(workspace: &Workspace, tools: &Workspace, target: &Path) -> Result<()> {
    let staged = stage(workspace, tools, "javascript")?;
    bundle(tools, &staged, "python_worker.ts", "iife", &target.join("python_worker.js"), &[])?;
    bundle(tools, &staged, "worker.ts", "iife", &target.join("worker.js"), &[WHEEL_IS_ELSEWHERE])?;
    // Python evaluates these, and takes their value.
    let evaluated =
        [("fatal_errors", "watchFatal"), ("termination", "terminationOf"), ("lifelines", "noteLifelines")];
    for (name, value) in evaluated {
        let as_value = [&*format!("--global-name={name}"), &*format!("--footer:js={name}.{value}")];
        let file = target.join(format!("{name}.js"));
        bundle(tools, &staged, &format!("{name}.ts"), "iife", &file, &as_value)?;
    }
    bundle(tools, &staged, "interpreter.ts", "esm", &target.join(INTERPRETER), &[])?;
    bundle(tools, &staged, "index.ts", "esm", &target.join("workerlib.js"), &[WHEEL_IS_ELSEWHERE])
}

/// Makes the module that PyScript pages name as their `interpreter`, in a folder.
///
/// # Errors
/// If esbuild fails.
pub(crate) fn build_interpreter(workspace: &Workspace, target: &Path) -> Result<()> {
    // Parts of a test run that start together publish together, and the folder in which the sources are laid out is one.
    static STAGED: Mutex<()> = Mutex::new(());
    let _staged = STAGED.lock().unwrap_or_else(PoisonError::into_inner);
    bundle(
        workspace,
        &stage(workspace, workspace, "interpreter")?,
        "interpreter.ts",
        "esm",
        &target.join(INTERPRETER),
        &[],
    )
}

/// Makes the npm package, which has `wheel` in it, if it was not made of the same files before.
///
/// # Errors
/// If a tool fails.
pub(crate) fn build_package(workspace: &Workspace, wheel: &Path) -> Result<Outcome> {
    let package = npm_folder(workspace);
    let mut fingerprint = Fingerprint::new()
        .path(&workspace.package().join("javascript"))?
        .path(&workspace.packaging("npm").join("package-lock.json"))?
        .path(wheel)?;
    for name in LICENSES {
        fingerprint = fingerprint.path(&workspace.root().join(name))?;
    }
    let fingerprint = fingerprint.finish();
    if stamp::is_fresh(&package, &fingerprint) {
        return Ok(Outcome::Unchanged);
    }
    stamp::clear(&package);
    let dist = package.join("dist");
    folder::empty(&package)?;
    let staged = stage(workspace, workspace, "javascript")?;
    let mut tsc = tool(workspace, "tsc");
    process::run(
        workspace,
        "tsc-package",
        tsc.args(["--project", "."]).arg("--outDir").arg(&dist).current_dir(&staged),
    )?;
    bundle(workspace, &staged, "worker.ts", "iife", &dist.join("worker.js"), &[])?;
    bundle(workspace, &staged, "index.ts", "esm", &dist.join("workerlib.js"), &[])?;
    bundle(workspace, &staged, "interpreter.ts", "esm", &dist.join(INTERPRETER), &[])?;
    // They are parts of the bundles; Python's own worker is in the wheel.
    for name in [
        "python_worker.js",
        "python_worker.d.ts",
        "start.js",
        "fatal_errors.js",
        "lifelines.js",
        "lifelines.d.ts",
        "interpreter.js",
        "downloads.js",
        "downloads.d.ts",
        "snapshot/handover.js",
        "snapshot/handover.d.ts",
    ] {
        fs::remove_file(dist.join(name)).with_context(|| format!("tsc did not write {name}"))?;
    }
    // Types are found by the name of the module that they belong to.
    fs::rename(dist.join("interpreter.d.ts"), dist.join(INTERPRETER).with_extension("d.mts"))
        .context("tsc did not write interpreter.d.ts")?;
    for name in ["python.js", "compiled.js", "image.js", "store.js"] {
        fs::remove_file(dist.join("snapshot").join(name))
            .with_context(|| format!("tsc did not write {name}"))?;
    }
    folder::copy_file(wheel, &dist.join("workerlib.whl"))?;
    for name in ["package.json", "README.md"] {
        folder::copy_file(&staged.join(name), &package.join(name))?;
    }
    for name in LICENSES {
        folder::copy_file(&workspace.root().join(name), &package.join(name))?;
    }
    stamp::set(&package, &fingerprint)?;
    Ok(Outcome::Done)
}

/// Builds the example `vite-typescript`, so that the site can serve it, and tells where.
///
/// # Errors
/// If the npm package is not there, or Vite fails.
pub(crate) fn build_example(workspace: &Workspace) -> Result<PathBuf> {
    let example = workspace.root().join("examples").join("vite-typescript");
    let staged = workspace.target().join("npm").join("vite-typescript");
    let fingerprint = Fingerprint::new().path(&example)?.path(&npm_folder(workspace))?.finish();
    if !stamp::is_fresh(&staged, &fingerprint) {
        stamp::clear(&staged);
        folder::empty(&staged)?;
        folder::copy(&example, &staged)?;
        folder::copy(&npm_folder(workspace), &staged.join("node_modules").join("workerlib"))?;
        let mut vite = tool(workspace, "vite");
        // From the example's place in the site to the site's Pyodide.
        vite.args(["build", "--logLevel", "warn"]).env("VITE_PYODIDE", "../../pyodide/");
        process::run(workspace, "vite", vite.current_dir(&staged))?;
        stamp::set(&staged, &fingerprint)?;
    }
    Ok(staged.join("dist"))
}

/// Makes the command that runs a program of the npm packages.
pub(crate) fn tool(workspace: &Workspace, name: &str) -> Command {
    Command::new(workspace.npm_program(name))
}

/// Makes one file of a module and all that it imports.
fn bundle(
    tools: &Workspace,
    staged: &Path,
    source: &str,
    format: &str,
    target: &Path,
    more: &[&str],
) -> Result<()> {
    let mut esbuild = tool(tools, "esbuild");
    esbuild.arg(format!("src/{source}")).args(["--bundle", "--target=es2022", "--log-level=warning"]);
    // The Python code that runs before workerlib can is a part of the JavaScript.
    esbuild.arg("--loader:.py=text");
    esbuild.arg(format!("--format={format}")).arg(format!("--outfile={}", target.display())).args(more);
    process::run(tools, "esbuild", esbuild.current_dir(staged))?;
    Ok(())
}
