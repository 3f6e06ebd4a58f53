"""Objects whose adapter is async: awaited on the way out, or on the way in. docs/wire-format.md, section 4.8.

The walk over arguments or a result does not wait. Where it meets such an object it leaves a slot. After the
walk, the slots' content is awaited, all at once, and encoded as deferred values. They can bring more slots.
The other side restores the deferred values first, and fills the slots with what they were restored to.

Nothing here runs where no adapter is async, but `Outgoing.adapt`, once for each object with an adapter.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Iterable
from typing import TYPE_CHECKING, Any

from workerlib._errors import FrameError, UnsendableError
from workerlib._values.adapter import AdapterFailure
from workerlib._values.adapters import AdapterSet
from workerlib._values.slot import Deferred, Outgoing, Slot

if TYPE_CHECKING:
    from workerlib._native import Arrival, Unfinished

_ROUNDS = 200
"""The depth to which objects of async adapters may stand inside each other: as deep as library types may."""


async def finish(unfinished: Unfinished) -> list[list[Deferred]]:
    """Awaits what the slots hold and encodes it: lists of deferred values, which need only lists before them.

    Raises:
        UnsendableError: If an object holds itself by way of its adapter, or has no end.
        BaseException: An encoder's exception, with a note that names the adapter and the place.
    """
    outgoing: Outgoing = unfinished.outgoing
    done: list[Deferred] = []
    try:
        for _ in range(_ROUNDS):
            slots = outgoing.slots[len(done) :]
            if not slots:
                return [[done[number] for number in level] for level in _levels(outgoing.slots)]
            encoded: dict[int, Deferred] = {}
            # Content that is there already must be encoded as it was when the call was made.
            for slot in slots:
                if not inspect.isawaitable(slot.content):
                    encoded[slot.number] = outgoing.encode(slot, unfinished)
            waiting = [slot for slot in slots if slot.number not in encoded]
            contents = await _all(_content(slot) for slot in waiting)
            for slot, content in zip(waiting, contents, strict=True):
                slot.content = content
                encoded[slot.number] = outgoing.encode(slot, unfinished)
            done += (encoded[slot.number] for slot in slots)
        last = outgoing.slots[-1]
        reason = f"more than {_ROUNDS} levels of objects of async adapters stand in each other"
        raise UnsendableError(last.path, last.class_name, reason)
    finally:
        outgoing.discard()


async def restore(arrival: Arrival, adapters: AdapterSet) -> None:
    """Restores the deferred values of a call or an answer that arrived.

    Raises:
        FrameError: If the values are not deferred values.
        BaseException: A decoder's exception, with a note that names the adapter and the place.
    """
    while (group := arrival.deferred_values()) is not None:
        for value in group:
            _check(value)
        numbers = {value[0] for value in group}
        if len(numbers) < len(group) or not numbers.isdisjoint(arrival.slots):
            raise FrameError("two deferred values have the same number (docs/wire-format.md, section 4.8)")
        restored = await _all(_restored(adapters, *value) for value in group)
        arrival.slots.update(zip((value[0] for value in group), restored, strict=True))


async def _content(slot: Slot) -> Any:
    try:
        content = slot.content
        slot.content = None
        return await content
    except BaseException as error:
        error.add_note(f"while encoding {slot.path} by the adapter {slot.key}")
        raise


def _check(value: tuple[object, ...]) -> None:
    number, key, _data, class_name, path = value
    if type(number) is not int or not all(isinstance(text, str) for text in (key, class_name, path)):
        raise FrameError(
            "a deferred value should be a number, a key, data, the name of a class and a path"
            " (docs/wire-format.md, section 4.8)"
        )


async def _restored(
    adapters: AdapterSet, _number: object, key: object, data: object, class_name: object, path: object
) -> Any:
    try:
        made = adapters.decode(key, data, class_name)
        return await made if inspect.iscoroutine(made) else made
    except AdapterFailure as failure:
        error = failure.error
    except BaseException as raised:
        error = raised
    error.add_note(f"while decoding {path} by the adapter {key}")
    raise error


async def _all(coroutines: Iterable[Awaitable[Any]]) -> list[Any]:
    """Awaits all at the same time; if one raises, ends the others and raises that."""
    tasks = [asyncio.ensure_future(one) for one in coroutines]
    if not tasks:
        return []
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def _levels(slots: list[Slot]) -> list[list[int]]:
    """Orders the done: lists of the numbers of those that need only values of the lists before."""
    levels: list[list[int]] = []
    done: set[int] = set()
    left = {slot.number: slot for slot in slots}
    while left:
        level = [number for number, slot in left.items() if slot.needs <= done]
        if not level:
            slot = _in_cycle(left)
            raise UnsendableError(
                slot.path,
                slot.class_name,
                f"a cycle through the adapter {slot.key}, which made something that holds it again",
            )
        levels.append(level)
        done.update(level)
        for number in level:
            del left[number]
    return levels


def _in_cycle(left: dict[int, Slot]) -> Slot:
    """Finds a slot that needs itself, among slots of which each needs another."""
    seen: set[int] = set()
    slot = next(iter(left.values()))
    while slot.number not in seen:
        seen.add(slot.number)
        slot = left[next(number for number in slot.needs if number in left)]
    return slot
