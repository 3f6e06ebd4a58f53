//! `cargo xtask bench --browser ENGINE …`: measures calls between a page and its worker against their peers.
//!
//! The page in `benches/browser` measures, once with isolation headers and once without. Here the numbers become a table, and
//! `benches/node/charts.mjs` draws charts of them. In Firefox and WebKit a quick run is enough: the published results are
//! Chromium's. Starts of workers are also measured under Node.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::figures::{OWN, digits, word};
use super::readme;
use crate::process::{self, Limit};
use crate::pyodide::Pyodide;
use crate::server::{self, Site};
use crate::setup::browser::Engine;
use crate::setup::node;
use crate::site;
use crate::steps::{Outcome, Steps};
use crate::workspace::Workspace;

/// The longest that one page may take.
const LIMIT: Duration = Duration::from_secs(7200);
/// The pages that are measured: what they are called, and whether they are isolated.
const PAGES: [(&str, bool); 2] = [("isolated", true), ("plain", false)];

/// Measures in these engines.
///
/// # Errors
/// If something cannot be built or measured.
pub(super) fn main(
    workspace: &Workspace,
    engines: &[Engine],
    quick: bool,
    only: Option<&str>,
) -> Result<ExitCode> {
    let needs: Vec<_> = engines.iter().map(|engine| engine.need()).collect();
    let mut steps = Steps::default();
    site::add(&mut steps, workspace, Pyodide::V314, &needs);
    steps.run()?;
    for &engine in engines {
        if engine.find().is_none() {
            println!("{} is not here and cannot be installed", engine.name());
            continue;
        }
        let mut results = vec![Value::Null; PAGES.len()];
        let mut steps = Steps::default();
        for ((page, isolated), result) in PAGES.into_iter().zip(&mut results) {
            steps.add(format!("measuring in {}, {page}", engine.name()), move || {
                measure(workspace, engine, isolated, quick, only, result)
            });
        }
        steps.run()?;
        let sections: Vec<_> = PAGES.into_iter().map(|(page, _)| page).zip(results).collect();
        // A part of the results must not take the place of the whole.
        let folder = workspace.results(quick || only.is_some())?;
        let title = format!("Calls between a page and its worker, in {}", engine.name());
        let text = write(&folder, engine.name(), &title, &sections, quick)?;
        draw(workspace, &folder, engine.name())?;
        if engine == Engine::Chromium && !quick && only.is_none() {
            readme::write(workspace)?;
        }
        println!("\n{text}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Measures starts of workers under Node.
///
/// # Errors
/// If something cannot be built or measured.
pub(super) fn node(workspace: &Workspace, quick: bool) -> Result<ExitCode> {
    let mut result = Value::Null;
    let mut steps = Steps::default();
    site::add(&mut steps, workspace, Pyodide::V314, &[]);
    steps.add("measuring under Node", || {
        let mut node = Command::new(node::find(workspace)?);
        node.arg(workspace.root().join("benches").join("node").join("starts.mjs"));
        node.arg(Pyodide::V314.folder(workspace)).args(quick.then_some("--quick"));
        result = results_of(workspace, "bench-node", &mut node)?;
        Ok(Outcome::Done)
    });
    steps.run()?;
    let folder = workspace.results(quick)?;
    let sections = [("node", result)];
    let text = write(&folder, "node", "Starts of workers under Node", &sections, quick)?;
    draw(workspace, &folder, "node")?;
    println!("\n{text}");
    Ok(ExitCode::SUCCESS)
}

/// Draws the charts of the committed results anew, and writes the figures of README.md.
///
/// # Errors
/// If there is no Node, or a file of results is not what it should be.
pub(super) fn charts(workspace: &Workspace) -> Result<ExitCode> {
    let folder = workspace.results(false)?;
    for name in ["chromium", "node"] {
        if folder.join(format!("{name}.json")).exists() {
            draw(workspace, &folder, name)?;
        }
    }
    readme::write(workspace)?;
    Ok(ExitCode::SUCCESS)
}

/// Draws the charts of results that have been written into a folder.
fn draw(workspace: &Workspace, folder: &Path, name: &str) -> Result<()> {
    let mut node = Command::new(node::find(workspace)?);
    node.arg(workspace.root().join("benches").join("node").join("charts.mjs")).arg(folder).arg(name);
    process::run(workspace, "bench-charts", &mut node).map(drop)
}

fn measure(
    workspace: &Workspace,
    engine: Engine,
    isolated: bool,
    quick: bool,
    only: Option<&str>,
    result: &mut Value,
) -> Result<Outcome> {
    let server =
        server::start(Site { mounts: vec![("/", site::folder(workspace))], isolated, ..Site::default() }, 0)?;
    let mut drive = Command::new(workspace.python());
    drive.arg(workspace.root().join("benches").join("browser").join("drive.py"));
    drive.args([engine.name(), &server.url()]).args(quick.then_some("--quick"));
    drive.args(only.into_iter().flat_map(|part| ["--only", part]));
    drive.envs(engine.find().with_context(|| format!("{} is missing", engine.name()))?);
    *result = results_of(workspace, &format!("bench-{}", engine.name()), &mut drive)?;
    Ok(Outcome::Done)
}

/// Runs what measures, and reads the JSON that it prints.
fn results_of(workspace: &Workspace, name: &str, command: &mut Command) -> Result<Value> {
    command.current_dir(workspace.target());
    let process::Run { succeeded, output, .. } =
        process::capture_within(workspace, name, command, Limit::Total(LIMIT))?;
    // The page's console stands before the JSON.
    let json = output.find("{\n").map(|start| &output[start..]);
    match json.map(serde_json::from_str) {
        Some(Ok(measured)) if succeeded => Ok(measured),
        _ => bail!("the benchmark wrote no result:\n\n{output}"),
    }
}

/// Writes table and numbers into a folder, and returns the table.
fn write(folder: &Path, name: &str, title: &str, sections: &[(&str, Value)], quick: bool) -> Result<String> {
    let mut text = format!("# {title}\n");
    if quick {
        text.push_str("\nA quick run: fewer rounds, smaller buffers, and noisier.\n");
    }
    let mut numbers = serde_json::Map::new();
    for (page, measured) in sections {
        text.push_str(&section(page, measured)?);
        numbers.insert((*page).to_owned(), measured.clone());
    }
    fs::write(folder.join(format!("{name}.json")), format!("{:#}\n", Value::Object(numbers)))?;
    fs::write(folder.join(format!("{name}.md")), &text)?;
    Ok(text)
}

/// Writes one page's results in Markdown: its goals, then its rows, each peer's median with workerlib's ratio to it.
fn section(page: &str, results: &Value) -> Result<String> {
    let rows = results["rows"].as_array().filter(|rows| !rows.is_empty()).context("nothing was measured")?;
    let goals = results["goals"].as_array().context("there are no goals")?;
    let heading = match page {
        "isolated" => "Isolated page",
        "node" => "Node",
        _ => "Page without isolation",
    };
    let mut text = format!("\n## {heading}\n\n");
    // A part of the benchmark does not tell where it ran.
    if let Some(agent) = results["agent"].as_str() {
        let pyodide = word(&results["pyodide"]);
        let _ = writeln!(text, "{agent}; {} processors; Pyodide {pyodide}.\n", results["cores"]);
    }
    text.push_str("| goal | wanted | is | |\n| --- | --- | ---: | --- |\n");
    for goal in goals {
        let is = if goal["met"] == true { "met" } else { "**not met**" };
        let value = goal["value"].as_f64().context("a goal without a value")?;
        let _ = writeln!(text, "| {} | {} | {value:.2} | {is} |", word(&goal["name"]), word(&goal["goal"]));
    }
    text.push_str(
        "\nMedians of rounds in which all take turns. In brackets: how many times as long workerlib takes; below 1 it is \
         faster.\n",
    );
    let mut group = Value::Null;
    let mut peers = BTreeSet::new();
    for row in rows {
        let values = row["values"].as_object().context("a row without values")?;
        if row["group"] != group {
            group = row["group"].clone();
            peers = peers_of(rows, &group);
            let head = peers.iter().map(|peer| format!(" {peer} |")).collect::<String>();
            let _ = write!(text, "\n| {} | unit |{head}\n| --- | --- |", word(&group));
            text.push_str(&" ---: |".repeat(peers.len()));
            text.push('\n');
        }
        let _ = write!(text, "| {} | {} |", word(&row["name"]), word(&row["unit"]));
        for &peer in &peers {
            let Some(value) = values.get(peer) else {
                text.push_str(" – |");
                continue;
            };
            let value = value.as_f64().with_context(|| format!("{peer} has no number"))?;
            let _ = match row["ratios"][peer].as_f64() {
                Some(ratio) if peer != OWN => write!(text, " {} ({ratio:.2}) |", digits(value)),
                _ => write!(text, " {} |", digits(value)),
            };
        }
        text.push('\n');
        let details = row["details"].as_object().into_iter().flatten();
        let tails: Vec<String> = details
            .filter_map(|(peer, times)| {
                let [p95, p99] = [times["p95"].as_f64()?, times["p99"].as_f64()?];
                (row["group"] == "small call").then(|| format!("{peer} {} / {}", digits(p95), digits(p99)))
            })
            .collect();
        if !tails.is_empty() {
            let _ = writeln!(
                text,
                "\np95 / p99 of single calls in {}: {}.",
                word(&row["unit"]),
                tails.join("; ")
            );
        }
    }
    text.push_str(&missing(rows));
    Ok(text)
}

/// Names the peers that could do any row of a group.
fn peers_of<'a>(rows: &'a [Value], group: &Value) -> BTreeSet<&'a String> {
    let of_group = rows.iter().filter(|row| row["group"] == *group);
    of_group.filter_map(|row| row["values"].as_object()).flat_map(|values| values.keys()).collect()
}

/// Tells which peers dropped out of which row, and why.
fn missing(rows: &[Value]) -> String {
    let mut text = String::new();
    for row in rows {
        for (peer, reason) in row["missing"].as_object().into_iter().flatten() {
            let [group, name, reason] = [&row["group"], &row["name"], reason].map(word);
            let _ = write!(text, "\n- {peer} cannot do {group}, {name}: {reason}");
        }
    }
    if text.is_empty() { text } else { format!("{text}\n") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn results() -> Value {
        json!({
            "agent": "a browser", "cores": 2, "pyodide": "314",
            "goals": [
                {"name": "small call", "goal": "<= 2", "value": 1.5, "met": true},
                {"name": "records", "goal": "<= 1", "value": 2.5, "met": false},
            ],
            "rows": [{
                "group": "small call", "name": "mean", "unit": "us",
                "values": {"workerlib": 60.0, "JS ping": 40.0},
                "ratios": {"workerlib": 1.0, "JS ping": 1.5},
                "details": {"workerlib": {"median": 55.0, "p95": 80.0, "p99": 101.0}},
            }],
        })
    }

    #[test]
    fn goals_and_ratios_are_told() {
        let text = section("plain", &results()).expect("a section");
        assert!(text.contains("| small call | <= 2 | 1.50 | met |"), "{text}");
        assert!(text.contains("| records | <= 1 | 2.50 | **not met** |"), "{text}");
        assert!(text.contains("40.0 (1.50) |") && text.contains(" 60.0 |"), "{text}");
        assert!(text.contains("workerlib 80.0 / 101"), "{text}");
    }

    #[test]
    fn a_peer_that_drops_out_keeps_its_column_and_says_why() {
        let mut some = results();
        some["rows"] = json!([
            {"group": "echo", "name": "1 KB", "unit": "ms", "values": {"workerlib": 1.0}, "missing": {"Comlink": "it hangs"}},
            {"group": "echo", "name": "4 KB", "unit": "ms", "values": {"Comlink": 2.0, "workerlib": 3.0}},
        ]);
        let text = section("plain", &some).expect("a section");
        let table = "| echo | unit | Comlink | workerlib |\n| --- | --- | ---: | ---: |\n\
                     | 1 KB | ms | – | 1.00 |\n| 4 KB | ms | 2.00 | 3.00 |\n";
        assert!(text.contains(table), "{text}");
        assert!(text.ends_with("\n\n- Comlink cannot do echo, 1 KB: it hangs\n"), "{text}");
    }

    #[test]
    fn a_missing_measurement_is_an_error() {
        let mut lacking = results();
        lacking["rows"] = json!([]);
        assert!(section("plain", &lacking).is_err());
    }
}
