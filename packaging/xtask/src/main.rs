//! `cargo xtask`: the one way to build, show and test workerlib.
//!
//! Each command puts in place what it needs, says what it does, and fails loudly. This same program acts in two more roles, which
//! variables of its environment ask for: as rustc's linker for wasm (see `linker`), and as the warden of a run (see `groups`).

use std::env;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};

use crate::pyodide::Pyodide;
use crate::setup::need::Need;
use crate::steps::{Outcome, Steps};
use crate::wheel::Kind;
use crate::workspace::Workspace;

mod bench;
mod compiler;
mod demo;
mod disk;
mod docs;
mod folder;
mod fuzz;
mod groups;
mod javascript;
mod linker;
#[cfg(test)]
mod module_circles;
mod process;
mod publish;
mod pyodide;
mod release;
mod relocations;
mod reproducible;
mod sanitize;
mod server;
mod setup;
mod site;
mod soak;
mod stamp;
mod steps;
mod test;
mod wheel;
mod workspace;

/// The one way to build, show and test workerlib. It installs what it needs below `target`.
#[derive(Parser)]
#[command(name = "xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Builds everything, and serves the demo page on http://localhost:8000
    #[command(visible_alias = "serve")]
    Demo(demo::Options),
    /// Builds the wheels into target/wheels
    Wheel {
        /// Only the wheel for Pyodide
        #[arg(long)]
        wasm: bool,
        /// Only the wheel for the Python of this machine
        #[arg(long)]
        native: bool,
        /// Builds the wheel for Pyodide in two folders and compares the bytes
        #[arg(long)]
        check_reproducible: bool,
        /// Audits the wheel for Pyodide by pyodide-build, which needs Python 3.12 or later
        #[arg(long)]
        audit: bool,
    },
    /// Makes the npm package in target/npm-package, and its archive in target/npm-archive
    NpmPackage,
    /// Assembles target/site
    Site {
        /// Which Pyodide: 314, 0.29 or 315
        #[arg(long, value_name = "VERSION", default_value = "314")]
        pyodide: String,
    },
    /// Writes target/publish, which serves workerlib as a remote package of PyScript's
    Publish(publish::Options),
    /// Builds the documentation site in target/docs
    Docs(docs::Options),
    /// Makes and checks all files of a version in target/release-X; then commits and tags it
    Release(release::Options),
    /// Runs the checks, in two lanes side by side
    Test(test::Options),
    /// Measures against peers, and writes tables into benches/results
    Bench(bench::Options),
    /// Runs the fuzz targets of the codec
    Fuzz(fuzz::Options),
    /// Keeps a page and its workers busy for minutes, with faults at random; curves go to benches/results
    Soak(soak::Options),
    /// Runs the native tests of the codec under valgrind
    Sanitize(sanitize::Options),
}

fn main() -> ExitCode {
    let result = if let Some(wasm_ld) = env::var_os(linker::WASM_LD) {
        linker::main(&wasm_ld)
    } else if env::var_os(groups::WARDEN).is_some() {
        groups::guard()
    } else {
        run(&Arguments::parse().command)
    };
    result.unwrap_or_else(|error| {
        let error = format!("{error:#}");
        eprintln!("error: {error}");
        if let Some(remedy) = disk::remedy(&Workspace::of_this_program(), &error) {
            eprintln!("\n{remedy}");
        }
        ExitCode::FAILURE
    })
}

fn run(command: &Command) -> Result<ExitCode> {
    groups::end_with_this_program()?;
    let workspace = &Workspace::of_this_program();
    match command {
        Command::Demo(options) => demo::main(workspace, options),
        Command::Wheel { wasm, native, check_reproducible, audit } => {
            build_wheels(workspace, *wasm, *native, *check_reproducible, *audit)
        }
        Command::NpmPackage => npm_package(workspace),
        Command::Site { pyodide } => build_site(workspace, pyodide),
        Command::Publish(options) => publish::main(workspace, options),
        Command::Release(options) => release::main(workspace, options),
        Command::Docs(options) => docs::main(workspace, options),
        Command::Test(options) => test::main(workspace, options),
        Command::Bench(options) => bench::main(workspace, options),
        Command::Fuzz(options) => fuzz::main(workspace, options),
        Command::Soak(options) => soak::main(workspace, options),
        Command::Sanitize(options) => sanitize::main(workspace, options),
    }
}

fn build_wheels(
    workspace: &Workspace,
    wasm: bool,
    native: bool,
    reproducible: bool,
    audit: bool,
) -> Result<ExitCode> {
    let all = !wasm && !native && !reproducible && !audit;
    let wasm = wasm || reproducible || audit;
    let mut steps = Steps::default();
    let mut needs = vec![Need::PythonTools];
    if wasm || all {
        needs.extend([Need::WasmCompiler, Need::NodePackages]);
    }
    setup::add(&mut steps, workspace, &needs);
    let mut add = |kind, name: &str| {
        steps.add(format!("building {name}"), move || wheel::build(workspace, kind));
        steps.add(format!("checking {name}"), move || wheel::check(workspace, kind).map(|_| Outcome::Done));
    };
    if wasm || all {
        add(Kind::Wasm, "the wheel for Pyodide");
    }
    if native || all {
        add(Kind::Native, "the native wheel");
    }
    if reproducible {
        steps.add("building it again in another folder", || reproducible::check(workspace));
    }
    if audit {
        steps.add("auditing it by pyodide-build", || match release::checks::python_for_audit()? {
            Some(python) => {
                release::checks::audit(workspace, &[wheel::find(workspace, Kind::Wasm)?], &python)
            }
            None => Ok(Outcome::Note("left out: there is no Python 3.12 or later here".into())),
        });
    }
    steps.run()?;
    Ok(ExitCode::SUCCESS)
}

fn npm_package(workspace: &Workspace) -> Result<ExitCode> {
    let folder = workspace.target().join("npm-archive");
    let mut steps = Steps::default();
    setup::add(&mut steps, workspace, &[Need::PythonTools, Need::WasmCompiler, Need::NodePackages]);
    steps.add("building the wheel for Pyodide", || wheel::build(workspace, Kind::Wasm));
    steps.add("making the npm package", || {
        javascript::build_package(workspace, &wheel::find(workspace, Kind::Wasm)?)
    });
    steps.add("making its archive", || {
        folder::empty(&folder)?;
        javascript::pack(workspace, &folder).map(|_| Outcome::Done)
    });
    steps.run()?;
    let archives = stamp::files_under(&folder)?;
    let archive = archives.first().context("npm made no archive")?;
    println!("\nin the folder of your page: npm install {}", archive.display());
    Ok(ExitCode::SUCCESS)
}

fn build_site(workspace: &Workspace, pyodide: &str) -> Result<ExitCode> {
    let mut steps = Steps::default();
    site::add(&mut steps, workspace, Pyodide::parse(workspace, pyodide)?, &[]);
    steps.run()?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    /// clap's own check of the arguments' definitions: names that collide, and the like.
    #[test]
    fn the_arguments_are_well_defined() {
        Arguments::command().debug_assert();
    }

    /// Several parts behind one --only, and pytest's arguments behind `--`.
    #[test]
    fn parts_and_arguments_of_pytest_are_told_apart() {
        let line = "xtask test --only browser firefox,webkit --full -- -k sum test_calls.py";
        assert!(Arguments::try_parse_from(line.split(' ')).is_ok());
        assert!(Arguments::try_parse_from(["xtask", "test", "--onyl", "browser"]).is_err());
        assert!(Arguments::try_parse_from(["xtask", "bench"]).is_err());
        assert!(Arguments::try_parse_from(["xtask", "bench", "--browser", "chromium", "--quick"]).is_ok());
    }
}
