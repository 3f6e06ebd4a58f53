//! Decides whether a run also makes the checks that repeat others: never, always, or where the machine is fast enough.
//!
//! With these checks a run takes about twice as long. CI ends a run after a fixed time, which such a run would exceed on a slow
//! machine, though no test of it fails.

use super::pace;

/// The minutes that a run with all checks takes from nothing, in two lanes on a machine whose limits are twice as long, which is
/// the least in two lanes. On one whose limits were 6.1 times as long, it took 71 minutes.
const MINUTES_OF_ALL: f64 = 27.0;

/// The number of lanes in which it took so long.
const LANES_OF_ALL: f64 = 2.0;

/// Which checks a run makes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Extent {
    /// Each check once.
    Plain,
    /// Also the checks that repeat others.
    Full,
    /// Also these, if the run is likely to end within so many minutes.
    Within(u32),
}

/// The measurements of the machine so far: a run makes them while it builds the products that its parts need.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    /// The factor by which things may take longer than on a quiet, fast machine.
    pub(super) pace: f64,
    /// Why the run leaves out the checks that repeat others, if the machine is the reason.
    pub(super) too_slow: Option<String>,
}

impl Machine {
    /// Describes a machine that has not been measured: it is fast.
    pub(super) fn unmeasured(lanes: usize) -> Self {
        Self { pace: pace::of_lanes(lanes), too_slow: None }
    }

    /// Notes a measurement. What one measurement leaves out stays left out, so that no part of a run promises more than another.
    pub(super) fn note(&mut self, pace: f64, lanes: usize, extent: Extent) {
        self.pace = pace;
        self.too_slow = self.too_slow.take().or_else(|| extent.too_slow(pace, lanes));
    }
}

impl Extent {
    /// Tells why a machine of this pace leaves out the checks that repeat others, if it does.
    fn too_slow(self, pace: f64, lanes: usize) -> Option<String> {
        let Self::Within(limit) = self else { return None };
        let minutes = minutes_of_all(pace, lanes);
        (minutes > f64::from(limit)).then(|| {
            format!(
                "limits are {pace:.1} times as long here, so --full would take about {minutes:.0} minutes, \
                 and --full-within allows {limit}"
            )
        })
    }
}

/// Estimates how many minutes a run with all checks takes on a machine of this pace, which counts each lane.
fn minutes_of_all(pace: f64, lanes: usize) -> f64 {
    let lanes = pace::of_lanes(lanes);
    MINUTES_OF_ALL * (pace / lanes) * (LANES_OF_ALL / lanes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::workspace::Workspace;

    /// The minutes that `.ci/run` allows.
    const LIMIT: Extent = Extent::Within(60);

    /// The number behind a word in a file of the repository.
    fn number(file: &str, word: &str) -> u32 {
        let text = fs::read_to_string(Workspace::of_this_program().root().join(file)).expect("it is there");
        let (_, rest) = text.split_once(word).unwrap_or_else(|| panic!("{file} has no {word}"));
        rest.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number follows")
    }

    /// CI ends a run that takes half as long again as was estimated no sooner than it ends by itself.
    #[test]
    fn ci_has_time_for_more_than_it_asks_for() {
        let asked = number(".ci/run", "--full-within");
        assert_eq!(LIMIT, Extent::Within(asked));
        assert!(asked * 3 <= number(".github/workflows/test.yml", "timeout-minutes:") * 2);
    }

    /// A quiet, fast machine makes all checks, even twice as slow a one does. The machine on which CI took 71 of its 90 minutes
    /// leaves out the repetitions.
    #[test]
    fn a_slow_machine_makes_a_plain_run() {
        assert_eq!(LIMIT.too_slow(2.0, 2), None);
        assert_eq!(LIMIT.too_slow(4.0, 2), None);
        let reason = LIMIT.too_slow(6.1, 2).expect("it is too slow");
        assert!(
            reason.contains("6.1 times") && reason.contains("82 minutes") && reason.contains("60"),
            "{reason}"
        );
        assert_eq!(Extent::Full.too_slow(60.0, 2), None);
        assert_eq!(Extent::Plain.too_slow(60.0, 2), None);
    }

    /// In a single lane limits are shorter and a run takes twice as long.
    #[test]
    fn one_lane_takes_as_long_as_two_do_together() {
        assert!((minutes_of_all(1.0, 1) - 2.0 * minutes_of_all(2.0, 2)).abs() < 1e-9);
    }

    /// A machine that was busy when it was first measured leaves them out in all parts that come later.
    #[test]
    fn a_run_that_leaves_out_checks_stays_so() {
        let mut machine = Machine::unmeasured(2);
        assert_eq!(machine.too_slow, None);
        machine.note(9.0, 2, LIMIT);
        machine.note(2.0, 2, LIMIT);
        assert!((machine.pace - 2.0).abs() < 1e-9);
        assert!(machine.too_slow.expect("the first one counts").contains("9.0 times"));
    }
}
