//! The functions that a peer offers: [`Export`], and all of them by name, [`Exports`].
//!
//! This is the one description of an export. With the feature `serde` it is serialized in the form that the wire
//! format gives it (section 3.2): an array of its fields, in their order.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};

use indexmap::IndexSet;

/// A function that a peer offers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Export {
    /// The name by which it is called.
    pub name: String,
    /// Its docstring, if it has one.
    pub doc: Option<String>,
    /// Its parameters in order; `None` if Python cannot tell them, as for some builtins.
    pub parameters: Option<Vec<Parameter>>,
    /// The source text of its return annotation.
    pub returns: Option<String>,
    /// The form of its result; it is left out where it is a value, as nearly always.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "ExportKind::is_function"))]
    pub kind: ExportKind,
}

impl Export {
    /// Describes a function by its name alone.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), doc: None, parameters: None, returns: None, kind: ExportKind::Function }
    }
}

/// The form of an export's result, and whether its parameters are those that a call has to fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
#[non_exhaustive]
pub enum ExportKind {
    /// A value.
    #[default]
    Function = 0,
    /// A stream of items.
    Stream = 1,
    /// A value of a decorated function. The parameters are those of the function inside, and only the decorator knows
    /// which arguments it takes itself.
    Decorated = 2,
    /// A stream of items of a decorated function.
    DecoratedStream = 3,
    /// A value or a stream of items, as the caller asks for it: only the call tells which of them there is.
    Either = 4,
    /// Either of them, of a decorated function.
    DecoratedEither = 6,
}

impl ExportKind {
    /// Returns the kind with that number.
    pub fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Function,
            1 => Self::Stream,
            2 => Self::Decorated,
            3 => Self::DecoratedStream,
            4 => Self::Either,
            6 => Self::DecoratedEither,
            _ => return None,
        })
    }

    /// Returns the number of the kind.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// Returns whether this is the kind that is not written.
    #[cfg(feature = "serde")]
    fn is_function(&self) -> bool {
        *self == Self::Function
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for ExportKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.number())
    }
}

/// A parameter of an exported function, as `inspect.Parameter` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// The way in which it is passed.
    pub kind: ParameterKind,
    /// The `repr()` of its default, if it has one.
    pub default: Option<String>,
    /// The source text of its annotation.
    pub annotation: Option<String>,
}

impl Parameter {
    /// Describes a parameter without a default and an annotation.
    pub fn new(name: impl Into<String>, kind: ParameterKind) -> Self {
        Self { name: name.into(), kind, default: None, annotation: None }
    }
}

/// The way in which a parameter takes its argument; the numbers are those of `inspect.Parameter.kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
pub enum ParameterKind {
    /// Before a `/`.
    PositionalOnly = 0,
    /// The usual kind.
    PositionalOrKeyword = 1,
    /// `*args`.
    VarPositional = 2,
    /// After a `*`.
    KeywordOnly = 3,
    /// `**kwargs`.
    VarKeyword = 4,
}

impl ParameterKind {
    /// Returns the kind with that number.
    pub fn from_number(number: u8) -> Option<Self> {
        [
            Self::PositionalOnly,
            Self::PositionalOrKeyword,
            Self::VarPositional,
            Self::KeywordOnly,
            Self::VarKeyword,
        ]
        .into_iter()
        .find(|kind| kind.number() == number)
    }

    /// Returns the number of the kind.
    pub fn number(self) -> u8 {
        self as u8
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for ParameterKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.number())
    }
}

/// Exports by name, in the order in which their names came.
///
/// An export with a name that is there already replaces that one, and keeps its place.
#[derive(Debug, Clone, Default)]
pub struct Exports {
    by_name: IndexSet<ByName>,
}

/// An export that is the same as any other of its name.
#[derive(Debug, Clone)]
struct ByName(Export);

impl PartialEq for ByName {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for ByName {}

impl Hash for ByName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.name.hash(state);
    }
}

impl Borrow<str> for ByName {
    fn borrow(&self) -> &str {
        &self.0.name
    }
}

impl Exports {
    /// Adds an export; returns the one that it replaces.
    #[inline(never)]
    pub fn insert(&mut self, export: Export) -> Option<Export> {
        self.by_name.replace(ByName(export)).map(|ByName(replaced)| replaced)
    }

    /// Finds an export by its name.
    pub fn get(&self, name: &str) -> Option<&Export> {
        self.by_name.get(name).map(|ByName(export)| export)
    }

    /// Returns the exports in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Export> {
        self.by_name.iter().map(|ByName(export)| export)
    }

    /// The number of exports.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }
}

impl PartialEq for Exports {
    /// Compares all of each export, and the order.
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Exports {}

impl Extend<Export> for Exports {
    fn extend<I: IntoIterator<Item = Export>>(&mut self, exports: I) {
        for export in exports {
            self.insert(export);
        }
    }
}

impl FromIterator<Export> for Exports {
    fn from_iter<I: IntoIterator<Item = Export>>(exports: I) -> Self {
        let mut all = Self::default();
        all.extend(exports);
        all
    }
}

impl IntoIterator for Exports {
    type Item = Export;
    type IntoIter = IntoIter;

    fn into_iter(self) -> IntoIter {
        IntoIter(self.by_name.into_iter())
    }
}

/// Takes exports out of [`Exports`], in order.
#[derive(Debug)]
pub struct IntoIter(indexmap::set::IntoIter<ByName>);

impl Iterator for IntoIter {
    type Item = Export;

    fn next(&mut self) -> Option<Export> {
        self.0.next().map(|ByName(export)| export)
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Exports {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Protects the order of the handshake, which is the order of export, and the rule that a name has one export.
    #[test]
    fn an_export_is_found_by_its_name_and_keeps_its_place() {
        let mut exports: Exports = ["c", "a", "b"].map(Export::new).into_iter().collect();
        let described = Export { doc: Some("new".into()), ..Export::new("a") };
        assert_eq!(exports.insert(described.clone()), Some(Export::new("a")));
        assert_eq!(exports.get("a"), Some(&described));
        assert_eq!(exports.get("d"), None);
        let names: Vec<_> = exports.iter().map(|export| export.name.as_str()).collect();
        assert_eq!(names, ["c", "a", "b"]);
    }

    /// Protects the comparison: two peers that export the same names with other descriptions differ.
    #[test]
    fn exports_are_equal_with_their_descriptions_and_in_their_order() {
        let all = |names: [&str; 2]| names.map(Export::new).into_iter().collect::<Exports>();
        let mut described = all(["a", "b"]);
        described.insert(Export { returns: Some("int".into()), ..Export::new("a") });
        assert_eq!(all(["a", "b"]), all(["a", "b"]));
        assert_ne!(all(["a", "b"]), all(["b", "a"]));
        assert_ne!(all(["a", "b"]), described);
    }
}
