//! Reads from the output of cargo, and of pytest where it keeps no record, how many tests passed and failed.

/// The sums of one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

/// Reads the lines `test result: ok. 3 passed; 0 failed; 1 ignored; …` of `cargo test`.
pub(super) fn of_cargo(output: &str) -> Counts {
    output.lines().filter_map(|line| line.strip_prefix("test result: ")).fold(
        Counts::default(),
        |sum, line| {
            let next = of_words(line);
            Counts {
                passed: sum.passed + next.passed,
                failed: sum.failed + next.failed,
                skipped: sum.skipped + next.skipped,
            }
        },
    )
}

/// Reads the last line of the kind `=== 1 failed, 2 passed, 1 skipped in 0.12s ===` of pytest.
pub(crate) fn of_pytest(output: &str) -> Counts {
    let is_summary = |line: &&str| line.contains(" in ") && of_words(line) != Counts::default();
    output.lines().rev().find(is_summary).map(of_words).unwrap_or_default()
}

/// Adds up each number by the word that follows it.
fn of_words(line: &str) -> Counts {
    let mut counts = Counts::default();
    let words: Vec<&str> = line
        .split(|c: char| c.is_whitespace() || ",;=".contains(c))
        .filter(|word| !word.is_empty())
        .collect();
    for pair in words.windows(2) {
        let Ok(number) = pair[0].parse::<u64>() else { continue };
        match pair[1] {
            "passed" | "xfailed" => counts.passed += number,
            "failed" | "error" | "errors" | "xpassed" => counts.failed += number,
            "skipped" | "ignored" => counts.skipped += number,
            _ => {}
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_lines_are_summed() {
        let output = "running 2 tests\ntest result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n\
                      test result: FAILED. 1 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(of_cargo(output), Counts { passed: 3, failed: 3, skipped: 1 });
    }

    #[test]
    fn the_last_summary_of_pytest_counts() {
        let output = "=== 1 failed in 0.1s ===\nthe canary failed\n\
                      == 2 failed, 40 passed, 3 skipped, 1 xfailed, 1 error in 2.3s ==\n";
        assert_eq!(of_pytest(output), Counts { passed: 41, failed: 3, skipped: 3 });
    }

    #[test]
    fn no_summary_means_no_tests() {
        assert_eq!(of_pytest("no tests ran in 0.01s"), Counts::default());
    }
}
