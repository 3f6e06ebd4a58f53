//! The end of a test run: a line for each part, the slowest tests, and the sums.

use std::fmt::Write as _;

use super::parts::Part;
use super::report::Report;

/// The number of slowest tests that are named.
const SLOWEST: usize = 5;

/// A part that has run.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) seconds: f64,
    pub(super) report: Report,
}

/// The checks that the run did not make.
pub(super) struct LeftOut<'a> {
    /// The parts.
    pub(super) parts: Vec<&'a str>,
    /// Why, if the user asked for them and the machine is too slow.
    pub(super) too_slow: Option<String>,
}

/// Writes the parts and what each checks.
pub(super) fn list(parts: &[&Part]) -> String {
    let width = parts.iter().map(|part| part.name.len()).max().unwrap_or_default();
    let line = |part: &&Part| {
        let when = if part.is_slow { " (with --full)" } else { "" };
        format!("{:width$}  {}{when}\n", part.name, part.what)
    };
    parts.iter().map(line).collect()
}

/// Writes the table, the slowest tests, what was left out, and the sums alone on the last line, which CI reads.
pub(super) fn write(rows: &[Row], left_out: &LeftOut<'_>, seconds: f64) -> String {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or_default().max(4);
    let mut text = format!("\n{:width$}  {:6}  {:>6}  {:>8}  \n", "part", "", "tests", "seconds");
    for Row { name, seconds, report } in rows {
        let tests = report.passed + report.failed;
        let _ = write!(
            text,
            "{name:width$}  {:6}  {tests:>6}  {seconds:>8.1}  {}",
            report.status(),
            report.summary
        );
        if report.skipped > 0 {
            let _ = write!(text, " ({} skipped)", report.skipped);
        }
        text.push('\n');
    }
    let mut tests: Vec<_> =
        rows.iter().flat_map(|row| row.report.tests.iter().map(|test| (row.name, test))).collect();
    tests.sort_by(|(_, one), (_, other)| other.seconds.total_cmp(&one.seconds));
    if !tests.is_empty() {
        text.push_str("\nthe slowest tests:\n");
    }
    for (part, test) in tests.iter().take(SLOWEST) {
        let _ = writeln!(text, "{:>8.1} s  {part}: {}", test.seconds, test.id);
    }
    if !left_out.parts.is_empty() || left_out.too_slow.is_some() {
        let why = left_out.too_slow.as_ref().map(|reason| format!("{reason}\n")).unwrap_or_default();
        let repeated = ["the tests marked `repeated`"];
        let names: Vec<&str> = left_out.parts.iter().copied().chain(repeated).collect();
        let names = names.join(", ");
        let _ = writeln!(text, "\n{why}left out, and run by `cargo xtask test --full`: {names}");
    }
    let sum = |count: fn(&Report) -> u64| rows.iter().map(|row| count(&row.report)).sum::<u64>();
    let (passed, failed) = (sum(|report| report.passed), sum(|report| report.failed));
    let skipped = sum(|report| report.skipped);
    let minutes = (seconds / 60.0).floor();
    let _ = writeln!(text, "\n{minutes:.0} min {:.0} s in all", seconds - minutes * 60.0);
    let _ = write!(text, "\n{passed} passed, {failed} failed");
    if skipped > 0 {
        let _ = write!(text, ", {skipped} skipped");
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::super::parts;
    use super::super::report::{Ending, Test};
    use super::*;

    /// A stranger learns from the list which part a change concerns.
    #[test]
    fn the_list_tells_what_each_part_checks() {
        let text = list(&parts::all(false));
        assert!(
            text.contains("\npytest            tests/python with the Python of this machine\n"),
            "{text}"
        );
        assert!(
            text.contains("\nleaks             a million round trips that leave nothing (with --full)\n"),
            "{text}"
        );
    }

    /// CI reads the last line; people look for the slowest tests and for what did not run.
    #[test]
    fn the_sums_stand_alone_on_the_last_line() {
        let test =
            |id: &str, seconds| Test { run: "r".into(), id: id.into(), seconds, ending: Ending::Passed };
        let tests = (0..7).map(|number| test(&format!("t.py::test_{number}"), f64::from(number))).collect();
        let report = Report { passed: 7, skipped: 2, summary: "tests".into(), tests, ..Report::default() };
        let rows = [
            Row { name: "pytest", seconds: 61.0, report },
            Row { name: "ruff", seconds: 0.5, report: Report::failed("why".into()) },
        ];
        let left_out = LeftOut { parts: vec!["leaks"], too_slow: None };
        let text = write(&rows, &left_out, 125.0);
        assert!(text.ends_with("\n2 min 5 s in all\n\n7 passed, 1 failed, 2 skipped\n"), "{text}");
        assert!(text.contains("pytest  ok           7      61.0  tests (2 skipped)\n"), "{text}");
        assert!(text.contains("\nruff    FAILED"), "{text}");
        assert!(text.contains("6.0 s  pytest: t.py::test_6\n") && !text.contains("test_1\n"), "{text}");
        let line = "\nleft out, and run by `cargo xtask test --full`: leaks, the tests marked `repeated`\n";
        assert!(text.contains(&format!("\n{line}")), "{text}");
        let left_out = LeftOut { too_slow: Some("it is slow".to_owned()), ..left_out };
        assert!(write(&rows, &left_out, 125.0).contains(&format!("\nit is slow{line}")), "{text}");
        let left_out = LeftOut { parts: Vec::new(), ..left_out };
        assert!(write(&rows, &left_out, 125.0).contains("--full`: the tests marked"), "{text}");
    }
}
