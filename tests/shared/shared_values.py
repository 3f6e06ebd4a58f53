"""Values arrive as themselves, in type, content and identity, whatever carries them."""

from __future__ import annotations

import asyncio
import warnings
from array import array
from collections.abc import Callable, Mapping
from typing import Any

from workerlib import ConversionWarning, FrameError, UnsendableError, Worker

import values
from alike import assert_alike
from exact import assert_same
from expecting import raises
from library_values import LIBRARY_VALUES
from pace import IN_PYODIDE

# Natively the tests below have their full size; elsewhere the first tenth shows the same in less time.
_LESS = 10 if IN_PYODIDE else 1


async def test_every_value_comes_back_as_it_was(worker: Worker) -> None:
    """Each value alone, as an argument and inside of a result."""
    await _echo_each(worker, values.VALUES, assert_same)


async def test_every_library_value_comes_back_as_it_was(worker: Worker) -> None:
    """Dates, decimals, containers of `collections`, exceptions …: with type, content and attributes."""
    await _echo_each(worker, LIBRARY_VALUES, assert_alike)


async def _echo_each(
    worker: Worker, sent: Mapping[str, object], compare: Callable[[object, object], None]
) -> None:
    wrong = []
    for name, value in sent.items():
        back = await worker.echo(value, named=value)
        try:
            compare(back, ((value,), {"named": value}))
        except AssertionError as error:
            wrong.append(f"{name}: {error}")
    assert not wrong, "\n".join(wrong)


async def test_all_values_in_one_call(worker: Worker) -> None:
    """All of them together, as arguments, as keyword arguments and nested."""
    everything = list(values.VALUES.values())
    named = {f"value_{index}": value for index, value in enumerate(everything)}
    assert_same(await worker.echo(*everything, **named), (tuple(everything), named))
    assert_same(await worker.echo([everything, (everything,)]), (([everything, (everything,)],), {}))


async def test_keyword_arguments_need_not_be_identifiers(worker: Worker) -> None:
    """`**kwargs` takes any text as a name, the library's own words among them, and keeps the order."""
    words = (
        "not an identifier",
        "",
        "self",
        "name",
        "args",
        "kwargs",
        "timeout",
        "ü",
        "function",
        "call",
        "id",
    )
    named = {word: number for number, word in enumerate(words)}
    assert_same(await worker.echo(**named), ((), named))


async def test_views_that_are_not_contiguous_arrive_contiguous(worker: Worker) -> None:
    """Slices with a step arrive with the same content."""
    for _, sent, expected in values.NON_CONTIGUOUS:
        assert_same(await worker.echo(sent), ((expected,), {}))
    base = bytearray(range(256)) * 1024
    assert_same(await worker.echo(memoryview(base)[::2]), ((memoryview(bytearray(base[::2])),), {}))


async def test_the_worker_sees_the_types(worker: Worker) -> None:
    """The function in the worker gets Python's own objects, not only what comes back does."""
    for value in (None, True, 7, 10**30, 1.5, "text", b"bytes", bytearray(b"x"), [1], (1,), {"a": 1}):
        assert await worker.describe(value) == (type(value).__name__, repr(value))
    assert (await worker.describe(memoryview(b"x")))[0] == "memoryview"


async def test_arguments_are_copies(worker: Worker) -> None:
    """The caller does not see the worker's changes of an argument."""
    items = ["mine"]
    assert await worker.change(items) == 2
    assert items == ["mine"]


async def test_identity_within_a_call(worker: Worker) -> None:
    """An object that occurs twice arrives as one object, and an object that contains itself does so there too."""
    shared: list[Any] = [1]
    cycle: dict[str, Any] = {"rows": [shared, shared]}
    cycle["self"] = cycle
    (back, again), _ = await worker.echo(cycle, shared)
    assert back["self"] is back
    assert back["rows"][0] is back["rows"][1] is again
    assert again == [1]


async def test_results_own_their_memory(worker: Worker) -> None:
    """A result stays as it is while later calls reuse the memory that carried it, and grow the heap."""
    first = (await worker.echo(bytearray(b"first" * 100_000), memoryview(b"view" * 100_000)))[0]
    ballast = [(await worker.echo(bytes([index]) * 3_000_000))[0][0] for index in range(8)]
    assert first[0] == bytearray(b"first" * 100_000)
    assert first[1] == b"view" * 100_000
    assert [set(piece) for piece in ballast] == [{index} for index in range(8)]
    first[0][0] = 0


async def test_large_values(worker: Worker) -> None:
    """Sixteen megabytes of bytes, and a hundred thousand records."""
    large = bytes(range(256)) * (65536 // _LESS)
    assert (await worker.echo(large))[0][0] == large
    records = [{"id": index, "name": f"name {index}", "x": index / 3} for index in range(100_000 // _LESS)]
    (back,), _ = await worker.echo(records)
    assert back == records


async def test_large_buffers_in_both_directions_at_once(worker: Worker) -> None:
    """Neither side waits for the other to read before it reads itself."""
    size = 3_000_000
    calls = [worker.echo(bytes([number]) * size, bytearray([number]) * size) for number in range(8)]
    for number, (back, _) in enumerate(await asyncio.gather(*calls)):
        assert back == (bytes([number]) * size, bytearray([number]) * size)


async def test_buffers_of_every_size_around_the_limits(worker: Worker) -> None:
    """Buffers that stay in the frame, that leave it, and that are larger than any piece in which they may be carried."""
    edges = [1 << power for power in (4, 8, 12, 14, 15, 16, 17, 18, 20)]
    sizes = [edge + step for edge in edges for step in (-1, 0, 1)]
    everything = [bytes([size % 251]) * size for size in sizes]
    assert await worker.echo(*everything) == (tuple(everything), {})
    assert await worker.length(everything[-1]) == sizes[-1]
    assert await worker.fill(sizes[-1], 7) == b"\7" * sizes[-1]


async def test_a_buffer_that_changes_after_the_call_has_begun(worker: Worker) -> None:
    """It is sent as it was, and can be resized at once: nothing holds it."""
    data = bytearray(b"a" * 5_000_000)
    numbers = array("d", [1.5]) * 500_000
    task = asyncio.ensure_future(worker.echo(data, numbers))
    await asyncio.sleep(0)
    data[:] = bytes(len(data))
    data.append(1)
    numbers[0] = 2.5
    numbers.append(3.5)
    (back, back_numbers), _ = await task
    assert back == b"a" * 5_000_000
    assert back_numbers == array("d", [1.5]) * 500_000


async def test_generators_arrive_as_lists(worker: Worker) -> None:
    """Generators pass as arguments and as results, with a warning where they are sent."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert await worker.echo((n * n for n in range(4)), {"a": 1}.items()) == (
            ([0, 1, 4, 9], [("a", 1)]),
            {},
        )
    assert {warning.category for warning in caught} <= {ConversionWarning}
    assert await worker.squares(5) == [0, 1, 4, 9, 16]


async def test_what_cannot_be_sent(worker: Worker) -> None:
    """The error names the type and the path to it; nothing was sent, and the next call works."""
    thing = object()
    with raises(TypeError, r"args\[0\]\['when'\]: object") as caught:
        await worker.echo({"when": thing})
    assert isinstance(caught.value, UnsendableError)
    assert caught.value.path == "args[0]['when']"
    assert caught.value.type_name == "object"
    with raises(UnsendableError, r"args\[1\]\[2\]\[0\]"):
        await worker.echo(0, [1, 2, (thing,)])
    with raises(UnsendableError, "when"):
        await worker.echo(when=thing)
    assert await worker.add(1, 2) == 3


async def test_a_result_that_cannot_be_sent(worker: Worker) -> None:
    """The caller gets the error with the path into the result."""
    with raises(UnsendableError, r"\['rows'\]\[1\]\[1\]: object") as caught:
        await worker.give_a_thing()
    assert isinstance(caught.value, UnsendableError)
    assert caught.value.type_name == "object"
    assert await worker.add(1, 2) == 3


async def test_depth_is_not_bounded_by_the_stack(worker: Worker) -> None:
    """The most levels that may arrive pass a worker's small stack, and the worker lives on: natively a hundred thousand."""
    for build in (values.nested_lists, values.nested_tuples, values.nested_dicts):
        # The tuple of the arguments is a level too.
        box: list[object] = [build(990 if IN_PYODIDE else 100_000)]
        back = list((await worker.echo(box[0]))[0])
        # Until its next turn the event loop holds the result as well, and would free it from the outside in.
        await asyncio.sleep(0)
        assert_same(back[0], box[0])
        values.dismantle(back)
        values.dismantle(box)
    assert await worker.add(1, 2) == 3


async def test_what_is_too_deep_is_refused_by_its_receiver(worker: Worker) -> None:
    """Pyodide ends when Python frees a deep value, so neither side takes one unless its configuration says so."""
    if not IN_PYODIDE:
        return
    for build in (values.nested_lists, values.nested_tuples, values.nested_dicts):
        box: list[object] = [build(100_000)]
        with raises(FrameError, "more than 1000 levels of containers.*max_depth"):
            await worker.echo(box[0])
        values.dismantle(box)
    with raises(FrameError, "more than 1000 levels of containers.*max_depth"):
        await worker.nest(1_001)
    assert await worker.add(1, 2) == 3
