//! `cargo xtask`: the one way to build, show and test workerlib.
//!
//! Each command puts in place what it needs, says what it does, and fails loudly. As rustc's linker for wasm, this same program acts
//! in another role (see `linker`).

use std::env;
use std::process::{Command, ExitCode};

use anyhow::{Result, bail};

use crate::arguments::Arguments;
use crate::pyodide::Pyodide;
use crate::setup::Need;
use crate::steps::{Outcome, Steps};
use crate::wheel::Kind;
use crate::workspace::Workspace;

mod arguments;
mod bench;
mod compiler;
mod demo;
mod folder;
mod fuzz;
mod javascript;
mod linker;
mod process;
mod publish;
mod pyodide;
mod reproducible;
mod sanitize;
mod server;
mod setup;
mod site;
mod stamp;
mod steps;
mod test;
mod wheel;
mod workspace;

const HELP: &str = "\
cargo xtask COMMAND

  demo    builds all, and serves the demo page on http://localhost:8000
            --port N           another port
            --pyodide VERSION  314 (default), 0.29 or 315
            --no-isolation     no COOP and COEP headers
            --headless         drives the page in Chromium and checks what it shows (on a free port)
  serve   the same as demo
  wheel   builds the wheels into target/wheels
            --wasm             only the one for Pyodide
            --native           only the one for the Python of this machine
            --check-reproducible  builds the one for Pyodide in two folders and compares the bytes
  npm-package  makes the npm package in target/npm-package
  site    assembles target/site
            --pyodide VERSION
  publish writes target/publish, which serves workerlib as a remote package of PyScript's
            --address URL      where it will be served
  test    runs every check
            --only PART …      only these parts (see --list)
            --list             names the parts
            --matrix           instead: the supported PyScripts, each with the supported Pyodides, in Chromium, and the
                               newest of them in Firefox and WebKit
  bench   measures against peers, and writes tables into benches/results, of a quick run into target/bench
            codec              the codec, natively, in Pyodide and in Rust
            --browser NAME …   calls between a page and its worker, in chromium, firefox or webkit
            --quick            fewer rounds; of the codec not the Rust side, of buffers not the largest
  fuzz    runs the fuzz targets of the codec
            --executions N     how often each runs (1,000,000)
            --target NAME …    only these: decode, round_trip, plain
            --no-sanitizer     no address sanitizer (it needs a nightly compiler anyway)
  sanitize  runs the native tests of the codec under valgrind
            --only FILE …      only these files of tests/python
  help    shows this text";

fn main() -> ExitCode {
    let result = match env::var_os(linker::WASM_LD) {
        Some(wasm_ld) => linker::main(&wasm_ld),
        None => {
            let arguments: Vec<String> = env::args().skip(1).collect();
            run(&arguments)
        }
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(arguments: &[String]) -> Result<ExitCode> {
    let workspace = Workspace::of_this_program();
    let Some((command, rest)) = arguments.split_first() else {
        bail!("which command?\n\n{HELP}");
    };
    let rest = Arguments::new(rest);
    match command.as_str() {
        "demo" | "serve" => demo::main(&workspace, rest),
        "wheel" => wheel(&workspace, rest),
        "npm-package" => npm_package(&workspace, rest),
        "site" => site(&workspace, rest),
        "publish" => publish::main(&workspace, rest),
        "test" => test::main(&workspace, rest),
        "bench" => bench::main(&workspace, rest),
        "fuzz" => fuzz::main(&workspace, rest),
        "sanitize" => sanitize::main(&workspace, rest),
        "help" | "--help" | "-h" => {
            println!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        _ => bail!("there is no command {command}\n\n{HELP}"),
    }
}

fn wheel(workspace: &Workspace, mut arguments: Arguments) -> Result<ExitCode> {
    let (wasm, native) = (arguments.flag("--wasm"), arguments.flag("--native"));
    let reproducible = arguments.flag("--check-reproducible");
    arguments.finish()?;
    let all = !wasm && !native && !reproducible;
    let mut steps = Steps::default();
    let mut needs = vec![Need::PythonTools];
    if wasm || all || reproducible {
        needs.extend([Need::WasmCompiler, Need::NodePackages]);
    }
    setup::add(&mut steps, workspace, &needs);
    let mut add = |kind, name: &str| {
        steps.add(format!("building {name}"), move || wheel::build(workspace, kind));
        steps.add(format!("checking {name}"), move || wheel::check(workspace, kind).map(|_| Outcome::Done));
    };
    if wasm || all || reproducible {
        add(Kind::Wasm, "the wheel for Pyodide");
    }
    if native || all {
        add(Kind::Native, "the native wheel");
    }
    if reproducible {
        steps.add("building it again in another folder", || reproducible::check(workspace));
    }
    steps.run()?;
    Ok(ExitCode::SUCCESS)
}

fn npm_package(workspace: &Workspace, arguments: Arguments) -> Result<ExitCode> {
    arguments.finish()?;
    let mut steps = Steps::default();
    setup::add(&mut steps, workspace, &[Need::PythonTools, Need::WasmCompiler, Need::NodePackages]);
    steps.add("building the wheel for Pyodide", || wheel::build(workspace, Kind::Wasm));
    steps.add("making the npm package", || javascript::build_package(workspace));
    steps.run()?;
    println!("{}", javascript::npm_folder(workspace).display());
    Ok(ExitCode::SUCCESS)
}

fn site(workspace: &Workspace, mut arguments: Arguments) -> Result<ExitCode> {
    let pyodide = arguments.value("--pyodide")?.unwrap_or_else(|| "314".to_owned());
    arguments.finish()?;
    let mut steps = Steps::default();
    site::add(&mut steps, workspace, Pyodide::parse(workspace, &pyodide)?, &[]);
    steps.run()?;
    Ok(ExitCode::SUCCESS)
}

/// The cargo that runs this program.
fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}
