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
use self::extent::{Extent, Machine};
use self::lanes::{Job, Stage};
use self::memory::{Memory, Selection};
use self::pace::{Measure, Pace};
use self::parts::{Part, Product};
use self::remembered::{Remembered, Tools};
use self::report::{Ending, Report};
use self::sites::Sites;
use self::table::{LeftOut, Row};
use crate::disk;
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
mod extent;
mod javascript;
mod lanes;
mod memory;
pub(crate) mod pace;
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

/// The number of failed tests of a part that are named with the command that runs each.
const MOST_COMMANDS: usize = 10;

/// The number of lanes where the machine has as many cores.
const LANES: usize = 2;

/// The arguments of `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only these parts (see --list)
    #[arg(long, value_name = "PART", num_args = 1.., value_delimiter = ',')]
    only: Vec<String>,
    /// Tells what each part checks, and ends
    #[arg(long)]
    list: bool,
    /// Also runs the parts and the tests that repeat a check in another engine or Pyodide
    #[arg(long)]
    full: bool,
    /// Runs as with --full if the machine can end within so many minutes; otherwise runs plainly, and tells what was left out
    #[arg(long, value_name = "MINUTES", conflicts_with_all = ["full", "rerun_failed", "matrix"])]
    full_within: Option<NonZero<u32>>,
    /// Only the tests that failed when they last ran; they are kept in target/failed-tests.json
    #[arg(long)]
    rerun_failed: bool,
    /// Runs other parts: each supported PyScript in Chromium with each Pyodide, in Firefox and WebKit with Pyodide 314
    #[arg(long)]
    matrix: bool,
    /// The number of parts that run side by side
    #[arg(long, value_name = "N")]
    lanes: Option<NonZero<usize>>,
    /// Arguments for pytest, behind `--`: options such as `-k name`, files and tests such as `test_calls.py::test_sum`
    #[arg(last = true, value_name = "PYTEST")]
    pytest: Vec<String>,
}

impl Options {
    /// Which checks the run makes of those that repeat others.
    fn extent(&self) -> Extent {
        match self.full_within {
            // A test that the user names runs, wherever it repeats another.
            _ if self.full || self.rerun_failed || self.matrix || !self.pytest.is_empty() => Extent::Full,
            Some(minutes) => Extent::Within(minutes.get()),
            None => Extent::Plain,
        }
    }

    /// Whether nothing that an earlier run has found or made may stand for a check of this run.
    fn makes_anew(&self) -> bool {
        self.full || self.full_within.is_some()
    }
}

/// Sets up what the chosen parts need, runs them, and tells what each came to.
///
/// # Errors
/// If the set-up fails or a part is not known.
pub(crate) fn main(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let start = Instant::now();
    let all = parts::all(options.matrix);
    if options.list {
        print!("{}", table::list(&all));
        return Ok(ExitCode::SUCCESS);
    }
    if !options.pytest.is_empty() && options.only.is_empty() {
        bail!("arguments for pytest are for parts: name them by --only, before `--`");
    }
    let mut memory = Memory::read(workspace);
    let (mut chosen, mut left_out) =
        parts::choose(&all, &options.only, options.makes_anew() || options.rerun_failed)?;
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
    let (results, too_slow) = run(workspace, options, &chosen, &selections)?;
    let mut rows = Vec::new();
    for ((part, selection), result) in chosen.iter().zip(&selections).zip(results) {
        let Some((seconds, report)) = result else {
            left_out.push(part);
            continue;
        };
        let is_narrow = !options.pytest.is_empty() || *selection != Selection::Whole;
        memory.note(part.name, &report, is_narrow);
        rows.push(Row { name: part.name, seconds, report });
    }
    memory.write(workspace)?;
    let left_out = LeftOut { parts: left_out.iter().map(|part| part.name).collect(), too_slow };
    print!("{}", table::write(&rows, &left_out, start.elapsed().as_secs_f64()));
    let failed = rows.iter().any(|row| row.report.failed > 0);
    if failed {
        let told: String = rows.iter().map(|row| row.report.output.as_str()).collect();
        if let Some(remedy) = disk::remedy(workspace, &told) {
            println!("\n{remedy}");
        }
    }
    if rows.iter().all(|row| row.report.passed == 0) && !failed {
        bail!("no test ran; do the arguments for pytest choose one?");
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The report of a part, with the seconds that it took; nothing if the machine was too slow for it.
type Ran = Option<(f64, Report)>;

/// Runs parts in lanes, beside the build of what they need. Tells, too, why it left out checks, if the machine is the reason.
fn run(
    workspace: &Workspace,
    options: &Options,
    parts: &[&'static Part],
    selections: &[Selection],
) -> Result<(Vec<Ran>, Option<String>)> {
    // It belongs to modules that the tests of earlier runs have written.
    let _ = fs::remove_dir_all(workspace.bytecode_of(&env::temp_dir()));
    let extent = options.extent();
    let lanes = options.lanes.map_or_else(lanes_of_this_machine, NonZero::get).min(parts.len());
    // The few limits of parts that run before anything is built know of the lanes only.
    let machine = Mutex::new(Machine::unmeasured(lanes));
    let first_error: Mutex<Option<anyhow::Error>> = Mutex::new(None);
    let sites = Sites::new(options.makes_anew());
    let reports: Vec<OnceLock<Ran>> = parts.iter().map(|_| OnceLock::new()).collect();
    let tools = &Tools::default();
    let mut jobs = Vec::new();
    let (error, sites) = (&first_error, &sites);
    let measures = &Measures { workspace, lanes, extent, machine: &machine };
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
                Stage::Installed => add_install(&mut steps, parts, measures),
                Stage::Built => {
                    setup::add_wheels(&mut steps, workspace, &needs);
                    add_build(&mut steps, parts, measures);
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
        // Of the machine depends whether it runs; a part that the user names runs anyway.
        let waits_for_the_measurement =
            part.is_slow && options.only.is_empty() && matches!(extent, Extent::Within(_));
        let work = move || {
            let Machine { pace, too_slow } = measures.machine();
            let is_full = extent != Extent::Plain && too_slow.is_none();
            if waits_for_the_measurement && !is_full {
                // Each job has a cell of its own, which is empty.
                let _ = report.set(None);
                return true;
            }
            let context = Context { workspace, pace, is_full, arguments: &options.pytest, selection, sites };
            println!("start   {}", part.name);
            let start = Instant::now();
            // A part that cannot run is a part that failed; the others still have something to tell.
            let result = result_of(part, &context, options, tools)
                .unwrap_or_else(|error| Report::failed(format!("{error:#}")));
            let seconds = start.elapsed().as_secs_f64();
            tell(part, seconds, &result);
            let _ = report.set(Some((seconds, result)));
            true
        };
        let (seconds, uses) = (part.seconds, part.uses);
        let mut needs = stages_for(part);
        if waits_for_the_measurement {
            needs.insert(Stage::Built);
        }
        let needs = needs.into_iter().collect();
        jobs.push(Job { seconds, uses, needs, makes: None, work: Box::new(work) });
    }
    lanes::run(jobs, lanes);
    if let Some(error) = first_error.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    // A part that panicked has told why.
    let panicked = || Some((0.0, Report::failed("it panicked".to_owned())));
    let results = reports.into_iter().map(|report| report.into_inner().unwrap_or_else(panicked)).collect();
    Ok((results, measures.machine().too_slow))
}

/// Runs a part, unless it has passed with the same files before and the user has not asked for it.
fn result_of(part: &Part, context: &Context<'_>, options: &Options, tools: &Tools) -> Result<Report> {
    if context.is_narrow() {
        return (part.run)(context);
    }
    let remembered = Remembered::of(context.workspace, part, tools)?;
    let may_be_left_out = !options.makes_anew() && options.only.is_empty();
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
fn add_install<'a>(steps: &mut Steps<'a>, parts: &[&Part], measures: &'a Measures<'a>) {
    let (workspace, products) = (measures.workspace, products_of(parts));
    if products.contains(&Product::NativeWheel) || products.contains(&Product::Installed) {
        steps.add("building the native wheel", || wheel::build(workspace, Kind::Native));
    }
    if products.contains(&Product::Installed) {
        steps.add("installing the native wheel", || {
            setup::python::ensure_library(workspace, &wheel::find(workspace, Kind::Native)?)
        });
        measures.add(steps, Measure::Python);
    }
}

/// Adds the steps that build the other products that the parts use, each once.
fn add_build<'a>(steps: &mut Steps<'a>, parts: &[&Part], measures: &'a Measures<'a>) {
    let (workspace, products) = (measures.workspace, products_of(parts));
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
    measures.add(steps, Measure::Pyodide);
}

fn products_of(parts: &[&Part]) -> BTreeSet<Product> {
    parts.iter().flat_map(|part| part.products).copied().collect()
}

/// The measurements of the machine in one run.
struct Measures<'a> {
    workspace: &'a Workspace,
    lanes: usize,
    extent: Extent,
    machine: &'a Mutex<Machine>,
}

impl<'a> Measures<'a> {
    /// Tells what is known of the machine now.
    fn machine(&self) -> Machine {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds the step that measures how slow the machine is, for the parts that start after it.
    fn add(&'a self, steps: &mut Steps<'a>, measure: Measure) {
        steps.add("measuring how slow the machine is", move || {
            let Pace { factor, reason } = pace::measure(self.workspace, measure, self.lanes)?;
            let mut machine = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
            machine.note(factor, self.lanes, self.extent);
            let left_out =
                machine.too_slow.as_ref().map(|_| "; what only --full runs is left out from here on");
            let left_out = left_out.unwrap_or_default();
            Ok(Outcome::Note(format!("limits are {factor:.1} times as long: {reason}{left_out}")))
        });
    }
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
