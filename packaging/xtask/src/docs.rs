//! Builds the documentation site from docs/, the other texts of the repository, and the docstrings of the package.
//!
//! The site is a folder that asks no other host for anything. The build is strict: a link to a page, a file or a section that
//! is missing ends it.

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::process::{self, Run};
use crate::pyodide::Pyodide;
use crate::server;
use crate::setup::{self, browser, need::Need};
use crate::site;
use crate::stamp;
use crate::steps::{Outcome, Steps};
use crate::workspace::{Workspace, program_of};

/// The arguments of `cargo xtask docs`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Serves the site when it is built, on this port of localhost; 0 takes a free port
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "8001")]
    serve: Option<u16>,
    /// Only takes the pictures in docs/ anew, by Chromium
    #[arg(long, conflicts_with = "serve")]
    pictures: bool,
}

/// Builds the site, and serves it if that is asked for.
///
/// # Errors
/// If a step fails.
pub(crate) fn main(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    if options.pictures {
        return pictures(workspace);
    }
    let mut steps = Steps::default();
    setup::add(&mut steps, workspace, &[Need::DocsTools]);
    add(&mut steps, workspace);
    steps.run()?;
    let Some(port) = options.serve else {
        println!("{}", folder(workspace).join("index.html").display());
        return Ok(ExitCode::SUCCESS);
    };
    let mounts = vec![("/", folder(workspace))];
    let running = server::start(server::Site { mounts, ..server::Site::default() }, port)?;
    println!("serving on {}\npress Ctrl-C to stop", running.url());
    loop {
        thread::park();
    }
}

/// Makes the pictures that the documents show, of the pages that the site has now.
fn pictures(workspace: &Workspace) -> Result<ExitCode> {
    let mut steps = Steps::default();
    site::add(&mut steps, workspace, Pyodide::V314, &[Need::Browser]);
    steps.run()?;
    let pages = workspace.packaging("docs").join("pictures");
    let mounts = vec![("/pictures/", pages.clone()), ("/", site::folder(workspace))];
    let site = server::start(server::Site { mounts, isolated: true, ..server::Site::default() }, 0)?;
    let mut script = Command::new(workspace.python());
    script.arg(pages.join("pictures.py")).arg(site.url()).arg(workspace.root().join("docs"));
    script.env(browser::OVERRIDE, browser::find().context("Chromium is missing")?);
    let status = process::show(&mut script)?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Adds the step that builds the site; its tools are there.
pub(crate) fn add<'a>(steps: &mut Steps<'a>, workspace: &'a Workspace) {
    steps.add("building the documentation site", || {
        let run = build(workspace)?;
        if !run.succeeded {
            bail!("{}", complaints(&run.output));
        }
        let files = stamp::files_under(&folder(workspace))?;
        let pages = files.iter().filter(|file| file.extension().is_some_and(|name| name == "html")).count();
        Ok(Outcome::Note(format!("{pages} pages in target/docs")))
    });
}

/// The folder of the site.
pub(crate) fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target().join("docs")
}

/// Runs MkDocs.
///
/// # Errors
/// If it cannot be started.
pub(crate) fn build(workspace: &Workspace) -> Result<Run> {
    let mut mkdocs = Command::new(program_of(&workspace.docs_venv(), "mkdocs"));
    mkdocs.args(["build", "--strict", "--clean", "--config-file"]);
    mkdocs.arg(workspace.packaging("docs").join("mkdocs.yml")).current_dir(workspace.root());
    // The theme's advertisement for its successor is no warning of ours.
    mkdocs.env("NO_MKDOCS_2_WARNING", "1");
    process::capture(workspace, "mkdocs", &mut mkdocs)
}

/// The lines of MkDocs' output that tell of something wrong.
pub(crate) fn complaints(output: &str) -> String {
    let lines: Vec<&str> = output.lines().filter(|line| !line.starts_with("INFO")).collect();
    lines.join("\n").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A failed build shows its warnings, and not the hundred lines around them.
    #[test]
    fn complaints_are_the_lines_that_tell_of_something_wrong() {
        let output = "INFO    -  Building\nWARNING -  a link\n  - docs/a.md\nINFO    -  more\n\nAborted\n";
        assert_eq!(complaints(output), "WARNING -  a link\n  - docs/a.md\n\nAborted");
    }
}
