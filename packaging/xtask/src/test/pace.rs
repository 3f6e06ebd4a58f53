//! Measures how slow the machine is, so that limits of tests grow with it.
//!
//! The measure is a start of Pyodide under Node, which is most of the work of the slow tests. For parts that need no Pyodide, it
//! is a loop of Python's. Both programs tell the processor time that they took, which other work on the machine does not lengthen.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::process;
use crate::pyodide::Pyodide;
use crate::setup::node;
use crate::workspace::Workspace;

/// The variable that tells tests the pace, and by which a user names it instead of having it measured.
pub(crate) const PACE: &str = "WORKERLIB_TEST_PACE";

/// The time that Pyodide 314 takes to start under Node 20 on a fast machine. The figure is the lower end of an estimate: a start took
/// about 2.3 s of processor time where this was written. A reference that is too small makes limits longer, never shorter.
const START_OF_PYODIDE: Duration = Duration::from_millis(2000);

/// The time that CPython 3.11 takes for the loop there, estimated likewise.
const LOOP_OF_PYTHON: Duration = Duration::from_millis(500);

/// A loop that takes Python about as long as the constant says.
const LOOP: &str =
    "import time\ntotal = 0\nfor number in range(8_000_000): total += number\nprint(time.process_time())";

/// The factor by which things may take longer than in the measurement, when others have more of the machine.
const MORE_LOAD: f64 = 1.5;

/// The factor by which things may take longer than on a quiet, fast machine here, and how that is known.
pub(crate) struct Pace {
    pub(crate) factor: f64,
    pub(crate) reason: String,
}

/// The program that is timed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Measure {
    /// A loop of Python's.
    Python,
    /// A start of Pyodide under Node; a loop of Python's where either is missing.
    Pyodide,
}

/// Measures the pace of each of so many lanes side by side.
///
/// # Errors
/// If the program cannot be started.
pub(crate) fn measure(workspace: &Workspace, measure: Measure, lanes: usize) -> Result<Pace> {
    if let Some(text) = std::env::var_os(PACE) {
        let text = text.to_string_lossy();
        let factor = text.parse::<f64>().ok().filter(|factor| factor.is_finite() && *factor >= 1.0);
        let factor = factor
            .with_context(|| format!("{PACE} is {text:?}; it should be a number from 1 on, such as 2.5"))?;
        return Ok(Pace { factor, reason: format!("given by {PACE}") });
    }
    let pyodide = Pyodide::V314.folder(workspace);
    let node = if measure == Measure::Pyodide { node::find(workspace).ok() } else { None };
    let (what, reference, mut command) = match node {
        Some(node) if pyodide.join("pyodide.mjs").is_file() => {
            let mut node = Command::new(node);
            node.arg(workspace.tests("node").join("start.mjs")).arg(pyodide);
            ("Pyodide starts", START_OF_PYODIDE, node)
        }
        _ => {
            let mut python = Command::new(workspace.python());
            python.args(["-c", LOOP]);
            ("Python runs a loop", LOOP_OF_PYTHON, python)
        }
    };
    let start = Instant::now();
    let output = process::run(workspace, "pace", &mut command)?;
    let elapsed = start.elapsed();
    let processor = processor_time(&output).with_context(|| format!("the program told no time: {output}"))?;
    let factor = of(elapsed, processor, reference, lanes);
    let beside = if lanes > 1 { format!(", {lanes} lanes") } else { String::new() };
    let (elapsed, processor) = (elapsed.as_secs_f64(), processor.as_secs_f64());
    Ok(Pace {
        factor,
        reason: format!("{what} in {elapsed:.1} s, {processor:.1} s of them computing{beside}"),
    })
}

/// Reads the seconds of processor time in the last line of what a program wrote.
fn processor_time(output: &str) -> Option<Duration> {
    let seconds: f64 = output.trim_end().lines().last()?.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// Computes the pace from the time that something took and should take.
///
/// The processor's time tells how fast the machine is, of which each lane has a part. The elapsed time tells how much of the
/// machine others have now. The other lane may be one of them, and does not count twice.
fn of(elapsed: Duration, processor: Duration, reference: Duration, lanes: usize) -> f64 {
    let of_machine = (processor.as_secs_f64() / reference.as_secs_f64()).max(1.0) * of_lanes(lanes);
    of_machine.max(MORE_LOAD * elapsed.as_secs_f64() / reference.as_secs_f64())
}

/// The factor by which things take longer in each of so many lanes, at most.
pub(super) fn of_lanes(lanes: usize) -> f64 {
    f64::from(u32::try_from(lanes.max(1)).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fast machine does not shorten the limits; lanes side by side lengthen them.
    #[test]
    fn the_pace_is_at_least_one_for_each_lane() {
        let second = Duration::from_secs(1);
        let close = |pace: f64, expected: f64| (pace - expected).abs() < 1e-9;
        assert!(close(of(second / 2, second / 2, second, 1), 1.0));
        assert!(close(of(second / 2, second / 2, second, 2), 2.0));
        assert!(close(of(second * 3, second * 3, second, 2), 6.0));
    }

    /// The wait for the other lane is in the number of lanes already; the wait for other programs is not.
    #[test]
    fn a_busy_machine_counts_once() {
        let second = Duration::from_secs(1);
        assert!((of(second, second, second, 2) - 2.0).abs() < 1e-9);
        assert!((of(second * 2, second, second, 2) - 3.0).abs() < 1e-9);
        assert!((of(second * 6, second, second, 2) - 9.0).abs() < 1e-9);
    }

    /// The time is in the last line, behind whatever the program said.
    #[test]
    fn the_programs_tell_their_time() {
        assert_eq!(processor_time("a warning\n1.25\n"), Some(Duration::from_millis(1250)));
        assert_eq!(processor_time(""), None);
        assert_eq!(processor_time("-1"), None);
    }
}
