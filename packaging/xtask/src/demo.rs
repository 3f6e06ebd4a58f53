//! Shows the page: serves the site, or drives it in a browser without a window.

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::arguments::Arguments;
use crate::pyodide::Pyodide;
use crate::server::{self, Site};
use crate::setup::{Need, browser};
use crate::site;
use crate::steps::Steps;
use crate::workspace::Workspace;

/// How the page is to be shown.
struct Options {
    port: Option<u16>,
    pyodide: Pyodide,
    isolated: bool,
    headless: bool,
}

fn parse(workspace: &Workspace, mut arguments: Arguments) -> Result<Options> {
    let port =
        arguments.value("--port")?.map(|port| port.parse().with_context(|| format!("{port} is not a port")));
    let pyodide = arguments.value("--pyodide")?.unwrap_or_else(|| "314".to_owned());
    let options = Options {
        port: port.transpose()?,
        pyodide: Pyodide::parse(workspace, &pyodide)?,
        isolated: !arguments.flag("--no-isolation"),
        headless: arguments.flag("--headless"),
    };
    arguments.finish()?;
    Ok(options)
}

/// Does everything from set-up to a page that can be looked at.
///
/// # Errors
/// If a step fails or the port is in use.
pub(crate) fn main(workspace: &Workspace, arguments: Arguments) -> Result<ExitCode> {
    let options = parse(workspace, arguments)?;
    // A port that is in use should be known before the work, not after it.
    let server = serve(workspace, options.port, options.isolated, options.headless)?;
    let mut steps = Steps::default();
    let needs: &[Need] = if options.headless { &[Need::Browser] } else { &[] };
    site::add(&mut steps, workspace, options.pyodide, needs);
    steps.run()?;
    println!(
        "serving on {}{}",
        server.url(),
        if options.isolated { "" } else { " (without isolation headers)" }
    );
    if options.headless {
        let status =
            drive(workspace, &server.url())?.status().context("cannot start the browser's driver")?;
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
    let site = Site { mounts: vec![("/", site::folder(workspace))], isolated, ..Site::default() };
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
