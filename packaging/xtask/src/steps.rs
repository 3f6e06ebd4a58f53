//! A list of named steps, run in order with a line of progress for each.

use std::io::{self, Write as _};
use std::time::Instant;

use anyhow::{Context, Result};

type Work<'a> = Box<dyn FnOnce() -> Result<Outcome> + 'a>;

/// The result of a step.
pub(crate) enum Outcome {
    /// The step did its work.
    Done,
    /// The step did its work, and this text is worth telling.
    Note(String),
    /// The step had nothing to do: its inputs have not changed since it last ran.
    Unchanged,
}

/// Collects the steps of a command, then runs them.
#[derive(Default)]
pub(crate) struct Steps<'a> {
    steps: Vec<(String, Work<'a>)>,
}

impl<'a> Steps<'a> {
    /// Appends a step.
    pub(crate) fn add(&mut self, name: impl Into<String>, work: impl FnOnce() -> Result<Outcome> + 'a) {
        self.steps.push((name.into(), Box::new(work)));
    }

    /// Runs the steps until one fails.
    ///
    /// # Errors
    /// The error of the step that failed, with its name.
    pub(crate) fn run(self) -> Result<()> {
        self.run_with(|name| {
            print!("{name} …");
            // A line that is not shown at once is shown later.
            let _ = io::stdout().flush();
            String::new()
        })
    }

    /// Runs the steps until one fails, and prints whole lines: other jobs may print between the start and the end of a step.
    ///
    /// # Errors
    /// The error of the step that failed, with its name.
    pub(crate) fn run_beside_others(self) -> Result<()> {
        self.run_with(|name| format!("{name}:"))
    }

    /// Runs the steps; `announce` is told each name, and returns how the line of its end begins.
    fn run_with(self, announce: impl Fn(&str) -> String) -> Result<()> {
        let count = self.steps.len();
        for (number, (name, work)) in (1..).zip(self.steps) {
            let line = announce(&format!("[{number}/{count}] {name}"));
            let start = Instant::now();
            let outcome = work();
            let seconds = start.elapsed().as_secs_f64();
            match &outcome {
                Ok(Outcome::Done) => println!("{line} {seconds:.1} s"),
                Ok(Outcome::Note(note)) => println!("{line} {seconds:.1} s ({note})"),
                Ok(Outcome::Unchanged) => println!("{line} {seconds:.1} s (nothing changed)"),
                Err(_) => println!("{line} failed after {seconds:.1} s"),
            }
            outcome.with_context(|| format!("{name} failed"))?;
        }
        Ok(())
    }
}
