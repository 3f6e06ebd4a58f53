//! The context that each part of the test run receives: the checkout, the pace of the machine, and the chosen tests.

use std::time::Duration;

use super::memory::Selection;
use super::pace::PACE;
use super::sites::Sites;
use crate::process::Limit;
use crate::workspace::Workspace;

/// The time for which a suite may write nothing on a fast machine: more than any of its tests may take there. The limits of the tests
/// are the tests' own (pytest-timeout); this one ends a run that no longer gets as far as to notice them.
const LONGEST_SILENCE: Duration = Duration::from_secs(360);

/// The time for which it may write nothing on any machine, so that a run in CI ends by itself and tells which test was stuck.
const LONGEST_SILENCE_OF_ALL: Duration = Duration::from_secs(2700);

/// The variable that tells the suites to run the tests that repeat others, too (`tests/python/repeated.py`).
const FULL: &str = "WORKERLIB_FULL";

/// The context of one part.
pub(super) struct Context<'a> {
    pub(super) workspace: &'a Workspace,
    /// The factor by which things may take longer than on a quiet, fast machine; at least 1.
    pub(super) pace: f64,
    /// Whether tests run that repeat a check of others.
    pub(super) is_full: bool,
    /// The arguments for pytest that the user gave.
    pub(super) arguments: &'a [String],
    /// Which tests of the part are to run.
    pub(super) selection: &'a Selection,
    /// The servers of the site.
    pub(super) sites: &'a Sites,
}

impl Context<'_> {
    /// The limit of a suite.
    pub(super) fn limit(&self) -> Limit {
        Limit::Silence(LONGEST_SILENCE.mul_f64(self.pace).min(LONGEST_SILENCE_OF_ALL))
    }

    /// The variables that each suite is given.
    pub(super) fn environment(&self) -> [(&'static str, String); 2] {
        [(PACE, format!("{:.2}", self.pace)), (FULL, u8::from(self.is_full).to_string())]
    }

    /// Whether only some tests were asked for, so that a run may have none of them.
    pub(super) fn is_narrow(&self) -> bool {
        !self.arguments.is_empty() || *self.selection != Selection::Whole
    }
}
