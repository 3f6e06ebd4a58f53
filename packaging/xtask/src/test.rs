//! Runs every check of the project, each as a part with a name, in two lanes side by side, and goes on after one that fails.
//!
//! The parts judge what users get: the wheels that were built, never the source tree. Limits are the tests' own, and grow with
//! the slowness of the machine (see `pace`); a part is ended only when its log no longer grows.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::num::NonZero;
use std::process::ExitCode;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Result, bail};

use self::context::Context;
use self::lanes::{Job, Stage};
use self::memory::{Memory, Selection};
use self::pace::{Measure, Pace};
use self::parts::{Part, Product};
use self::remembered::Remembered;
use self::report::{Ending, Report};
use self::sites::Sites;
use self::table::Row;
use crate::pyodide::{self, Pyodide};
use crate::setup::{self, need::Need};
use crate::site;
use crate::steps::{Outcome, Steps};
use crate::wheel::{self, Kind};
use crate::workspace::Workspace;

mod artefacts;
mod context;
pub(crate) mod counts;
mod docs;
mod javascript;
mod lanes;
mod memory;
mod pace;
mod pages;
mod parts;
pub(crate) mod pytest;
mod python;
mod remembered;
mod report;
mod rust;
mod sites;
mod table;
mod transport;
mod workflows;

/// How many failed tests of a part are named with the command that runs each.
const MOST_COMMANDS: usize = 10;

/// How many lanes there are where the machine has as many cores.
const LANES: usize = 2;

/// The arguments of `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only these parts (see --list)
    #[arg(long, value_name = "PART", num_args = 1.., value_delimiter = ',')]
    only: Vec<String>,
    /// Names the parts, and ends
    #[arg(long)]
    list: bool,
    /// Also the parts and the tests that repeat a check of others, in another engine or Pyodide
    #[arg(long)]
    full: bool,
    /// Only the tests that failed when they last ran; they are kept in target/failed-tests.json
    #[arg(long)]
    rerun_failed: bool,
    /// Instead: the supported PyScripts, in Chromium each with the supported Pyodides, in Firefox and WebKit with Pyodide 314
    #[arg(long)]
    matrix: bool,
    /// How many parts run side by side
    #[arg(long, value_name = "N")]
    lanes: Option<NonZero<usize>>,
    /// Arguments for pytest, behind `--`: options such as `-k name`, files and tests such as `test_calls.py::test_sum`
    #[arg(last = true, value_name = "PYTEST")]
    pytest: Vec<String>,
}

/// Sets up what the chosen parts need, runs them, and tells what each came to.
///
/// # Errors
/// If the set-up fails or a part is not known.
pub(crate) fn main(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let start = Instant::now();
    let all = parts::all(options.matrix);
    if options.list {
        for part in &all {
            println!("{}{}", part.name, if part.is_slow { " (with --full)" } else { "" });
        }
        return Ok(ExitCode::SUCCESS);
    }
    if !options.pytest.is_empty() && options.only.is_empty() {
        bail!("arguments for pytest are for parts: name them by --only, before `--`");
    }
    let mut memory = Memory::read(workspace);
    let (mut chosen, left_out) = parts::choose(&all, &options.only, options.full || options.rerun_failed)?;
    if options.rerun_failed {
        chosen.retain(|part| memory.of(part.name).is_some());
        if chosen.is_empty() {
            println!("no test failed when it last ran");
            return Ok(ExitCode::SUCCESS);
        }
    }
    let selections: Vec<Selection> = chosen
        .iter()
        .map(|part| memory.of(part.name).filter(|_| options.rerun_failed).unwrap_or(Selection::Whole))
        .collect();
    let rows = run(workspace, options, &chosen, &selections)?;
    for (row, selection) in rows.iter().zip(&selections) {
        let is_narrow = !options.pytest.is_empty() || *selection != Selection::Whole;
        memory.note(row.name, &row.report, is_narrow);
    }
    memory.write(workspace)?;
    let names: Vec<&str> = left_out.iter().map(|part| part.name).collect();
    print!("{}", table::write(&rows, &names, start.elapsed().as_secs_f64()));
    let failed = rows.iter().any(|row| row.report.failed > 0);
    if rows.iter().all(|row| row.report.passed == 0) && !failed {
        bail!("no test ran; do the arguments for pytest choose one?");
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Runs parts in lanes, beside the build of what they need.
fn run(
    workspace: &Workspace,
    options: &Options,
    parts: &[&'static Part],
    selections: &[Selection],
) -> Result<Vec<Row>> {
    // It belongs to modules that the tests of earlier runs have written.
    let _ = fs::remove_dir_all(workspace.bytecode_of(&env::temp_dir()));
    // A test that the user names runs, wherever it repeats another.
    let is_full = options.full || options.rerun_failed || options.matrix || !options.pytest.is_empty();
    let lanes = options.lanes.map_or_else(lanes_of_this_machine, NonZero::get).min(parts.len());
    // The few limits of parts that run before anything is built know of the lanes only.
    let pace = Mutex::new(pace::of_lanes(lanes));
    let first_error: Mutex<Option<anyhow::Error>> = Mutex::new(None);
    let sites = Sites::new(options.full);
    let reports: Vec<OnceLock<(f64, Report)>> = parts.iter().map(|_| OnceLock::new()).collect();
    let mut jobs = Vec::new();
    let (pace, error, sites) = (&pace, &first_error, &sites);
    let succeeds = move |result: Result<()>| {
        let succeeded = result.is_ok();
        if let Err(why) = result {
            error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
        }
        succeeded
    };
    let stages = stages_of(parts);
    for stage in stages {
        let work = move || {
            let mut steps = Steps::default();
            let needs = needs_of(parts);
            match stage {
                Stage::Programs => setup::add_programs(&mut steps, workspace, &needs),
                Stage::Tools => setup::add_python_tools(&mut steps, workspace, &needs),
                Stage::Packages => setup::add_packages(&mut steps, workspace, &needs),
                Stage::Installed => add_install(&mut steps, workspace, parts, lanes, pace),
                Stage::Built => {
                    setup::add_wheels(&mut steps, workspace, &needs);
                    add_build(&mut steps, workspace, parts, lanes, pace);
                }
            }
            succeeds(steps.run_beside_others())
        };
        // Of two that may start, the one on which more waits is first.
        let seconds = if stage == Stage::Packages { 0 } else { 1 };
        let (needs, work) = (stage.needs().to_vec(), Box::new(work));
        jobs.push(Job { seconds, uses: None, needs, makes: Some(stage), work });
    }
    for ((part, selection), report) in parts.iter().zip(selections).zip(&reports) {
        let work = move || {
            let pace = *pace.lock().unwrap_or_else(PoisonError::into_inner);
            let context = Context { workspace, pace, is_full, arguments: &options.pytest, selection, sites };
            println!("start   {}", part.name);
            let start = Instant::now();
            // A part that cannot run is a part that failed; the others still have something to tell.
            let result = result_of(part, &context, options)
                .unwrap_or_else(|error| Report::failed(format!("{error:#}")));
            let seconds = start.elapsed().as_secs_f64();
            tell(part, seconds, &result);
            // Each job has a cell of its own, which is empty.
            let _ = report.set((seconds, result));
            true
        };
        let (seconds, uses) = (part.seconds, part.uses);
        let needs = stages_for(part).into_iter().collect();
        jobs.push(Job { seconds, uses, needs, makes: None, work: Box::new(work) });
    }
    lanes::run(jobs, lanes);
    if let Some(error) = first_error.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let rows = parts.iter().zip(reports).map(|(part, report)| {
        // A part that panicked has told why.
        let panicked = || (0.0, Report::failed("it panicked".to_owned()));
        let (seconds, report) = report.into_inner().unwrap_or_else(panicked);
        Row { name: part.name, seconds, report }
    });
    Ok(rows.collect())
}

/// Runs a part, unless it has passed with the same files before and the user has not asked for it.
fn result_of(part: &Part, context: &Context<'_>, options: &Options) -> Result<Report> {
    if context.is_narrow() {
        return (part.run)(context);
    }
    let remembered = Remembered::of(context.workspace, part)?;
    let may_be_left_out = !options.full && options.only.is_empty();
    if let Some(report) = remembered.as_ref().filter(|_| may_be_left_out).and_then(Remembered::report) {
        return Ok(report);
    }
    let report = (part.run)(context)?;
    if let Some(remembered) = remembered {
        remembered.note(&report)?;
    }
    Ok(report)
}

fn lanes_of_this_machine() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get).min(LANES)
}

/// The stages that a part waits for.
fn stages_for(part: &Part) -> BTreeSet<Stage> {
    let of_need = |need: &Need| match need {
        Need::PythonTools | Need::DocsTools => Some(Stage::Tools),
        Need::NodePackages | Need::ReleasePackages => Some(Stage::Packages),
        Need::PyodideWheels => Some(Stage::Built),
        // Nobody installs them here: they are there, or the part says what is missing.
        Need::RustLints => None,
        _ => Some(Stage::Programs),
    };
    let of_product = |product: &Product| match product {
        Product::NativeWheel | Product::Installed => Stage::Installed,
        _ => Stage::Built,
    };
    part.needs.iter().filter_map(of_need).chain(part.products.iter().map(of_product)).collect()
}

/// The stages that parts wait for, with those before them.
fn stages_of(parts: &[&Part]) -> Vec<Stage> {
    let needed: BTreeSet<Stage> = parts.iter().flat_map(|part| stages_for(part)).collect();
    Stage::ALL.into_iter().filter(|stage| needed.iter().any(|other| stage.leads_to(*other))).collect()
}

/// Tells what a part came to: of a failure its own lines first, then how to run it alone.
fn tell(part: &Part, seconds: f64, report: &Report) {
    let mut text = format!("{:7} {:13} {seconds:6.1} s  {}\n", report.status(), part.name, report.summary);
    if report.failed > 0 {
        text = format!("\n{}\n\n{text}{}\n", report.output.trim_end(), commands(part.name, report));
    }
    // A single call prints everything, so that the lines of two lanes do not mix.
    print!("{text}");
}

/// The commands that run the failed tests of a part alone.
fn commands(part: &str, report: &Report) -> String {
    let quoted = if part.contains(' ') { format!("'{part}'") } else { part.to_owned() };
    let matrix = if part.contains('+') { "--matrix " } else { "" };
    let command = format!("cargo xtask test {matrix}--only {quoted}");
    let ids: BTreeSet<&str> = report
        .tests
        .iter()
        .filter(|test| test.ending == Ending::Failed)
        .map(|test| test.id.as_str())
        .collect();
    if ids.is_empty() {
        return format!("run it alone:\n  {command}\n");
    }
    let mut text = String::from("run them alone:\n");
    for id in ids.iter().take(MOST_COMMANDS) {
        text.push_str(&format!("  {command} -- {}\n", in_quotes(id)));
    }
    if ids.len() > MOST_COMMANDS {
        text.push_str(&format!("  cargo xtask test --rerun-failed   # all {}\n", ids.len()));
    }
    text
}

/// Quotes a word for a shell.
fn in_quotes(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The needs of the parts.
fn needs_of(parts: &[&Part]) -> Vec<Need> {
    let needs: BTreeSet<Need> = parts.iter().flat_map(|part| part.needs).copied().collect();
    needs.into_iter().collect()
}

/// Adds the steps that build the native wheel and install it, if a part uses it.
///
/// It comes before the wheel for Pyodide, whose build takes several times as long: meanwhile the tests of the native one run.
fn add_install<'a>(
    steps: &mut Steps<'a>,
    workspace: &'a Workspace,
    parts: &[&Part],
    lanes: usize,
    pace: &'a Mutex<f64>,
) {
    let products = products_of(parts);
    if products.contains(&Product::NativeWheel) || products.contains(&Product::Installed) {
        steps.add("building the native wheel", || wheel::build(workspace, Kind::Native));
    }
    if products.contains(&Product::Installed) {
        steps.add("installing the native wheel", || {
            setup::python::ensure_library(workspace, &wheel::find(workspace, Kind::Native)?)
        });
        add_measurement(steps, workspace, Measure::Python, lanes, pace);
    }
}

/// Adds the steps that build the other products that the parts use, each once.
fn add_build<'a>(
    steps: &mut Steps<'a>,
    workspace: &'a Workspace,
    parts: &[&Part],
    lanes: usize,
    pace: &'a Mutex<f64>,
) {
    let products = products_of(parts);
    let any = |wanted: &[Product]| wanted.iter().any(|product| products.contains(product));
    steps.add("building the wheel for Pyodide", || wheel::build(workspace, Kind::Wasm));
    if any(&[Product::Pyodide029]) {
        steps.add("adding the wheel to Pyodide 0.29", || pyodide::assemble(workspace, Pyodide::V0_29));
    }
    if any(&[Product::Pyodide315]) {
        steps.add("adding the wheel to Pyodide 315", || pyodide::assemble(workspace, Pyodide::V315));
    }
    if any(&[Product::Site]) {
        site::add_assembly(steps, workspace, Pyodide::V314);
    } else if any(&[Product::Pyodide314]) {
        steps.add("adding the wheel to Pyodide 314", || pyodide::assemble(workspace, Pyodide::V314));
    }
    add_measurement(steps, workspace, Measure::Pyodide, lanes, pace);
}

fn products_of(parts: &[&Part]) -> BTreeSet<Product> {
    parts.iter().flat_map(|part| part.products).copied().collect()
}

/// Adds the step that measures how slow the machine is, for the parts that start after it.
fn add_measurement<'a>(
    steps: &mut Steps<'a>,
    workspace: &'a Workspace,
    measure: Measure,
    lanes: usize,
    pace: &'a Mutex<f64>,
) {
    steps.add("measuring how slow the machine is", move || {
        let Pace { factor, reason } = pace::measure(workspace, measure, lanes)?;
        *pace.lock().unwrap_or_else(PoisonError::into_inner) = factor;
        Ok(Outcome::Note(format!("limits are {factor:.1} times as long: {reason}")))
    });
}

#[cfg(test)]
mod tests {
    use super::report::Test;
    use super::*;

    /// The command can be copied into a shell, whatever the test's parameters are.
    #[test]
    fn each_failed_test_has_its_command() {
        let id = "test_shared.py::test_it[plain-it's a name]".to_owned();
        let test = Test { run: "browser-chromium".into(), id, seconds: 1.0, ending: Ending::Failed };
        let report = Report { failed: 1, tests: vec![test], ..Report::default() };
        let text = commands("browser", &report);
        let command = r"  cargo xtask test --only browser -- 'test_shared.py::test_it[plain-it'\''s a name]'";
        assert!(text.contains(command), "{text}");
        let text = commands("0.6.60 + 314", &Report::failed("why".into()));
        assert!(text.contains("  cargo xtask test --matrix --only '0.6.60 + 314'\n"), "{text}");
    }
}
