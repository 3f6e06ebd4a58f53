//! Where in an argument or a result a value stands, for messages to people.

use std::fmt;

/// One step from a container to a value in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// To an element, by its position.
    Index(usize),
    /// To the value of a key, given as its `repr()`.
    Key(String),
    /// To a key itself, given by its position among the keys.
    KeyAt(usize),
    /// To an attribute, by its name.
    Attribute(String),
}

/// The steps from a root, such as `args`, to a value: `args[0].rows[17]['when']`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Path {
    /// The steps, from the root on.
    pub steps: Vec<Step>,
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A path of a hundred thousand steps helps nobody: its two ends do.
        const SHOWN: usize = 12;
        let steps = &self.steps;
        for (position, step) in steps.iter().enumerate() {
            if steps.len() > 2 * SHOWN && position == SHOWN {
                write!(f, "[… {} levels …]", steps.len() - 2 * SHOWN)?;
            }
            if steps.len() > 2 * SHOWN && (SHOWN..steps.len() - SHOWN).contains(&position) {
                continue;
            }
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) => write!(f, "[{key}]")?,
                Step::KeyAt(index) => write!(f, ".keys()[{index}]")?,
                Step::Attribute(name) => write!(f, ".{name}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_like_the_python_that_reaches_the_value() {
        let steps =
            vec![Step::Index(0), Step::Key("'when'".into()), Step::Attribute("rows".into()), Step::KeyAt(2)];
        assert_eq!(Path { steps }.to_string(), "[0]['when'].rows.keys()[2]");
    }

    #[test]
    fn a_very_deep_path_shows_its_two_ends() {
        let path = Path { steps: (0..1000).map(Step::Index).collect() };
        let text = path.to_string();
        assert!(text.starts_with("[0][1]") && text.ends_with("[998][999]"), "{text}");
        assert!(text.contains("[… 976 levels …]"), "{text}");
    }
}
