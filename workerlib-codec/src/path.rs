//! The place of a value in an argument or a result, for messages to people.

use std::fmt;

/// A step from a container to a value in it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// To an element, by its position.
    Index(usize),
    /// To the value of a key, given as its `repr()`.
    Key(String),
    /// To a key itself, given by its position among the keys.
    KeyAt(usize),
    /// To an attribute, by its name.
    Attribute(String),
    /// To a value that Python reaches only by the container itself.
    Within,
}

/// The steps from a root, such as `args`, to a value: `args[0].rows[17]['when']`.
///
/// A path of a hundred thousand steps helps nobody, and takes its time: of a long one only the ends are kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Path {
    /// The steps, from the root on.
    pub steps: Vec<Step>,
    /// The number of levels that are left out after the first [`Path::END`] steps.
    pub omitted: usize,
}

impl Path {
    /// The number of steps that each end of a long path has.
    pub const END: usize = 12;

    /// Makes a path of all of its steps.
    pub fn new(steps: Vec<Step>) -> Self {
        Self { steps, omitted: 0 }
    }

    /// Makes the path through that many levels; asks for the step within each, from the root on, if it keeps
    /// it.
    pub(crate) fn through(levels: usize, step: impl FnMut(usize) -> Step) -> Self {
        let omitted = levels.saturating_sub(2 * Self::END);
        let first = if omitted == 0 { levels } else { Self::END };
        // Not all levels are gone through: a path may be asked for in each of a hundred thousand.
        let kept = (0..first).chain(first + omitted..levels);
        Self { steps: kept.map(step).collect(), omitted }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.steps.iter().enumerate() {
            if self.omitted > 0 && position == Self::END {
                write!(f, "[… {} levels …]", self.omitted)?;
            }
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) => write!(f, "[{key}]")?,
                Step::KeyAt(index) => write!(f, ".keys()[{index}]")?,
                Step::Attribute(name) => write!(f, ".{name}")?,
                Step::Within => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Protects messages to people, who paste the path behind the name of an argument.
    #[test]
    fn a_path_reads_like_the_python_that_reaches_the_value() {
        let steps =
            vec![Step::Index(0), Step::Key("'when'".into()), Step::Attribute("rows".into()), Step::KeyAt(2)];
        assert_eq!(Path { steps, omitted: 0 }.to_string(), "[0]['when'].rows.keys()[2]");
    }

    /// Protects people from taking the ends of a long path for all of it.
    #[test]
    fn what_a_path_leaves_out_is_said() {
        let path = Path { steps: (0..12).chain(988..1000).map(Step::Index).collect(), omitted: 976 };
        let text = path.to_string();
        assert!(text.starts_with("[0][1]") && text.ends_with("[998][999]"), "{text}");
        assert!(text.contains("[11][… 976 levels …][988]"), "{text}");
    }
}
