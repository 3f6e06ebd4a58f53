"""Slots: what stands in a frame for an object that is awaited before it is encoded.

The wire format is docs/wire-format.md, section 4.8. `async_adapters.py` awaits what the slots hold; here is
what the walk over the values leaves for it.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from workerlib._values.adapter import Adapter, class_name_of, encode

if TYPE_CHECKING:
    from workerlib._native import Unfinished

Deferred = tuple[bytes, list[Any]]
"""The bytes and the buffers of one deferred value."""


class Slot:
    """Stands for an object whose content is to be awaited: on the wire, the number of its deferred value."""

    def __init__(self, number: int, key: str, class_name: str, content: Any) -> None:
        """Makes it.

        Args:
            number: The number of the deferred value.
            key: The adapter's.
            class_name: The name of the object's class.
            content: The result of the adapter's encoder.
        """
        self.number = number
        self.key = key
        self.class_name = class_name
        self.content = content
        self.path = ""
        """Where the object stands, such as `args[0].image`."""
        self.is_placed = self.is_named = False
        self.needs: set[int] = set()
        """The numbers of the slots in its content."""

    def place(self, path: str) -> None:
        """Hears where the object was met first, from the root on."""
        if not self.is_placed:
            self.path, self.is_placed = path, True

    def discard(self) -> None:
        """Ends what nobody will await any more."""
        if inspect.iscoroutine(self.content):
            self.content.close()
        elif isinstance(self.content, asyncio.Future):
            self.content.cancel()


class Outgoing:
    """Keeps count of the objects that pass through adapters on the way out, for one call or result."""

    def __init__(self, slow: Collection[str] | None) -> None:
        """Starts with nothing.

        Args:
            slow: The keys of the adapters whose decoders are async on the other side.
        """
        self._slow = slow or ()
        self.slots: list[Slot] = []
        self._known: dict[int, tuple[Slot, Any]] = {}
        self._open: Slot | None = None

    def adapt(self, value: Any, adapter: Adapter) -> tuple[str, Any, str] | Slot:
        """Passes an object through its adapter: gives the values that are sent, or a slot."""
        known = self._known.get(id(value))
        if known is not None:
            slot = known[0]
        else:
            content = encode(adapter, value)
            class_name = class_name_of(value)
            if not (adapter.is_async or adapter.key in self._slow or inspect.isawaitable(content)):
                return (adapter.key, content, class_name)
            slot = Slot(len(self.slots), adapter.key, class_name, content)
            self.slots.append(slot)
            # With the object, so that no other can have its id.
            self._known[id(value)] = (slot, value)
        if self._open is not None:
            self._open.needs.add(slot.number)
        return slot

    def name_root(self, root: str) -> None:
        """Hears what the paths of the slots begin with that were made last."""
        for slot in reversed(self.slots):
            if slot.is_named:
                break
            slot.path, slot.is_named = f"{root}{slot.path}", True

    def discard(self) -> None:
        """Ends what nobody will await any more."""
        for slot in self.slots:
            slot.discard()

    def encode(self, slot: Slot, unfinished: Unfinished) -> Deferred:
        """Encodes the deferred value of a slot whose content is there."""
        self._open = slot
        try:
            values = (slot.number, slot.key, slot.content, slot.class_name, slot.path)
            return unfinished.deferred_value(values, f"{slot.path}.<what {slot.key} made>")
        finally:
            self._open = None
            slot.content = None
