//! `cargo xtask bench`: calls between page and worker and starts of workers (`browser`), or the codec alone.
//!
//! `cargo xtask bench codec` measures the codec against its peers, natively, in Pyodide and in Rust, and holds the result
//! against the goals. `cargo xtask bench calls` measures calls with both sides in one thread, by the time on the processor.
//! `cargo xtask bench compare BEFORE AFTER` tells what became slower between two commits' results.
//!
//! The measuring is done by `benches`; here the numbers become tables. The tables of a full run go to `benches/results`, since
//! the documentation cites them; the tables of a quick run go to `target/bench`, and are printed.

use std::fmt::Write as _;
use std::fs;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::process::{self, Limit};
use crate::pyodide::{self, Pyodide};
use crate::setup::browser::Engine;
use crate::setup::need::Need;
use crate::setup::{self, node};
use crate::site;
use crate::steps::{Outcome, Steps};
use crate::wheel::{self, Kind};
use crate::workspace::Workspace;

mod browser;
mod criterion;
mod figures;
mod readme;

use figures::OWN;

/// The longest that one run may take.
const LIMIT: Duration = Duration::from_secs(1500);

/// The peer that the goals are measured against.
const PICKLE: &str = "pickle 5";

/// The shape that has a goal of its own in Pyodide, and by how much it should be faster than pickle there.
const RECORDS: (&str, f64) = ("records", 1.5);

/// The shape that may be slower than by pickle, and by how much: an exception has many attributes of any type.
const EXCEPTIONS: (&str, f64) = ("exceptions", 0.5);

/// The arguments of `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// A benchmark that needs no browser
    #[arg(required_unless_present = "browser", conflicts_with = "browser")]
    benchmark: Option<Benchmark>,
    /// For `compare`: two commits, the earlier one first, or files of results with commas between them
    #[arg(value_name = "COMMIT", num_args = 2)]
    sides: Vec<String>,
    /// Calls between a page and its worker, and starts of workers, in these browsers
    #[arg(long, value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    browser: Vec<Engine>,
    /// Parts of the browser's benchmark with commas between them, such as `starts,small`; the results go to target/bench
    #[arg(long, requires = "browser")]
    only: Option<String>,
    /// Measures fewer rounds, without the codec in Rust and without the largest buffers; the results go to target/bench
    #[arg(long)]
    quick: bool,
}

/// A benchmark that needs no browser.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Benchmark {
    /// The codec: natively, in Pyodide and in Rust
    Codec,
    /// The processor time of calls
    Calls,
    /// Rows that became slower between two commits
    Compare,
    /// Starts of workers under Node
    Node,
    /// Draws the charts of the committed results anew, and writes the figures of README.md
    Charts,
}

/// Measures what the arguments name.
///
/// # Errors
/// If something cannot be built or measured.
pub(crate) fn main(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let quick = options.quick;
    if !options.browser.is_empty() {
        return browser::main(workspace, &options.browser, quick, options.only.as_deref());
    }
    match options.benchmark {
        Some(Benchmark::Compare) => compare(workspace, &options.sides),
        _ if !options.sides.is_empty() => bail!("only `bench compare` takes commits"),
        Some(Benchmark::Calls) => calls(workspace),
        Some(Benchmark::Node) => browser::node(workspace, quick),
        Some(Benchmark::Charts) => browser::charts(workspace),
        _ => codec(workspace, quick),
    }
}

/// Tells what became slower between two commits' results, by `benches/python/compare.py`.
fn compare(workspace: &Workspace, sides: &[String]) -> Result<ExitCode> {
    if sides.len() != 2 {
        bail!("`bench compare` needs two commits, or files of results: the one before and the one after");
    }
    let mut steps = Steps::default();
    setup::add(&mut steps, workspace, &[Need::PythonTools]);
    steps.run()?;
    let mut script = Command::new(workspace.python());
    script.arg(workspace.root().join("benches").join("python").join("compare.py")).args(sides);
    let status = script.current_dir(workspace.root()).status().context("Python does not start")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Measures calls with both sides in one thread, natively and in Pyodide.
fn calls(workspace: &Workspace) -> Result<ExitCode> {
    let (mut native, mut wasm) = (Value::Null, Value::Null);
    let mut steps = Steps::default();
    add_library(&mut steps, workspace);
    steps.add("measuring natively", || {
        measure(workspace, "calls-native", native_command(workspace, "calls.py"), false, &mut native)
    });
    steps.add("measuring in Pyodide 314 under Node", || {
        measure(workspace, "calls-pyodide", pyodide_command(workspace, "calls.mjs")?, false, &mut wasm)
    });
    steps.run()?;
    println!("\n{:#}", json!({ "native": native, "pyodide": wasm }));
    Ok(ExitCode::SUCCESS)
}

/// Measures the codec against its peers.
fn codec(workspace: &Workspace, quick: bool) -> Result<ExitCode> {
    let (mut native, mut wasm, mut rust) = (Value::Null, Value::Null, Value::Null);
    let mut steps = Steps::default();
    add_library(&mut steps, workspace);
    steps.add("measuring natively", || {
        measure(workspace, "native", native_command(workspace, "codec.py"), quick, &mut native)
    });
    steps.add("measuring in Pyodide 314 under Node", || {
        measure(workspace, "pyodide", pyodide_command(workspace, "codec.mjs")?, quick, &mut wasm)
    });
    if !quick {
        steps.add("measuring in Rust", || criterion::measure(workspace, LIMIT, &mut rust));
    }
    steps.run()?;
    let mut results = json!({ "quick": quick, "native": native, "pyodide": wasm });
    if !quick {
        results["rust"] = rust;
    }
    let table = table(&results)?;
    let numbers = workspace.results(true)?;
    fs::write(numbers.join("codec.json"), format!("{results:#}\n"))?;
    fs::write(workspace.results(quick)?.join("codec.md"), &table)?;
    println!("\n{table}");
    Ok(ExitCode::SUCCESS)
}

/// Adds the steps that have the library installed natively and in Pyodide.
fn add_library<'a>(steps: &mut Steps<'a>, workspace: &'a Workspace) {
    setup::add(steps, workspace, &site::NEEDS);
    steps.add("building the wheel for Pyodide", || wheel::build(workspace, Kind::Wasm));
    steps.add("building the native wheel", || wheel::build(workspace, Kind::Native));
    steps.add("installing the native wheel", || {
        setup::python::ensure_library(workspace, &wheel::find(workspace, Kind::Native)?)
    });
    steps.add("adding the wheel to Pyodide 314", || pyodide::assemble(workspace, Pyodide::V314));
}

fn native_command(workspace: &Workspace, script: &str) -> Command {
    let mut python = Command::new(workspace.python());
    python.arg(workspace.root().join("benches").join("python").join(script));
    python
}

fn pyodide_command(workspace: &Workspace, script: &str) -> Result<Command> {
    let mut node = Command::new(node::find(workspace)?);
    node.arg(workspace.root().join("benches").join("node").join(script));
    node.arg(Pyodide::V314.folder(workspace));
    Ok(node)
}

fn measure(
    workspace: &Workspace,
    name: &str,
    mut command: Command,
    quick: bool,
    result: &mut Value,
) -> Result<Outcome> {
    command.args(quick.then_some("--quick")).current_dir(workspace.target());
    let process::Run { succeeded, output, .. } =
        process::capture_within(workspace, &format!("bench-{name}"), &mut command, Limit::Total(LIMIT))?;
    // The progress stands before the JSON.
    let json = output.find("{\n").map(|start| &output[start..]);
    match json.map(serde_json::from_str) {
        Some(Ok(measured)) if succeeded => *result = measured,
        _ => bail!("the benchmark wrote no result:\n\n{output}"),
    }
    Ok(Outcome::Done)
}

/// Writes the results as one table in Markdown, with the peers' ratios and what goal is met.
fn table(results: &Value) -> Result<String> {
    let mut text = String::from("# The codec's speed\n\n");
    if results["quick"] == true {
        text.push_str("A quick run: fewer rounds, and noisier.\n\n");
    }
    text.push_str(
        "Made by `cargo xtask bench codec`. How many times faster than pickle, protocol 5 with out-of-band buffers: more \
         than 1 is faster. \"Both\" is encoding and decoding, with Python's collector on; behind it, with the time to free what was \
         decoded, and to collect then, as well. The ratios are medians of rounds in one process in which all take turns, \
         by the time on the processor \
         ([ADR 12](../../docs/adr/0012-how-the-codec-is-measured.md)). A peer without a number cannot give that shape \
         back as it was, or is not there (see below).\n\n",
    );
    let (native, wasm) = (rows(&results["native"])?, rows(&results["pyodide"])?);
    let mut peers: Vec<String> = Vec::new();
    for row in native.iter().chain(&wasm) {
        let new = row.peers.iter().map(|(name, _)| name).filter(|name| !peers.contains(name));
        peers.extend(new.cloned().collect::<Vec<_>>());
    }
    let others = peers.iter().map(|name| format!(" {name}, both |")).collect::<String>();
    let _ = writeln!(text, "| in | shape | encode | decode | both | goal | is | and free |{others}");
    let _ = writeln!(
        text,
        "| --- | --- | ---: | ---: | ---: | ---: | --- | ---: |{}",
        " ---: |".repeat(peers.len())
    );
    for (place, rows) in [("CPython", &native), ("Pyodide", &wasm)] {
        for row in rows {
            let goal = goal(place == "Pyodide", &row.shape);
            let is = if is_met(row.both, goal) { "met" } else { "**not met**" };
            let _ = write!(
                text,
                "| {place} | {} | {:.2} | {:.2} | {:.2} | {goal:.1} | {is} | {:.2} |",
                row.shape, row.encode, row.decode, row.both, row.whole
            );
            for peer in &peers {
                let ratio = row.peers.iter().find(|(name, _)| name == peer);
                let _ =
                    write!(text, " {} |", ratio.map_or("–".to_owned(), |(_, ratio)| format!("{ratio:.2}")));
            }
            text.push('\n');
        }
    }
    let all = native.iter().map(|row| (row, false)).chain(wasm.iter().map(|row| (row, true)));
    let (mut met, mut count) = (0, 0);
    for (row, in_pyodide) in all {
        count += 1;
        met += usize::from(is_met(row.both, goal(in_pyodide, &row.shape)));
    }
    let _ = writeln!(text, "\n{met} of {count} goals are met.");
    let _ = writeln!(text, "\n- machine: {}", machine());
    for place in ["native", "pyodide"] {
        let python = results[place]["python"].as_str().context("the benchmark names no Python")?;
        let _ = writeln!(text, "- {place}: {python}");
        for missing in results[place]["missing"].as_array().into_iter().flatten() {
            let _ = writeln!(text, "- not installed there: {}", missing.as_str().unwrap_or_default());
        }
    }
    if let Some(rows) = results["rust"].as_array() {
        text.push_str(&criterion::table(rows));
    }
    Ok(text)
}

/// Names the processor that measured.
fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{}, {cores} cores", name.map_or(std::env::consts::ARCH, |(_, name)| name))
}

/// The factor by which encoding and decoding a shape should be faster than pickle.
fn goal(in_pyodide: bool, shape: &str) -> f64 {
    match shape {
        _ if in_pyodide && shape == RECORDS.0 => RECORDS.1,
        _ if shape == EXCEPTIONS.0 => EXCEPTIONS.1,
        _ => 1.0,
    }
}

fn is_met(ratio: f64, goal: f64) -> bool {
    ratio >= goal
}

/// The ratios of one shape in one place.
struct Row {
    shape: String,
    encode: f64,
    decode: f64,
    both: f64,
    whole: f64,
    peers: Vec<(String, f64)>,
}

fn rows(results: &Value) -> Result<Vec<Row>> {
    let shapes = results["results"].as_array().filter(|shapes| !shapes.is_empty());
    shapes.context("the benchmark measured nothing")?.iter().map(row).collect()
}

fn row(result: &Value) -> Result<Row> {
    let shape = result["shape"].as_str().context("a shape without a name")?.to_owned();
    let measured = result["peers"].as_object().with_context(|| format!("{shape} was not measured"))?;
    let ratio = |peer: &str, what: &str| {
        let value = measured.get(peer).and_then(|peer| peer[format!("{what}_ratio")].as_f64());
        value.with_context(|| format!("{peer} did not {what} {shape}, or did not give it back as it was"))
    };
    let (encode, decode) = (ratio(OWN, "encode")?, ratio(OWN, "decode")?);
    let (both, whole) = (ratio(OWN, "both")?, ratio(OWN, "whole")?);
    let names = measured.keys().filter(|name| *name != OWN && *name != PICKLE);
    let peers = names.map(|name| Ok((name.clone(), ratio(name, "both")?))).collect::<Result<_>>()?;
    Ok(Row { shape, encode, decode, both, whole, peers })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(ratio: f64) -> Value {
        let codec = |ratio: f64| json!({"encode_ratio": ratio, "decode_ratio": ratio, "both_ratio": ratio, "whole_ratio": ratio});
        let peers = json!({"workerlib": codec(ratio), "pickle 5": codec(1.0), "marshal": codec(3.0)});
        let place = json!({"python": "a Python", "missing": ["orjson"], "results": [{"shape": "records", "peers": peers}]});
        json!({"quick": false, "native": place, "pyodide": place})
    }

    #[test]
    fn a_quick_run_leaves_the_committed_results_alone() {
        let root = std::env::temp_dir().join(format!("workerlib results {}", std::process::id()));
        let workspace = Workspace::at(root.clone());
        let folders = [false, true].map(|quick| workspace.results(quick));
        fs::remove_dir_all(&root).expect("both folders are there");
        let [full, quick] = folders.map(|folder| folder.expect("a folder"));
        assert_eq!(full, root.join("benches").join("results"));
        assert_eq!(quick, root.join("target").join("bench"));
    }

    #[test]
    fn each_place_has_its_goal() {
        let table = table(&results(1.2)).expect("a table");
        assert!(
            table.contains("| CPython | records | 1.20 | 1.20 | 1.20 | 1.0 | met | 1.20 | 3.00 |"),
            "{table}"
        );
        assert!(
            table.contains("| Pyodide | records | 1.20 | 1.20 | 1.20 | 1.5 | **not met** | 1.20 | 3.00 |"),
            "{table}"
        );
        assert!(table.contains("1 of 2 goals") && table.contains("not installed there: orjson"), "{table}");
    }

    #[test]
    fn a_missing_measurement_is_an_error() {
        let mut lacking = results(1.2);
        lacking["native"]["results"][0]["peers"]["workerlib"] = Value::Null;
        assert!(table(&lacking).is_err());
        lacking["native"]["results"] = json!([]);
        assert!(table(&lacking).is_err());
    }
}
