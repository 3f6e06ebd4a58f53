//! The figures of README.md, between two comments: written from a full run in Chromium, and never by hand.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::figures::{OWN, digits, word};
use crate::workspace::Workspace;

const START: &str = "<!-- the figures: written by `cargo xtask bench --browser chromium` -->\n";
const END: &str = "<!-- the end of the figures -->\n";

/// Whom README compares with, as the results name them and as README does.
const PEERS: [(&str, &str); 3] =
    [(OWN, OWN), (PYSCRIPT, "PyScript's own calls"), ("pickle 5 over a port", "pickle 5 over a port")];
const PYSCRIPT: &str = "PyScript's own";

/// The rows of README: what is sent, then the group and the name of the measurement.
const ROWS: [(&str, &str, &str); 6] = [
    ("a number (of 1,000 in a row)", "small call", "mean of 1,000 in a row"),
    ("a number (of 1,000 at a time)", "calls in flight", "1,000 at a time"),
    ("5,000 dicts of int, str, float, list", "echo of records", "5,000 dicts"),
    ("1 MB of bytes", "echo of bytes", "1 MB"),
    ("64 MB of bytes", "echo of bytes", "64 MB"),
    ("64 MB in an array of floats", "echo of float64 array", "64 MB"),
];

/// The rows of README's starts: what answers for the first time, then the group and the name, then the peer.
const STARTS: [(&str, &str, &str, &str); 3] = [
    ("a further worker", "start of a worker", "a further worker", "without a snapshot"),
    ("a pool of four workers", "start of a worker", "a pool of four", "without a snapshot"),
    (
        "a PyScript page, on a later visit",
        "first answer of a PyScript page",
        "a later visit",
        "PyScript's own interpreter",
    ),
];

/// Writes the figures of the committed results into README.md.
///
/// # Errors
/// If the results lack a measurement, or README has no place for the figures.
pub(super) fn write(workspace: &Workspace) -> Result<()> {
    let path = workspace.root().join("README.md");
    let text = fs::read_to_string(&path).context("cannot read README.md")?;
    fs::write(&path, with_figures(&text, &measured(workspace)?)?).context("cannot write README.md")
}

/// Reads the results of the page that is not isolated.
fn measured(workspace: &Workspace) -> Result<Value> {
    let file = workspace.results(false)?.join("chromium.json");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let results: Value =
        serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))?;
    Ok(results["plain"].clone())
}

/// Replaces the text between the two comments.
fn with_figures(readme: &str, results: &Value) -> Result<String> {
    let (before, rest) = readme.split_once(START).context("README.md has no comment where figures start")?;
    let (_, after) = rest.split_once(END).context("README.md has no comment where figures end")?;
    Ok(format!("{before}{START}\n{}\n{END}{after}", figures(results)?))
}

/// Tells where, when and how long.
fn figures(results: &Value) -> Result<String> {
    let agent = word(&results["agent"]);
    let version = agent.split_once("Chrome/").and_then(|(_, rest)| rest.split('.').next());
    let version = version.context("the results do not say which Chromium")?;
    let date = results["date"].as_str().context("the results have no date")?;
    let mut text = format!(
        "These are the times of an echo: a value goes to the worker and comes back. The browser is Chromium {version} \
         without a\nwindow, on {} processors; the page is not isolated. The figures are medians of one run of\n\
         `cargo xtask bench --browser chromium`, on {date}.\n\n| there and back |",
        results["cores"]
    );
    for (_, name) in PEERS {
        let _ = write!(text, " {name} |");
    }
    text.push_str("\n| --- | ---: | ---: | ---: |\n");
    for (label, group, name) in ROWS {
        let row = row(results, group, name)?;
        let _ = write!(text, "| {label} |");
        for (peer, _) in PEERS {
            let value = row["values"][peer].as_f64();
            let value = value.with_context(|| format!("{peer} has no figure of {group}, {name}"))?;
            let _ = write!(text, " {} {} |", digits(value), word(&row["unit"]));
        }
        text.push('\n');
    }
    let records = row(results, "echo of records", "5,000 dicts")?;
    let told = PEERS.map(|(peer, name)| {
        format!("{name} {} ms", digits(records["values"][peer].as_f64().unwrap_or(f64::NAN)))
    });
    let ping = row(results, "small call", "mean of 1,000 in a row")?["values"]["JS ping"].as_f64();
    let ping = digits(ping.context("the bare ping was not measured")?);
    let _ = write!(
        text,
        "\n![Echo of 5,000 records in Chromium: {}](benches/results/chromium-plain-echo-of-records.svg)\n\n\
         A ping in JavaScript alone takes {ping} us on the same machine. {}\n",
        told.join(", "),
        slower(results)
    );
    text.push_str(&starts(results)?);
    Ok(text)
}

/// Tells how long the first answer takes with a memory snapshot and without.
fn starts(results: &Value) -> Result<String> {
    let mut text = "\nThe first answer comes sooner from the second worker on, and from a page's second visit on, because they start from \
                    a\nmemory snapshot ([docs/starting.md](docs/starting.md)):\n\n\
                    | first answer of | from a snapshot | plainly |\n| --- | ---: | ---: |\n"
        .to_owned();
    let mut told = Vec::new();
    for (label, group, name, peer) in STARTS {
        let row = row(results, group, name)?;
        let [ours, theirs] = [OWN, peer].map(|peer| row["values"][peer].as_f64());
        let ours = ours.with_context(|| format!("{group}, {name}, was not measured"))?;
        let theirs = theirs.with_context(|| format!("{peer} has no figure of {group}, {name}"))?;
        let _ = writeln!(text, "| {label} | {ours:.0} ms | {theirs:.0} ms |");
        told.push(format!("{label} {ours:.0} ms, plainly {theirs:.0} ms"));
    }
    let _ = write!(
        text,
        "\n![First answers from a snapshot in Chromium: {}](benches/results/chromium-plain-start-of-a-worker.svg)\n",
        told[..2].join("; ")
    );
    Ok(text)
}

/// Names the measurements in which a call of PyScript's own takes less time.
fn slower(results: &Value) -> String {
    let rows = results["rows"].as_array().into_iter().flatten();
    let cases: Vec<String> = rows
        .filter_map(|row| {
            let [ours, theirs] = [OWN, PYSCRIPT].map(|peer| row["values"][peer].as_f64());
            let is_slower = ours? > theirs?;
            is_slower.then(|| {
                let [group, name, unit] = [&row["group"], &row["name"], &row["unit"]].map(word);
                format!(
                    "\n- {group}, {name}: {} {unit} against {}",
                    digits(theirs.unwrap_or(f64::NAN)),
                    digits(ours.unwrap_or(f64::NAN))
                )
            })
        })
        .collect();
    if cases.is_empty() {
        return "PyScript's own calls were faster in no case.".to_owned();
    }
    format!(
        "PyScript's own calls, which carry only values that JavaScript\nhas, were faster in these cases:\n{}",
        cases.concat()
    )
}

fn row<'a>(results: &'a Value, group: &str, name: &str) -> Result<&'a Value> {
    let rows = results["rows"].as_array().into_iter().flatten();
    let mut of_this_name = rows.filter(|row| row["group"] == group && row["name"] == name);
    of_this_name.next().with_context(|| format!("the results have no {group}, {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Readers of README see what the committed results say, and not the figures of another run.
    #[test]
    fn readme_has_the_figures_of_the_committed_results() {
        let workspace = Workspace::of_this_program();
        let readme = fs::read_to_string(workspace.root().join("README.md")).expect("it is there");
        let written = with_figures(&readme, &measured(&workspace).expect("they are there"));
        assert_eq!(
            readme,
            written.expect("README has a place for them"),
            "`cargo xtask bench charts` writes them"
        );
    }

    /// A case in which the library is slower stands in README too.
    #[test]
    fn cases_that_are_slower_are_told() {
        let mut results: Value = serde_json::json!({"rows": [
            {"group": "echo", "name": "1 KB", "unit": "ms", "values": {OWN: 3.0, PYSCRIPT: 2.0}},
            {"group": "echo", "name": "4 KB", "unit": "ms", "values": {OWN: 3.0}},
        ]});
        assert!(slower(&results).ends_with("\n\n- echo, 1 KB: 2.00 ms against 3.00"), "{}", slower(&results));
        results["rows"][0]["values"][OWN] = 1.0.into();
        assert!(slower(&results).contains("in no case"));
    }
}
