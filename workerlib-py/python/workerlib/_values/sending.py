"""Provides the table by which one connection sends objects: by adapter, by row, or as a likeness.

Each connection has a `SendingTable` of its own, since its adapters and its settings are its own. `_native`
asks it once for each class, and keeps nothing of the answer beyond a frame. Values that belong to no
connection are sent by `DEFAULT`.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterator
from typing import Any
from weakref import WeakSet

from workerlib._native import adapt_builtins
from workerlib._values import (
    adapters,
    functions,
    javascript_objects,
    likenesses,
    references,
    streams,
    table,
)
from workerlib._values.adapter import ADAPTED, Adapter, Whole
from workerlib._values.adapters import AdapterSet
from workerlib._values.row import Parts, refuse
from workerlib._values.safe_text import text_of
from workerlib._values.slot import Slot
from workerlib._values.transfer import Transfer

Way = tuple[int | None, Callable[[Any], Any] | Adapter]
"""The extension type and what makes its values; or None and what makes the object that is sent instead."""

_SLOT = 83
_HANDLE = 96

_BUILTINS = (
    *(str, int, float, bool, types.NoneType, bytes, bytearray, memoryview, list, tuple, dict, set, frozenset),
    *(complex, types.EllipsisType, types.NotImplementedType),
)


class SendingTable:
    """How the objects of each class are sent over one connection, and how adapted ones are built."""

    def __init__(self, adapters: AdapterSet, *, strict: bool = False, lists: bool = False) -> None:
        """Starts with nothing known.

        Args:
            adapters: The connection's adapters.
            strict: Whether an object that would arrive as something like it is refused instead.
            lists: Whether everything that can be iterated arrives as a list, whatever else it is.
        """
        self.adapters = adapters
        self.ways: dict[type, Way] = {}
        """How objects of the classes that were met so far are sent; `_native` looks here first."""
        self.adapted_builtins: set[type] = set()
        """The types that `_native` knows by heart, and that adapters are for all the same."""
        self._strict = strict
        self._take_apart_function: Callable[[Any], Parts] = (
            functions.take_apart_strictly if strict else functions.take_apart_function
        )
        self._convert_partial: Callable[[Any], object] = (
            functions.convert_partial_strictly if strict else functions.convert_partial
        )
        self._lists = lists
        _tables.add(self)
        self.forget()

    def forget(self) -> None:
        """Has every class looked up anew, since adapters have changed."""
        self.ways.clear()
        self.adapted_builtins.clear()
        # Most connections have no adapter, and each has a table: connecting would ask for nothing.
        if not self.adapters.is_empty:
            self.adapted_builtins.update(cls for cls in _BUILTINS if self.adapters.find(cls) is not None)
        if self.adapted_builtins:
            adapt_builtins(True)

    def find(self, cls: type) -> Way | None:
        """Says how objects of a class are sent that `ways` does not have; None if they cannot be.

        Args:
            cls: The class.
        """
        if way := self._find_exact(cls):
            self.ways[cls] = way
            return way
        likeness = likenesses.find_likeness(cls, self._lists)
        if likeness is None:
            return None
        if self._strict and likeness.name is not None:
            reason = f"it would arrive as {likeness.name}, and this connection is strict"
            if issubclass(cls, Iterator):
                reason += ": send list(…), or workerlib.stream(…), whose items arrive one by one"
            return None, refuse(reason)
        return None, likeness.convert

    def _find_exact(self, cls: type) -> Way | None:
        """Says how objects of a class are sent that arrive as themselves."""
        if cls is Slot:
            return _SLOT, lambda slot: (slot.number,)
        if cls is Transfer:
            return _HANDLE, Transfer.check
        adapter = self.adapters.find_total() if cls is Whole else self.adapters.find(cls)
        is_function = cls in functions.TYPES or cls in functions.OTHER_TYPES
        is_function = is_function or issubclass(cls, functions.CalledThere)
        if adapter is None and is_function:
            # Most functions would be refused: where there is a last resort, it takes all of them.
            adapter = self.adapters.find_last_resort()
        if adapter is None and streams.is_stream(cls):
            return streams.ROW.kind, streams.take_apart_stream
        if adapter is None and is_function:
            return functions.ROW.kind, self._take_apart_function
        if adapter is None and cls is functools.partial:
            return None, self._convert_partial
        if cls is functions.KnownPartial and (row := table.find_row(functools.partial)):
            take_apart = row.take_apart
            return row.kind, lambda known: take_apart(known.partial)
        if adapter is None and (row := table.find_row(cls)):
            return row.kind, row.take_apart
        if adapter is None and (cls is references.Kept or functions.is_exported_class(cls)):
            return references.KIND, functions.take_apart_object
        # An object that passes through it need not be refused, nor made into something like it.
        adapter = adapter or self.adapters.find_last_resort()
        if adapter is None and javascript_objects.is_proxy(cls):
            return _HANDLE, javascript_objects.check_clonable
        return None if adapter is None else (ADAPTED, adapter)

    def build_adapted(self, *values: Any) -> Any:
        """Builds an object by the adapter that a frame names: docs/wire-format.md, section 4.7."""
        return self.adapters.build(*values)

    def warn(self, cls: type, path: str) -> None:
        """Warns, once for each class, that its objects arrive as something like them.

        Args:
            cls: The class of such an object.
            path: Where the object stands.
        """
        if cls is not functools.partial:
            likenesses.warn_of_conversion(cls, path, self._lists)

    def for_exceptions(self) -> SendingTable:
        """Gives the table by which parts of exceptions are sent, with the same adapters."""
        return _LenientTable(self.adapters)


class _LenientTable(SendingTable):
    """Sends everything: the text of an object, its `repr()`, stands for each one that cannot be sent.

    Nothing is used up for that: what can only be iterated is such an object, too.
    """

    def __init__(self, adapters: AdapterSet) -> None:
        """Starts with nothing known: see `SendingTable`."""
        super().__init__(adapters)
        # An exception gives nothing to the other side.
        self._take_apart_function = functions.take_apart_named
        self._convert_partial = _convert_known_partial

    def find(self, cls: type) -> Way | None:
        """Says how objects of a class are sent; see `SendingTable.find`."""
        stays = issubclass(cls, references.Remote | references.Marked | references.Kept)
        if stays or functions.is_exported_class(cls):
            return None, _repr
        if cls in _PREPARED:
            return _PREPARED[cls], lambda prepared: prepared.values
        way = None if streams.is_stream(cls) else self._find_exact(cls)
        if way is None:
            likeness = likenesses.find_likeness(cls, False)
            is_subclass = likeness is not None and likeness.name is not None and not likeness.iterates
            return None, likeness.convert if likeness is not None and is_subclass else _repr
        kind, take_apart = way
        if kind == ADAPTED or kind is None or isinstance(take_apart, Adapter):
            return way
        return None, lambda value: _prepare(kind, take_apart, value)

    def warn(self, cls: type, path: str) -> None:
        """Says nothing: who raises an exception does not send its parts on purpose."""


class _Prepared:
    """An object that has been taken apart already, since not every object of its class can be."""

    def __init__(self, values: Parts) -> None:
        self.values = values


_PREPARED: dict[type, int] = {}
"""The classes of prepared objects: one for each extension type."""
_prepared_of: dict[int, type] = {}


def _prepare(kind: int, take_apart: Callable[[Any], Parts], value: Any) -> Any:
    try:
        values = take_apart(value)
    except BaseException:
        # Code of the object's class may raise anything.
        return _repr(value)
    cls = _prepared_of.get(kind)
    if cls is None:
        cls = _prepared_of[kind] = type("Prepared", (_Prepared,), {"__module__": __name__})
        _PREPARED[cls] = kind
    return cls(values)


def _convert_known_partial(value: functools.partial[Any]) -> object:
    return functions.KnownPartial(value) if functions.is_known(value) else _repr(value)


def _repr(value: object) -> str:
    return text_of(value, repr)


_tables: WeakSet[SendingTable] = WeakSet()

DEFAULT = SendingTable(AdapterSet())
"""For values that belong to no connection."""
STRICT = SendingTable(AdapterSet(), strict=True)
"""The same, where nothing is converted."""


def _forget_all() -> None:
    adapt_builtins(False)
    for one in list(_tables):
        one.forget()


adapters.listeners.append(_forget_all)
