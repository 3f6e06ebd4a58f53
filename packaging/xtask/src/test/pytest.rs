//! Runs pytest, natively or inside a Pyodide, and reads the record that it keeps of each test.
//!
//! The record is that of pytest-reportlog: a line of JSON for each phase of a test, written at once. So it is there, too, of a run
//! that crashed or was ended.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::context::Context;
use super::counts::Counts;
use super::report::{Ending, Report, Test};
use crate::process;
use crate::stamp;
use crate::workspace::Workspace;

/// The lines of a failed run that are shown at most; all are in its log.
const MOST_LINES: usize = 400;

/// The number of last lines that are shown of a run that failed without a failed test.
const LAST_LINES: usize = 60;

/// The exit code of pytest where no test was chosen.
const NO_TESTS: i32 = 5;

/// A run of a suite.
pub(super) struct Suite<'a> {
    /// The run's name, which its log and its record have.
    pub(super) run: &'a str,
    /// The folder of the tests, as pytest sees it.
    pub(super) folder: &'a Path,
    /// The same folder in the checkout.
    pub(super) sources: PathBuf,
    /// The chosen file; without it, the whole folder runs.
    pub(super) file: Option<&'a str>,
    /// The record's file, as pytest sees it.
    pub(super) record: PathBuf,
    /// The tests in a few words.
    pub(super) what: &'a str,
}

impl<'a> Suite<'a> {
    /// Describes a run by the Python of this machine.
    pub(super) fn native(context: &Context<'_>, run: &'a str, folder: &'a Path, what: &'a str) -> Self {
        let record = records(context.workspace).join(record_of(run));
        Self { run, folder, sources: folder.to_path_buf(), file: None, record, what }
    }
}

/// The folder of the records.
pub(super) fn records(workspace: &Workspace) -> PathBuf {
    workspace.target().join("records")
}

/// The name of a run's record.
pub(super) fn record_of(run: &str) -> String {
    format!("{run}.jsonl")
}

/// Makes the command that runs pytest where it finds no source tree and leaves nothing behind.
pub(super) fn command(workspace: &Workspace) -> Command {
    command_by(workspace, Command::new(workspace.python()))
}

/// Makes such a command of another one that runs a Python, such as valgrind.
pub(crate) fn command_by(workspace: &Workspace, mut pytest: Command) -> Command {
    pytest.args(["-m", "pytest"]).current_dir(workspace.target());
    pytest.env("HYPOTHESIS_STORAGE_DIRECTORY", workspace.target().join("hypothesis"));
    pytest
}

/// Runs a suite by a command that lacks only pytest's arguments.
///
/// # Errors
/// If the command cannot be started.
pub(super) fn run(context: &Context<'_>, suite: &Suite<'_>, mut pytest: Command) -> Result<Report> {
    let Some(arguments) = arguments(context, suite) else {
        return Ok(Report::default());
    };
    let folder = records(context.workspace);
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let record = folder.join(record_of(suite.run));
    // An old record would count for this run if pytest ended before it writes a new one.
    let _ = fs::remove_file(&record);
    pytest.args(arguments).envs(context.environment());
    let run = process::capture_within(context.workspace, suite.run, &mut pytest, context.limit())?;
    if run.code == Some(NO_TESTS) && context.is_narrow() {
        return Ok(Report::default());
    }
    let record = fs::read_to_string(&record).unwrap_or_default();
    let tests = tests_of(suite.run, &record);
    let counts = count(&tests);
    let summary = format!("{}: {}", suite.what, counts.passed + counts.failed);
    let mut report = Report::of_counts(run.succeeded, &counts, &summary, String::new());
    if report.failed > 0 {
        report.output = failure(context.workspace, suite.run, &run.output);
    }
    // The tests behind the one that was running have not run at all.
    if run.code.is_none() || report.failed > counts.failed {
        report.broken.push(suite.run.to_owned());
    }
    report.tests = tests;
    Ok(report)
}

/// The arguments of pytest; `None` if the run is left out.
fn arguments(context: &Context<'_>, suite: &Suite<'_>) -> Option<Vec<String>> {
    // With -v, pytest writes the name of each test before it runs it: the log of a run that was ended names the stuck test.
    let mut arguments = vec!["--color=no".to_owned(), "-v".to_owned()];
    arguments.push(format!("--report-log={}", suite.record.display()));
    let in_folder = |id: &String| format!("{}/{id}", suite.folder.display());
    let mut chosen: Vec<String> = context.selection.of_run(suite.run)?.iter().map(in_folder).collect();
    for argument in context.arguments {
        if is_id(argument) {
            chosen.push(in_folder(&located(&suite.sources, argument)));
        } else {
            arguments.push(argument.clone());
        }
    }
    if chosen.is_empty() {
        chosen.push(match suite.file {
            Some(file) => in_folder(&located(&suite.sources, file)),
            None => suite.folder.display().to_string(),
        });
    }
    arguments.extend(chosen);
    Some(arguments)
}

/// Finds the file of a test's id in the folders below `folder`, so that nobody has to know in which room it stands. An id that is
/// a path, or that no file fits, stays as it is.
pub(crate) fn located(folder: &Path, id: &str) -> String {
    let name = id.split("::").next().unwrap_or_default();
    if name.contains('/') || folder.join(name).is_file() {
        return id.to_owned();
    }
    let files = stamp::files_under(folder).unwrap_or_default();
    let found = files.iter().find(|file| file.file_name().is_some_and(|own| own == name));
    let room = found.and_then(|file| file.parent()?.strip_prefix(folder).ok());
    let room =
        room.map(|room| room.iter().map(|part| format!("{}/", part.to_string_lossy())).collect::<String>());
    format!("{}{id}", room.unwrap_or_default())
}

/// Tells whether an argument is a test's id or a file of tests, such as `test_calls.py::test_sum`.
fn is_id(argument: &str) -> bool {
    let file = argument.split("::").next().unwrap_or_default();
    !argument.starts_with('-') && file.ends_with(".py")
}

/// Reads the record of a run: each test once, whatever its phases came to. A test of which only the setup is recorded was running
/// when the run ended, and failed.
fn tests_of(run: &str, record: &str) -> Vec<Test> {
    let mut tests: BTreeMap<String, Test> = BTreeMap::new();
    let mut open = BTreeSet::new();
    for line in record.lines() {
        // The last line of a run that was ended may be a part of one.
        let Ok(report) = serde_json::from_str::<Value>(line) else { continue };
        let word = |name: &str| report[name].as_str().unwrap_or_default();
        let is_test = word("$report_type") == "TestReport";
        let ending = match word("outcome") {
            "failed" => Ending::Failed,
            // A test that is expected to fail, and does, is as it should be.
            "skipped" if report.get("wasxfail").is_none() => Ending::Skipped,
            _ => Ending::Passed,
        };
        // Reports of collection count only where a module failed or skipped itself.
        if !is_test && (word("$report_type") != "CollectReport" || ending == Ending::Passed) {
            continue;
        }
        let id = word("nodeid").to_owned();
        if word("when") == "setup" && ending == Ending::Passed {
            open.insert(id.clone());
        } else {
            open.remove(&id);
        }
        let test = tests.entry(id.clone()).or_insert_with(|| Test {
            run: run.to_owned(),
            id,
            seconds: 0.0,
            ending: Ending::Passed,
        });
        test.seconds += report["duration"].as_f64().unwrap_or_default();
        if ending == Ending::Failed || test.ending == Ending::Passed {
            test.ending = ending;
        }
    }
    for id in open {
        if let Some(test) = tests.get_mut(&id) {
            test.ending = Ending::Failed;
        }
    }
    tests.into_values().collect()
}

fn count(tests: &[Test]) -> Counts {
    let of = |ending| tests.iter().filter(|test| test.ending == ending).count() as u64;
    Counts { passed: of(Ending::Passed), failed: of(Ending::Failed), skipped: of(Ending::Skipped) }
}

/// Cuts what a failed run wrote to what tells why: the failures, or the last lines if no test failed.
fn failure(workspace: &Workspace, run: &str, output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    let is_heading =
        |line: &&str| line.starts_with("===") && (line.contains(" FAILURES ") || line.contains(" ERRORS "));
    let start = lines.iter().position(is_heading).unwrap_or(lines.len().saturating_sub(LAST_LINES));
    let (shown, rest) = lines[start..].split_at((lines.len() - start).min(MOST_LINES));
    let mut text = shown.join("\n");
    if start > 0 || !rest.is_empty() {
        let log = workspace.target().join("logs").join(format!("{run}.log"));
        let log = log.strip_prefix(workspace.root()).unwrap_or(&log).display().to_string();
        text.push_str(&format!("\n(all of it is in {log})"));
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::super::memory::Selection;
    use super::super::sites::Sites;
    use super::*;

    const RECORD: &str = concat!(
        r#"{"pytest_version": "9.1.0", "$report_type": "SessionStart"}"#,
        "\n",
        r#"{"nodeid": "t.py", "outcome": "passed", "$report_type": "CollectReport"}"#,
        "\n",
        r#"{"nodeid": "t.py::good", "when": "setup", "outcome": "passed", "duration": 1.0, "$report_type": "TestReport"}"#,
        "\n",
        r#"{"nodeid": "t.py::good", "when": "call", "outcome": "passed", "duration": 0.5, "$report_type": "TestReport"}"#,
        "\n",
        r#"{"nodeid": "t.py::leaky", "when": "call", "outcome": "passed", "duration": 0, "$report_type": "TestReport"}"#,
        "\n",
        r#"{"nodeid": "t.py::leaky", "when": "teardown", "outcome": "failed", "duration": 0, "$report_type": "TestReport"}"#,
        "\n",
        r#"{"nodeid": "t.py::known", "outcome": "skipped", "wasxfail": "a bug", "duration": 0, "$report_type": "TestReport"}"#,
        "\n",
        r#"{"nodeid": "t.py::absent", "outcome": "skipped", "duration": 0, "$report_type": "TestReport"}"#,
        "\n",
        r#"{"nodeid": "t.py::stuck", "when": "setup", "outcome": "passed", "duration": 0, "$report_type": "TestReport"}"#,
        "\n",
        r#"{"nodeid": "broken.py", "outcome": "failed", "$report_type": "CollectReport"}"#,
        "\n",
        r#"{"nodeid": "t.py::cut"#,
    );

    /// Each test counts once, and a failed phase fails it. A file that cannot be collected is a failure, and so is a test that was
    /// running when the run was ended.
    #[test]
    fn a_record_is_read() {
        let tests = tests_of("r", RECORD);
        assert_eq!(count(&tests), Counts { passed: 2, failed: 3, skipped: 1 });
        let good = tests.iter().find(|test| test.id == "t.py::good").expect("it ran");
        assert!((good.seconds - 1.5).abs() < 1e-9);
    }

    /// A run that was ended before its first failed test still fails, and shows its last lines.
    #[test]
    fn failures_are_cut_out() {
        let workspace = Workspace::at("/w".into());
        let output =
            "t.py::a PASSED\n=== FAILURES ===\nwhy\n=== short test summary info ===\nFAILED t.py::b\n";
        let text = failure(&workspace, "r", output);
        assert!(text.starts_with("=== FAILURES ===\nwhy\n") && text.contains("r.log"), "{text}");
        assert!(failure(&workspace, "r", "it stopped").starts_with("it stopped\n"));
    }

    /// A file is found in the room in which it stands; its name alone is enough.
    #[test]
    fn files_are_found_in_their_rooms() {
        let folder = Workspace::of_this_program().tests("python");
        assert_eq!(located(&folder, "test_values.py::test_a[b/c]"), "_values/test_values.py::test_a[b/c]");
        assert_eq!(located(&folder, "test_numpy.py"), "_values/libraries/test_numpy.py");
        for id in ["test_imports.py", "_values/test_values.py", "test_nowhere.py"] {
            assert_eq!(located(&folder, id), id);
        }
    }

    /// Ids that the user gives are looked for in the part's folder; options go to pytest as they are.
    #[test]
    fn ids_and_options_are_told_apart() {
        let (workspace, given) =
            (Workspace::at("/w".into()), ["-k", "sum", "test_a.py::test_b[plain-x y]"].map(str::to_owned));
        let context = Context {
            workspace: &workspace,
            pace: 1.0,
            is_full: false,
            arguments: &given,
            selection: &Selection::Whole,
            sites: &Sites::new(false),
        };
        let suite = Suite::native(&context, "r", Path::new("/w/tests/browser"), "tests");
        let arguments = arguments(&context, &suite).expect("it is not left out");
        assert_eq!(arguments[3..], ["-k", "sum", "/w/tests/browser/test_a.py::test_b[plain-x y]"]);
    }
}
