//! The Rust side of the benchmark: runs criterion in `benches`, and reads the medians that it leaves behind.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::process::{self, Limit};
use crate::stamp;
use crate::steps::Outcome;
use crate::workspace::Workspace;

/// Runs the benchmark and reads what it measured.
///
/// # Errors
/// If it cannot be built, fails, or measured nothing.
pub(super) fn measure(workspace: &Workspace, limit: Duration, result: &mut Value) -> Result<Outcome> {
    let target = workspace.target().join("benches");
    let measured = target.join("criterion");
    if measured.exists() {
        fs::remove_dir_all(&measured).with_context(|| format!("cannot empty {}", measured.display()))?;
    }
    let mut cargo = process::cargo();
    cargo.args(["bench", "--locked", "--quiet", "--bench", "codec"]);
    cargo.env("CARGO_TARGET_DIR", &target).current_dir(workspace.root().join("benches"));
    let process::Run { succeeded, output, .. } =
        process::capture_within(workspace, "bench-rust", &mut cargo, Limit::Total(limit))?;
    if !succeeded {
        bail!("cargo bench failed:\n\n{output}");
    }
    let mut rows = Vec::new();
    for file in stamp::files_under(&measured)? {
        if file.ends_with("new/benchmark.json") {
            let read = |name: &str| -> Result<Value> {
                let path = file.with_file_name(name);
                let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
                Ok(serde_json::from_slice(&text)?)
            };
            let (benchmark, estimates) = (read("benchmark.json")?, read("estimates.json")?);
            rows.push(json!({
                "action": benchmark["group_id"],
                "codec": benchmark["function_id"],
                "shape": benchmark["value_str"],
                "median_ms": estimates["median"]["point_estimate"].as_f64().context("no median")? / 1e6,
            }));
        }
    }
    if rows.is_empty() {
        bail!("cargo bench measured nothing:\n\n{output}");
    }
    *result = Value::Array(rows);
    Ok(Outcome::Done)
}

/// Writes the medians as a table in Markdown.
pub(super) fn table(rows: &[Value]) -> String {
    let mut text = String::from(
        "\n## In Rust\n\nThe codec without Python, on its own `Value`; rmp-serde reads and writes the same `Value` and the same \
         bytes. Medians in milliseconds.\n\n| shape | action | workerlib | rmp-serde | times faster |\n\
         | --- | --- | ---: | ---: | ---: |\n",
    );
    let field = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let mut medians: BTreeMap<(String, String), BTreeMap<String, f64>> = BTreeMap::new();
    for row in rows {
        let codecs = medians.entry((field(row, "shape"), field(row, "action"))).or_default();
        codecs.insert(field(row, "codec"), row["median_ms"].as_f64().unwrap_or(f64::NAN));
    }
    for ((shape, action), codecs) in medians {
        let median = |name: &str| codecs.get(name).copied().unwrap_or(f64::NAN);
        let (own, other) = (median("workerlib"), median("rmp-serde"));
        let _ = writeln!(text, "| {shape} | {action} | {own:.3} | {other:.3} | {:.2} |", other / own);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codecs_of_a_shape_stand_in_one_row() {
        let row =
            |codec, median| json!({"action": "encode", "codec": codec, "shape": "ints", "median_ms": median});
        let text = table(&[row("rmp-serde", 3.0), row("workerlib", 1.5)]);
        assert!(text.ends_with("| ints | encode | 1.500 | 3.000 | 2.00 |\n"), "{text}");
    }
}
