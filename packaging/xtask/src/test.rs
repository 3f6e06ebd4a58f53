//! Runs every check of the project, each as a part with a name, and goes on after one that fails.
//!
//! The parts judge what users get: the wheels that were built, never the source tree.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::arguments::Arguments;
use crate::pyodide::{self, Pyodide};
use crate::setup::{self, Need};
use crate::site;
use crate::steps::Steps;
use crate::wheel::{self, Kind};
use crate::workspace::Workspace;

mod artefacts;
pub(crate) mod counts;
mod javascript;
mod pages;
pub(crate) mod python;
mod rust;
mod transport;

/// Something that is built before the parts run.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Product {
    WasmWheel,
    NativeWheel,
    /// The native wheel, installed among the Python tools.
    Installed,
    Pyodide314,
    Pyodide029,
    Site,
}

/// What a part came to.
struct Report {
    passed: u64,
    failed: u64,
    /// What it ran, in a few words.
    summary: String,
    /// What to show if it failed.
    output: String,
}

impl Report {
    /// Reports one check that holds.
    fn passed(summary: impl Into<String>) -> Self {
        Self { passed: 1, failed: 0, summary: summary.into(), output: String::new() }
    }

    /// Reports one check that ran a program.
    fn of(succeeded: bool, summary: impl Into<String>, output: String) -> Self {
        Self { passed: succeeded.into(), failed: (!succeeded).into(), summary: summary.into(), output }
    }

    /// Reports that nothing could be checked here, and why.
    fn skipped(reason: impl Into<String>) -> Self {
        Self { passed: 0, failed: 0, summary: format!("skipped: {}", reason.into()), output: String::new() }
    }

    fn failed(output: String) -> Self {
        Self { passed: 0, failed: 1, summary: String::new(), output }
    }
}

/// Reports the tests of one run; one that ran none, or fails without a failed test, failed.
fn of_counts(succeeded: bool, counts: &counts::Counts, what: &str, output: String) -> Report {
    let failed = if succeeded && counts.passed > 0 { counts.failed } else { counts.failed.max(1) };
    let mut summary = format!("{} {what}", counts.passed + counts.failed);
    if counts.skipped > 0 {
        summary.push_str(&format!(" ({} skipped)", counts.skipped));
    }
    Report { passed: counts.passed, failed, summary, output }
}

/// A named set of checks.
struct Part {
    name: &'static str,
    needs: &'static [Need],
    products: &'static [Product],
    run: fn(&Workspace) -> Result<Report>,
}

const PARTS: &[Part] = &[
    Part { name: "rustfmt", needs: &[Need::RustLints], products: &[], run: rust::format },
    Part { name: "clippy", needs: &[Need::RustLints], products: &[], run: rust::lint },
    Part { name: "cargo-test", needs: &[], products: &[], run: rust::test },
    Part { name: "session-model", needs: &[], products: &[], run: rust::session_model },
    Part { name: "ruff", needs: &[Need::PythonTools], products: &[], run: python::lint },
    Part { name: "mypy", needs: &[Need::PythonTools], products: &[], run: python::types },
    Part { name: "arrows", needs: &[Need::PythonTools], products: &[], run: python::arrows },
    Part {
        name: "typing",
        needs: &[Need::PythonTools, Need::NodePackages],
        products: &[Product::Installed],
        run: python::checkers,
    },
    Part {
        name: "stubtest",
        needs: &[Need::PythonTools],
        products: &[Product::Installed],
        run: python::stubs,
    },
    Part { name: "pytest", needs: &[Need::PythonTools], products: &[Product::Installed], run: python::suite },
    Part {
        name: "local",
        needs: &[Need::PythonTools],
        products: &[Product::Installed],
        run: python::subprocesses,
    },
    Part {
        name: "pyodide-314",
        needs: &site::NEEDS,
        products: &[Product::Pyodide314],
        run: python::suite_in_314,
    },
    Part {
        name: "pyodide-0.29",
        needs: &site::NEEDS,
        products: &[Product::Pyodide029],
        run: python::suite_in_029,
    },
    Part {
        name: "spawn-node",
        needs: &site::NEEDS,
        products: &[Product::Pyodide314],
        run: python::spawn_in_node,
    },
    Part { name: "javascript", needs: &[Need::NodePackages], products: &[], run: javascript::check },
    Part { name: "transport", needs: &[Need::NodePackages], products: &[], run: transport::check },
    Part { name: "browser", needs: &PAGES, products: &[Product::Site], run: pages::browser },
    Part { name: "firefox", needs: &FIREFOX, products: &[Product::Site], run: pages::firefox },
    Part { name: "webkit", needs: &WEBKIT, products: &[Product::Site], run: pages::webkit },
    Part {
        name: "patterns",
        needs: &ENGINES,
        products: &[Product::Site, Product::Pyodide029],
        run: pages::patterns,
    },
    Part { name: "demo", needs: &PAGES, products: &[Product::Site], run: pages::demo },
    Part { name: "online", needs: &PAGES, products: &[Product::Site], run: pages::online },
    Part {
        name: "wheels",
        needs: &WHEELS,
        products: &[Product::WasmWheel, Product::NativeWheel],
        run: artefacts::wheels,
    },
    Part {
        name: "reproducible",
        needs: &WHEELS,
        products: &[Product::WasmWheel],
        run: artefacts::reproducible,
    },
    Part { name: "files", needs: &[], products: &[], run: artefacts::files },
];

/// The oldest PyScript 0.6 and 0.7 that work, and the newest, each with the Pyodides that are supported:
/// docs/migrating.md has what the oldest ones lack.
const MATRIX: &[Part] = &[
    Part {
        name: "0.6.60 + 314",
        needs: &PAGES,
        products: &PAIR,
        run: |workspace| pages::combination(workspace, "pyscript-06", Pyodide::V314),
    },
    Part {
        name: "0.6.60 + 0.29",
        needs: &PAGES,
        products: &PAIR,
        run: |workspace| pages::combination(workspace, "pyscript-06", Pyodide::V0_29),
    },
    Part {
        name: "0.7.0 + 314",
        needs: &PAGES,
        products: &PAIR,
        run: |workspace| pages::combination(workspace, "pyscript-07", Pyodide::V314),
    },
    Part {
        name: "0.7.0 + 0.29",
        needs: &PAGES,
        products: &PAIR,
        run: |workspace| pages::combination(workspace, "pyscript-07", Pyodide::V0_29),
    },
    Part {
        name: "0.7.31 + 314",
        needs: &PAGES,
        products: &PAIR,
        run: |workspace| pages::combination(workspace, "@pyscript/core", Pyodide::V314),
    },
    Part {
        name: "0.7.31 + 0.29",
        needs: &PAGES,
        products: &PAIR,
        run: |workspace| pages::combination(workspace, "@pyscript/core", Pyodide::V0_29),
    },
];

const PAIR: [Product; 2] = [Product::Site, Product::Pyodide029];
const WHEELS: [Need; 3] = [Need::PythonTools, Need::WasmCompiler, Need::NodePackages];
const PAGES: [Need; 5] =
    [Need::PythonTools, Need::WasmCompiler, Need::PyodideWheels, Need::NodePackages, Need::Browser];

const FIREFOX: [Need; 5] =
    [Need::PythonTools, Need::WasmCompiler, Need::PyodideWheels, Need::NodePackages, Need::Firefox];
const ENGINES: [Need; 7] = [
    Need::PythonTools,
    Need::WasmCompiler,
    Need::PyodideWheels,
    Need::NodePackages,
    Need::Browser,
    Need::Firefox,
    Need::WebKit,
];
const WEBKIT: [Need; 5] =
    [Need::PythonTools, Need::WasmCompiler, Need::PyodideWheels, Need::NodePackages, Need::WebKit];

/// Sets up what the chosen parts need, runs them, and tells what each came to.
///
/// # Errors
/// If the set-up fails or a part is not known.
pub(crate) fn main(workspace: &Workspace, mut arguments: Arguments) -> Result<ExitCode> {
    let (only, list) = (arguments.values("--only")?, arguments.flag("--list"));
    // The newest combination runs in the other engines as parts of their own do.
    let all: Vec<&Part> = if arguments.flag("--matrix") {
        MATRIX.iter().chain(PARTS.iter().filter(|part| matches!(part.name, "firefox" | "webkit"))).collect()
    } else {
        PARTS.iter().collect()
    };
    arguments.finish()?;
    if list {
        all.iter().for_each(|part| println!("{}", part.name));
        return Ok(ExitCode::SUCCESS);
    }
    let parts = choose(&all, &only)?;
    prepare(workspace, &parts)?;
    let mut results = Vec::new();
    for (number, part) in (1..).zip(&parts) {
        print!("[{number}/{}] {} …", parts.len(), part.name);
        io::stdout().flush()?;
        let start = Instant::now();
        // A part that cannot run is a part that failed; the others still have something to tell.
        let report = (part.run)(workspace).unwrap_or_else(|error| Report::failed(format!("{error:#}")));
        let seconds = start.elapsed().as_secs_f64();
        println!(" {} {seconds:.1} s", status(&report));
        if report.failed > 0 {
            println!("{}\n", report.output.trim_end());
        }
        results.push((part.name, seconds, report));
    }
    Ok(conclude(&results))
}

fn choose(all: &[&'static Part], only: &[String]) -> Result<Vec<&'static Part>> {
    for name in only {
        if !all.iter().any(|part| part.name == name) {
            let names: Vec<&str> = all.iter().map(|part| part.name).collect();
            bail!("there is no part {name}; there are {}", names.join(", "));
        }
    }
    Ok(all
        .iter()
        .copied()
        .filter(|part| only.is_empty() || only.iter().any(|name| name == part.name))
        .collect())
}

/// Sets up and builds what the parts need, each thing once.
fn prepare(workspace: &Workspace, parts: &[&Part]) -> Result<()> {
    let needs: BTreeSet<Need> = parts.iter().flat_map(|part| part.needs).copied().collect();
    let products: BTreeSet<Product> = parts.iter().flat_map(|part| part.products).copied().collect();
    let needs: Vec<Need> = needs.into_iter().collect();
    let any = |wanted: &[Product]| wanted.iter().any(|product| products.contains(product));
    let mut steps = Steps::default();
    if !needs.is_empty() {
        setup::add(&mut steps, workspace, &needs);
    }
    if any(&[Product::WasmWheel, Product::Pyodide314, Product::Pyodide029, Product::Site]) {
        steps.add("building the wheel for Pyodide", || wheel::build(workspace, Kind::Wasm));
    }
    if any(&[Product::NativeWheel, Product::Installed]) {
        steps.add("building the native wheel", || wheel::build(workspace, Kind::Native));
    }
    if any(&[Product::Installed]) {
        steps.add("installing the native wheel", || setup::python::ensure_library(workspace));
    }
    if any(&[Product::Pyodide029]) {
        steps.add("adding the wheel to Pyodide 0.29", || pyodide::assemble(workspace, Pyodide::V0_29));
    }
    if any(&[Product::Site]) {
        site::add_assembly(&mut steps, workspace, Pyodide::V314);
    } else if any(&[Product::Pyodide314]) {
        steps.add("adding the wheel to Pyodide 314", || pyodide::assemble(workspace, Pyodide::V314));
    }
    steps.run()
}

fn status(report: &Report) -> &'static str {
    match report {
        Report { failed: 1.., .. } => "FAILED",
        Report { passed: 0, .. } => "none",
        _ => "ok",
    }
}

/// Prints a line for each part, then the sums.
fn conclude(results: &[(&str, f64, Report)]) -> ExitCode {
    println!();
    for (name, seconds, report) in results {
        println!("{name:13} {:6} {seconds:6.1} s  {}", status(report), report.summary);
    }
    let passed: u64 = results.iter().map(|(_, _, report)| report.passed).sum();
    let failed: u64 = results.iter().map(|(_, _, report)| report.failed).sum();
    println!("\n{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
