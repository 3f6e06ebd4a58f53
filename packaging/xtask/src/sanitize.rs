//! `cargo xtask sanitize`: runs those tests of the native wheel that move values under valgrind's memcheck.
//!
//! The extension calls CPython's C functions; memcheck sees what they and it do to memory, whichever compiler built them.

use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Result, bail};

use crate::process::{self, Limit};
use crate::setup::{self, need::Need};
use crate::steps::{Outcome, Steps};
use crate::test::{counts, pytest};
use crate::wheel::{self, Kind};
use crate::workspace::Workspace;

/// The files of tests/python whose tests make the codec read and write memory.
const FILES: [&str; 11] = [
    "test_values.py",
    "test_library_values.py",
    "test_numpy.py",
    "test_large_arrays.py",
    "test_long_texts.py",
    "test_classes.py",
    "test_conversions.py",
    "test_own_keys.py",
    "test_sharing.py",
    "test_hostile_frames.py",
    "test_hostile_library_frames.py",
];

/// The longest that one file may take: memcheck is some fifty times slower than the machine.
const LIMIT: Duration = Duration::from_secs(3600);

/// The slowness of memcheck, as a multiple of the machine: the limits of the tests are so many times as long.
const SLOWNESS: &str = "50";

/// The exit code by which memcheck tells that it found something.
const FOUND: &str = "99";

/// The arguments of `cargo xtask sanitize`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only these files of tests/python
    #[arg(long, value_name = "FILE", num_args = 1.., value_delimiter = ',', value_parser = FILES)]
    only: Vec<String>,
}

/// Installs the native wheel, and runs each file.
///
/// # Errors
/// If valgrind cannot be had, memcheck finds something, or a test fails.
pub(crate) fn main(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let only = &options.only;
    let mut steps = Steps::default();
    setup::add(&mut steps, workspace, &[Need::PythonTools, Need::Valgrind]);
    steps.add("building the native wheel", || wheel::build(workspace, Kind::Native));
    steps.add("installing the native wheel", || {
        setup::python::ensure_library(workspace, &wheel::find(workspace, Kind::Native)?)
    });
    for file in FILES {
        if only.is_empty() || only.iter().any(|name| name == file) {
            steps.add(format!("{file} under valgrind"), move || check(workspace, file));
        }
    }
    steps.run()?;
    Ok(ExitCode::SUCCESS)
}

fn check(workspace: &Workspace, file: &str) -> Result<Outcome> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=memcheck", "--leak-check=no", "--num-callers=40"]);
    valgrind.arg(format!("--suppressions={}", workspace.packaging("valgrind.supp").display()));
    if is_of_3_11(workspace) {
        let ints = workspace.packaging("valgrind-python-3.11.supp");
        valgrind.arg(format!("--suppressions={}", ints.display()));
    }
    valgrind.arg(format!("--error-exitcode={FOUND}")).arg(workspace.python());
    let mut pytest = pytest::command_by(workspace, valgrind);
    // Python's own allocator would hide from memcheck where one object ends and the next begins.
    pytest.env("PYTHONMALLOC", "malloc").env("WORKERLIB_UNDER_VALGRIND", "1");
    pytest.env("WORKERLIB_TEST_PACE", SLOWNESS);
    let folder = workspace.tests("python");
    pytest.args(["--color=no", "-q"]).arg(folder.join(pytest::located(&folder, file)));
    let process::Run { succeeded, output, .. } =
        process::capture_within(workspace, &format!("valgrind-{file}"), &mut pytest, Limit::Total(LIMIT))?;
    let passed = counts::of_pytest(&output).passed;
    match errors(&output) {
        Some(0) if succeeded && passed > 0 => {
            Ok(Outcome::Note(format!("{passed} tests, memcheck found nothing")))
        }
        Some(0) | None => bail!("the tests did not pass under valgrind:\n\n{output}"),
        Some(count) => bail!("memcheck found {count} errors:\n\n{output}"),
    }
}

/// Returns whether the Python that runs the tests is the one that uses undefined values itself.
fn is_of_3_11(workspace: &Workspace) -> bool {
    let mut python = Command::new(workspace.python());
    process::ask(python.args(["-c", "import sys; print(sys.version_info[:2] == (3, 11))"]))
        .is_none_or(|answer| answer.trim() == "True")
}

/// Reads memcheck's count of errors, `==7== ERROR SUMMARY: 3 errors from 2 contexts …`; of several processes, the sum.
fn errors(output: &str) -> Option<u64> {
    let counts = output.lines().filter_map(|line| line.split_once("ERROR SUMMARY: ")).map(|(_, rest)| {
        rest.split_whitespace().next().and_then(|count| count.replace(',', "").parse::<u64>().ok())
    });
    counts.reduce(|sum, count| Some(sum? + count?)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summaries_of_memcheck_are_added_up() {
        let line =
            |count| format!("==7== ERROR SUMMARY: {count} errors from 2 contexts (suppressed: 0 from 0)\n");
        assert_eq!(errors(&line("0")), Some(0));
        assert_eq!(errors(&[line("1,200"), line("3")].concat()), Some(1203));
        assert_eq!(errors("5 passed"), None);
    }
}
