//! A list of named steps, run in order with a line of progress for each.

use std::io::{self, Write as _};
use std::time::Instant;

use anyhow::{Context, Result};

type Work<'a> = Box<dyn FnOnce() -> Result<Outcome> + 'a>;

/// What a step came to.
pub(crate) enum Outcome {
    /// It did its work.
    Done,
    /// It did its work, and this is worth telling.
    Note(String),
    /// Nothing had changed since it was last done.
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
        let count = self.steps.len();
        for (number, (name, work)) in (1..).zip(self.steps) {
            print!("[{number}/{count}] {name} …");
            io::stdout().flush()?;
            let start = Instant::now();
            let outcome = work();
            let seconds = start.elapsed().as_secs_f64();
            match &outcome {
                Ok(Outcome::Done) => println!(" {seconds:.1} s"),
                Ok(Outcome::Note(note)) => println!(" {seconds:.1} s ({note})"),
                Ok(Outcome::Unchanged) => println!(" {seconds:.1} s (nothing changed)"),
                Err(_) => println!(" failed after {seconds:.1} s"),
            }
            outcome.with_context(|| format!("{name} failed"))?;
        }
        Ok(())
    }
}
