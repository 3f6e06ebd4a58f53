//! Shows the page: serves the site, or drives it in a browser without a window.

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::docs;
use crate::process;
use crate::pyodide::Pyodide;
use crate::server::{self, Site};
use crate::setup::{browser, need::Need};
use crate::site;
use crate::steps::Steps;
use crate::workspace::Workspace;

/// The arguments of `cargo xtask demo`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The port on which the page is served; 8000 by default
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// Which Pyodide: 314, 0.29 or 315
    #[arg(long, value_name = "VERSION", default_value = "314")]
    pyodide: String,
    /// Serves the page without COOP and COEP headers, so that it is not isolated
    #[arg(long)]
    no_isolation: bool,
    /// Drives the page in Chromium and checks what it shows (on a free port)
    #[arg(long)]
    headless: bool,
}

/// Sets up, builds and serves the demo page.
///
/// # Errors
/// If a step fails or the port is in use.
pub(crate) fn main(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let (pyodide, isolated) = (Pyodide::parse(workspace, &options.pyodide)?, !options.no_isolation);
    // A port that is in use should be known before the work, not after it.
    let server = serve(workspace, options.port, isolated, options.headless)?;
    let mut steps = Steps::default();
    let needs: &[Need] = if options.headless { &[Need::Browser] } else { &[Need::DocsTools] };
    site::add(&mut steps, workspace, pyodide, needs);
    if !options.headless {
        docs::add(&mut steps, workspace);
    }
    steps.run()?;
    println!("serving on {}{}", server.url(), if isolated { "" } else { " (without isolation headers)" });
    if options.headless {
        let status = process::show(&mut drive(workspace, &server.url())?)?;
        return Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    println!("press Ctrl-C to stop");
    loop {
        thread::park();
    }
}

/// Serves the site; headless, it need not be where people look for it.
fn serve(
    workspace: &Workspace,
    port: Option<u16>,
    isolated: bool,
    headless: bool,
) -> Result<server::Running> {
    let mounts = vec![("/docs/", docs::folder(workspace)), ("/", site::folder(workspace))];
    let site = Site { mounts, isolated, ..Site::default() };
    server::start(site, port.unwrap_or(if headless { 0 } else { 8000 }))
}

/// Makes the command that drives the page at `url` as a person would, and checks what it shows.
///
/// # Errors
/// If there is no browser, or no driver.
pub(crate) fn drive(workspace: &Workspace, url: &str) -> Result<Command> {
    let script: PathBuf = workspace.packaging("demo").join("drive.py");
    if !script.is_file() {
        bail!("there is no {}", script.display());
    }
    let mut command = Command::new(workspace.python());
    command.arg(script).arg(url).env(browser::OVERRIDE, browser::find().context("Chromium is missing")?);
    Ok(command)
}
