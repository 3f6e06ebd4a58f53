//! Objects that are of no builtin type, and builtin ones that an adapter is for: what they are walked as.
//!
//! An object is described by the plan of a user's class that is nothing but its attributes ([`crate::objects`]), else by
//! `workerlib/_values/table.py`: the user's adapter, or a row of its table. It knows also which nodes are the format's own, such as
//! the name of an attribute, and are not for adapters. The parent module reads builtin types, and decides who owns which reference.

use std::ptr;

use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use workerlib_codec::Item;
use workerlib_codec::marker::{Container, ext};

use super::{Object, PySource, Walk, type_name};
use crate::errors::Refusal;
use crate::gc_pause::with_collector;
use crate::objects::{Content, Plan};
use crate::types;

/// The number of values that a reference has; a function has two.
const REFERENCE_VALUES: usize = 4;

impl<'py> PySource<'py> {
    /// Takes what is not a builtin object: one of a user's class, if the way to read such is known, or any other.
    #[inline(never)]
    pub(super) fn composite(&mut self, node: Object) -> Result<Item<'_, Object, Walk>, Refusal> {
        let object = self.owned(node);
        // SAFETY: the object is alive, and so is its class.
        let class = unsafe { ffi::Py_TYPE(node) };
        let index = self.plans.iter().position(|plan| plan.is_of(class));
        if let Some(index) = index {
            if self.plans[index].calls_python() {
                self.own();
            }
            if let Some(content) = self.plans[index].content(&object)? {
                return Ok(self.object(index, content));
            }
        }
        self.other(node)
    }

    /// Starts the walk over an object by the plan of its class.
    fn object(&mut self, index: usize, content: Content<'py>) -> Item<'_, Object, Walk> {
        let kind = Container::Extension(ext::OBJECT);
        match content {
            Content::Dict(dict) => {
                // The object has a reference to it, and no Python code runs without that `open` has made one.
                let (count, dict) = (dict.len(), dict.as_ptr());
                self.open(dict);
                let (size, value) = (count as ffi::Py_ssize_t, self.plans[index].first.as_ptr());
                // The value before the first key is taken as if it were that of a key.
                let (position, last, taken, seen) = (0, 0, 1, ptr::null_mut());
                let walk = Walk::Dict { dict, size, position, last, taken, value, seen, is_object: true };
                Item::Container(kind, 1 + 2 * count, walk)
            }
            Content::Values(values) => self.tuple(kind, values.into_any(), 2),
        }
    }

    /// Asks `workerlib/_values/table.py` what an object of another type is sent as.
    #[cold]
    pub(super) fn other(&mut self, node: Object) -> Result<Item<'_, Object, Walk>, Refusal> {
        if self.is_plain_only {
            return Err(Refusal::NotPlain);
        }
        let object = self.owned(node);
        if let Some(sending) = self.types.known(&object.get_type())
            && let Some(kind) = sending.kind
            && let Some(made) = sending.reader.read(&object)?
        {
            return Ok(self.tuple(Container::Extension(kind), made.into_any(), 1));
        }
        self.own();
        let refuse = |reason| Refusal::Type(type_name(&object.get_type()), reason);
        let Some(sending) = self.types.sending(&object.get_type())? else { return Err(refuse(None)) };
        if sending.kind == Some(ext::ADAPTED) {
            return self.adapt(object, &sending.function);
        }
        if let Some(kind) = sending.kind
            && let Some(made) = sending.reader.read(&object)?
        {
            return Ok(self.tuple(Container::Extension(kind), made.into_any(), 1));
        }
        let class = object.get_type().as_type_ptr();
        if sending.kind == Some(ext::OBJECT)
            && !self.plans.iter().any(|plan| plan.is_of(class))
            && let Some(plan) = Plan::find(&object.get_type())?
        {
            let index = self.plans.len();
            self.plans.push(plan);
            if let Some(content) = self.plans[index].content(&object)? {
                return Ok(self.object(index, content));
            }
        }
        self.types.enter()?;
        let refused = |error: PyErr| match (self.types.reason(&error), error.cause(self.py)) {
            (Some(reason), Some(cause)) => Refusal::Because(type_name(&object.get_type()), reason, cause),
            (Some(reason), None) => refuse(Some(reason)),
            (None, _) => Refusal::Raised(error),
        };
        let made = match sending.kind {
            Some(_) => sending.function.call1((&object,)),
            // Iterating over it, say, is the user's code.
            None => with_collector(self.py, || sending.function.call1((&object,))),
        };
        let made = made.map_err(refused)?;
        if sending.kind == Some(ext::PATTERN) {
            self.patterns = self.types.weigh(self.patterns, &made).map_err(refused)?;
        }
        match sending.kind {
            Some(ext::HANDLE) => Ok(Item::Handle),
            Some(kind) if made.is_exact_instance_of::<PyTuple>() => {
                // A function that the other side does not find by its name is a reference, which has more values.
                let is_reference =
                    kind == ext::FUNCTION && made.len().is_ok_and(|len| len == REFERENCE_VALUES);
                let kind = if is_reference { ext::REMOTE } else { kind };
                Ok(self.tuple(Container::Extension(kind), made, 1))
            }
            Some(kind) => Err(refuse(Some(format!("extension type {kind} was not made of a tuple")))),
            None => {
                self.kept.push(object.unbind());
                let node = made.as_ptr();
                self.kept.push(made.unbind());
                Ok(Item::Converted(node))
            }
        }
    }

    /// Passes an object through the user's adapter for it.
    fn adapt(
        &mut self,
        object: Bound<'py, PyAny>,
        adapter: &Bound<'py, PyAny>,
    ) -> Result<Item<'_, Object, Walk>, Refusal> {
        let key = adapter.getattr(intern!(self.py, "key"))?.to_string();
        if self.adapted.contains(&object.as_ptr()) {
            let reason =
                format!("a cycle through the adapter {key}, which made something that holds it again");
            return Err(Refusal::Type(type_name(&object.get_type()), Some(reason)));
        }
        self.types.enter()?;
        let made = self.types.adapt(&object, adapter, self.slow.as_ref());
        let made = made.map_err(|error| Refusal::Adapter(key, error))?;
        let node = object.as_ptr();
        self.kept.push(object.unbind());
        if made.is_exact_instance_of::<PyTuple>() {
            self.adapted.push(node);
            return Ok(self.tuple(Container::Extension(ext::ADAPTED), made, 1));
        }
        let slot = made.as_ptr();
        self.slot = Some(made.clone().unbind());
        self.kept.push(made.unbind());
        Ok(Item::Converted(slot))
    }

    /// Returns whether an adapter is for a node of a builtin type, which stands where it is the user's.
    pub(super) fn is_adapted(&self, node: Object) -> bool {
        let Some(builtins) = &self.builtins else { return false };
        let class = self.owned(node).get_type();
        !self.is_structure && builtins.contains(class).unwrap_or(false)
    }

    /// Notes whether the node that was taken last is the user's, or something of ours that adapters must not see.
    #[cold]
    pub(super) fn note_place(&mut self, walk: &Walk, node: Object) {
        let (is_structure, holds_more) = match *walk {
            Walk::List { .. } => (false, false),
            // Kind, class and fields of an object: the names of the fields stand in a tuple of their own.
            Walk::Tuple { tuple, extension: None, .. } => {
                (self.structures.contains_key(&(tuple as usize)), self.firsts.contains_key(&(tuple as usize)))
            }
            Walk::Tuple { extension: Some(kind), taken, .. } => {
                types::is_structure(kind, (taken - 1).max(0) as usize)
            }
            // The first value, and then names.
            Walk::Dict { taken, is_object: true, .. } => (taken == 2 || taken % 2 == 1, taken == 2),
            Walk::Dict { dict, taken, .. } => {
                (taken % 2 == 1 && self.structures.contains_key(&(dict as usize)), false)
            }
        };
        self.is_structure = is_structure;
        if holds_more {
            self.structures.insert(node as usize, 0);
            let is_object = match *walk {
                Walk::Tuple { extension, .. } => extension == Some(ext::OBJECT),
                Walk::Dict { is_object, .. } => is_object,
                Walk::List { .. } => false,
            };
            if is_object {
                self.firsts.insert(node as usize, 0);
            }
        }
    }

    /// Hears of the next root: whether it is something of ours, and whether what it holds first is.
    pub(crate) fn begin(&mut self, root: Object, is_structure: bool, has_names: bool) {
        self.is_structure = is_structure;
        if has_names {
            self.structures.insert(root as usize, 0);
        }
    }
}
