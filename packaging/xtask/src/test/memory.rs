//! Remembers below `target` which tests failed, so that `--rerun-failed` can run them again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::report::{Ending, Report};
use crate::workspace::Workspace;

/// More tests than these are not named one by one: their whole run is repeated.
const MOST_IDS: usize = 200;

/// Which tests of a part are to run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Selection {
    /// All.
    Whole,
    /// The failed tests, by run. A run without ids is repeated as a whole; a run that is not named is left out.
    Failed(BTreeMap<String, BTreeSet<String>>),
}

impl Selection {
    /// The tests of one run: `None` if it is left out, no ids if all of them are to run.
    pub(super) fn of_run(&self, run: &str) -> Option<Vec<String>> {
        match self {
            Self::Whole => Some(Vec::new()),
            // A part that failed as a whole has no runs.
            Self::Failed(runs) if runs.is_empty() => Some(Vec::new()),
            Self::Failed(runs) => {
                let ids = runs.get(run)?;
                let is_too_long = ids.len() > MOST_IDS;
                Some(if is_too_long { Vec::new() } else { ids.iter().cloned().collect() })
            }
        }
    }
}

/// The parts that failed, and their tests.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Memory {
    parts: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
}

impl Memory {
    /// Reads what the last runs left.
    pub(super) fn read(workspace: &Workspace) -> Self {
        // A file that is missing, or of another version of this program, means that nothing is known.
        let value = fs::read_to_string(file(workspace))
            .ok()
            .and_then(|text| serde_json::from_str::<Value>(&text).ok())
            .unwrap_or_default();
        let mut memory = Self::default();
        for (part, runs) in value.as_object().into_iter().flatten() {
            let kept = memory.parts.entry(part.clone()).or_default();
            for (run, ids) in runs.as_object().into_iter().flatten() {
                let ids = ids.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
                kept.insert(run.clone(), ids.collect());
            }
        }
        memory
    }

    /// Writes it.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(super) fn write(&self, workspace: &Workspace) -> Result<()> {
        let file = file(workspace);
        fs::write(&file, format!("{:#}\n", json!(self.parts)))
            .with_context(|| format!("cannot write {}", file.display()))
    }

    /// Which tests of a part failed; `None` if none did.
    pub(super) fn of(&self, part: &str) -> Option<Selection> {
        self.parts.get(part).cloned().map(Selection::Failed)
    }

    /// Notes what a part came to; `narrow` tells that not all of its tests ran, so that the others are as they were.
    pub(super) fn note(&mut self, part: &str, report: &Report, narrow: bool) {
        let mut runs = if narrow { self.parts.remove(part).unwrap_or_default() } else { BTreeMap::new() };
        for test in &report.tests {
            let ids = runs.entry(test.run.clone()).or_default();
            if test.ending == Ending::Failed {
                ids.insert(test.id.clone());
            } else {
                ids.remove(&test.id);
            }
        }
        runs.retain(|_, ids| !ids.is_empty());
        for run in &report.broken {
            runs.insert(run.clone(), BTreeSet::new());
        }
        if report.failed > 0 || !runs.is_empty() {
            self.parts.insert(part.to_owned(), runs);
        } else {
            self.parts.remove(part);
        }
    }
}

fn file(workspace: &Workspace) -> PathBuf {
    workspace.target().join("failed-tests.json")
}

#[cfg(test)]
mod tests {
    use super::super::report::Test;
    use super::*;

    fn report(endings: &[(&str, Ending)]) -> Report {
        let test = |(id, ending): &(&str, Ending)| Test {
            run: "browser-chromium".into(),
            id: (*id).into(),
            seconds: 0.0,
            ending: *ending,
        };
        let tests: Vec<Test> = endings.iter().map(test).collect();
        let failed = tests.iter().filter(|test| test.ending == Ending::Failed).count() as u64;
        Report { failed, tests, ..Report::default() }
    }

    fn ids(memory: &Memory) -> Option<Vec<String>> {
        memory.of("browser").and_then(|selection| selection.of_run("browser-chromium"))
    }

    /// A rerun forgets the tests that pass now, and keeps those that did not run.
    #[test]
    fn failed_tests_are_kept_until_they_pass() {
        let mut memory = Memory::default();
        memory.note(
            "browser",
            &report(&[("a", Ending::Failed), ("b", Ending::Failed), ("c", Ending::Passed)]),
            false,
        );
        assert_eq!(ids(&memory).expect("two failed"), ["a", "b"]);
        memory.note("browser", &report(&[("a", Ending::Passed)]), true);
        assert_eq!(ids(&memory).expect("one is left"), ["b"]);
        memory.note("browser", &report(&[("b", Ending::Passed)]), true);
        assert_eq!(memory, Memory::default());
    }

    /// A part that failed without tests, and a run that was ended, are repeated as a whole.
    #[test]
    fn a_failure_without_tests_is_repeated_as_a_whole() {
        let mut memory = Memory::default();
        memory.note("clippy", &Report { failed: 1, ..Report::default() }, false);
        assert_eq!(memory.of("clippy").expect("it failed").of_run("anything"), Some(Vec::new()));
        let broken = Report { failed: 1, broken: vec!["browser-chromium".into()], ..Report::default() };
        memory.note("browser", &broken, false);
        assert_eq!(ids(&memory), Some(Vec::new()));
        assert_eq!(memory.of("browser").expect("it failed").of_run("browser-firefox"), None);
    }
}
