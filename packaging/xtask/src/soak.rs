//! `cargo xtask soak`: keeps a page and its workers busy for minutes, with faults at random, and judges whether anything grows.
//!
//! The page's side is `tests/faults/soaking.py`, the driver `tests/faults/soak.py`, which writes the curves.

use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process::{self, Limit};
use crate::pyodide::Pyodide;
use crate::server::{self, Site};
use crate::setup::browser::Engine;
use crate::site;
use crate::steps::Steps;
use crate::test::pace::{self, Measure, PACE};
use crate::workspace::Workspace;

/// The least minutes of a soak whose curves take the place of the committed ones.
const MINUTES_OF_A_NOTE: f64 = 10.0;
/// The time for all that is not soaking, on a fast machine.
const BEYOND: Duration = Duration::from_secs(600);

/// The arguments of `cargo xtask soak`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The number of minutes for which each engine is kept busy
    #[arg(long, value_name = "N", default_value_t = 30.0)]
    minutes: f64,
    /// The engines: chromium, firefox, webkit
    #[arg(long, value_name = "ENGINE", num_args = 1.., value_delimiter = ',', default_value = "chromium")]
    browser: Vec<Engine>,
}

/// Builds the site, and soaks in each engine.
///
/// # Errors
/// If something cannot be built, or the driver cannot be run.
pub(crate) fn main(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    if !(options.minutes > 0.0 && options.minutes < 10_000.0) {
        bail!("--minutes {}: there should be a number above 0", options.minutes);
    }
    let needs: Vec<_> = options.browser.iter().map(|engine| engine.need()).collect();
    let mut steps = Steps::default();
    site::add(&mut steps, workspace, Pyodide::V314, &needs);
    steps.run()?;
    let pace = pace::measure(workspace, Measure::Pyodide, 1)?;
    println!("limits are {:.1} times as long: {}", pace.factor, pace.reason);
    let mut is_flat = true;
    for &engine in &options.browser {
        let mounts = vec![
            ("/tests/", workspace.tests("browser").join("pages")),
            ("/faults/", workspace.tests("faults").join("pages")),
            ("/shared/", workspace.tests("shared")),
            ("/", site::folder(workspace)),
        ];
        let server = server::start(Site { mounts, isolated: false, ..Site::default() }, 0)?;
        let mut drive = Command::new(workspace.python());
        drive.arg(workspace.tests("faults").join("soak.py")).args([engine.name(), &server.url()]);
        drive.arg(options.minutes.to_string()).arg(workspace.results(options.minutes < MINUTES_OF_A_NOTE)?);
        let path = ["browser", "python", "shared"].map(|folder| workspace.tests(folder));
        drive.env("PYTHONPATH", std::env::join_paths(path).context("a path with a colon")?);
        drive.envs(engine.find().with_context(|| format!("{} is missing", engine.name()))?);
        drive.current_dir(workspace.target());
        drive.env(PACE, format!("{:.2}", pace.factor));
        let limit = BEYOND.mul_f64(pace.factor) + Duration::from_secs_f64(options.minutes * 60.0);
        let run = process::capture_within(
            workspace,
            &format!("soak-{}", engine.name()),
            &mut drive,
            Limit::Total(limit),
        )?;
        println!("{}", run.output.find("# A soak").map_or(&*run.output, |start| &run.output[start..]));
        is_flat &= run.succeeded;
    }
    Ok(if is_flat { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
