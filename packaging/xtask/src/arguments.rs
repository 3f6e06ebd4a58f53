//! The flags of the command line: `--name` or `--name value`, and nothing that is not known.

use anyhow::{Context, Result, bail};

/// The arguments of a command that were not asked for yet.
pub(crate) struct Arguments {
    rest: Vec<String>,
}

impl Arguments {
    pub(crate) fn new(arguments: &[String]) -> Self {
        Self { rest: arguments.to_vec() }
    }

    /// Takes a flag, and tells whether it was there.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let count = self.rest.len();
        self.rest.retain(|argument| argument != name);
        self.rest.len() < count
    }

    /// Takes a flag with its value, as `--name value` or `--name=value`.
    ///
    /// # Errors
    /// If the value is missing.
    pub(crate) fn value(&mut self, name: &str) -> Result<Option<String>> {
        let start = format!("{name}=");
        let Some(index) =
            self.rest.iter().position(|argument| argument == name || argument.starts_with(&start))
        else {
            return Ok(None);
        };
        let argument = self.rest.remove(index);
        if let Some(value) = argument.strip_prefix(&start) {
            return Ok(Some(value.to_owned()));
        }
        let value = (index < self.rest.len()).then(|| self.rest.remove(index));
        value.map(Some).with_context(|| format!("{name} needs a value"))
    }

    /// Takes a flag with all its values: it may be given often, and may name several at once.
    ///
    /// # Errors
    /// If a value is missing.
    pub(crate) fn values(&mut self, name: &str) -> Result<Vec<String>> {
        let mut values = Vec::new();
        while let Some(value) = self.value(name)? {
            values.extend(value.split(',').map(str::to_owned));
            // `--only a b` reads as well as `--only a --only b`.
            while self.rest.first().is_some_and(|argument| !argument.starts_with('-')) {
                values.push(self.rest.remove(0));
            }
        }
        Ok(values)
    }

    /// Takes what is no flag, if that comes first.
    pub(crate) fn first(&mut self) -> Option<String> {
        let is_there = self.rest.first().is_some_and(|argument| !argument.starts_with('-'));
        is_there.then(|| self.rest.remove(0))
    }

    /// Ends the parsing.
    ///
    /// # Errors
    /// If something is left that no one asked for.
    pub(crate) fn finish(self) -> Result<()> {
        match self.rest.first() {
            Some(argument) => bail!("{argument} is not known here; see `cargo xtask help`"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(text: &str) -> Arguments {
        Arguments::new(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn flags_and_values_are_taken() {
        let mut given = arguments("--port 80 --headless --pyodide=314");
        assert_eq!(given.value("--port").expect("given"), Some("80".into()));
        assert_eq!(given.value("--pyodide").expect("given"), Some("314".into()));
        assert!(given.flag("--headless"));
        assert!(!given.flag("--headless"));
        given.finish().expect("nothing is left");
    }

    #[test]
    fn what_is_unknown_or_lacks_a_value_is_an_error() {
        assert!(arguments("--prot 80").finish().is_err());
        assert!(arguments("--port").value("--port").is_err());
    }

    #[test]
    fn several_values_are_collected() {
        let mut given = arguments("--only a b --only c,d");
        assert_eq!(given.values("--only").expect("given"), ["a", "b", "c", "d"]);
        given.finish().expect("nothing is left");
    }
}
