//! The result of a part: its counts, its tests, and the lines to show if it failed.

/// The end of a test.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ending {
    Passed,
    Failed,
    Skipped,
}

/// A test of a suite that tells of each test.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Test {
    /// The run of the suite, as its log is called; a part may have several.
    pub(super) run: String,
    /// pytest's id of the test, from the suite's folder on.
    pub(super) id: String,
    pub(super) seconds: f64,
    pub(super) ending: Ending,
}

/// The result of a part.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) skipped: u64,
    /// The checks in a few words.
    pub(super) summary: String,
    /// The lines to show if it failed.
    pub(super) output: String,
    /// The tests, where the part's suites tell of each.
    pub(super) tests: Vec<Test>,
    /// The runs that failed without a failed test: one that crashed, say, or was ended.
    pub(super) broken: Vec<String>,
}

impl Report {
    /// Reports one check that holds.
    pub(super) fn passed(summary: impl Into<String>) -> Self {
        Self { passed: 1, summary: summary.into(), ..Self::default() }
    }

    /// Reports one check that ran a program.
    pub(super) fn of(succeeded: bool, summary: impl Into<String>, output: String) -> Self {
        Self {
            passed: succeeded.into(),
            failed: (!succeeded).into(),
            summary: summary.into(),
            output,
            ..Self::default()
        }
    }

    /// Reports that nothing was checked here, and why.
    pub(super) fn nothing(reason: impl Into<String>) -> Self {
        Self { summary: reason.into(), ..Self::default() }
    }

    /// Reports a part that could not run.
    pub(super) fn failed(output: String) -> Self {
        Self { failed: 1, output, ..Self::default() }
    }

    /// Reports the tests of one run; a run that has none, or fails without a failed test, failed.
    pub(super) fn of_counts(
        succeeded: bool,
        counts: &super::counts::Counts,
        what: &str,
        output: String,
    ) -> Self {
        let failed = if succeeded && counts.passed > 0 { counts.failed } else { counts.failed.max(1) };
        Self {
            passed: counts.passed,
            failed,
            skipped: counts.skipped,
            summary: what.to_owned(),
            output,
            ..Self::default()
        }
    }

    /// Adds another run of the same part.
    pub(super) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.output.push_str(&other.output);
        self.tests.extend(other.tests);
        self.broken.extend(other.broken);
        if !self.summary.is_empty() && !other.summary.is_empty() {
            self.summary.push_str("; ");
        }
        self.summary.push_str(&other.summary);
    }

    /// In a word, how it ended.
    pub(super) fn status(&self) -> &'static str {
        match self {
            Self { failed: 1.., .. } => "FAILED",
            Self { passed: 0, .. } => "none",
            _ => "ok",
        }
    }
}
