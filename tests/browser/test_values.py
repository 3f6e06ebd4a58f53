"""Every listed value goes to a worker and comes back equal and of the same type, in a real page."""

from __future__ import annotations

from typing import Any

import pytest

from in_page import in_page


@pytest.mark.every_engine
@in_page
async def test_every_value_comes_back_as_it_was(worker: Any, exact: Any, values: Any) -> None:
    """Each value alone, as an argument and inside of a result."""
    wrong = []
    for name, value in values.VALUES.items():
        args, kwargs = await worker.echo(value)
        try:
            exact.assert_same((args, kwargs), ((value,), {}))
        except AssertionError as error:
            wrong.append(f"{name}: {error}")
    assert not wrong, "\n".join(wrong)


@in_page
async def test_all_values_in_one_call(worker: Any, exact: Any, values: Any) -> None:
    """All of them together, as arguments, as keyword arguments and nested."""
    everything = list(values.VALUES.values())
    named = {f"value_{index}": value for index, value in enumerate(everything)}
    exact.assert_same(await worker.echo(*everything, **named), (tuple(everything), named))
    exact.assert_same(await worker.echo([everything, (everything,)]), (([everything, (everything,)],), {}))


@in_page
async def test_keyword_arguments_need_not_be_identifiers(worker: Any, exact: Any) -> None:
    """`**kwargs` takes any text as a name, the library's own words among them, and keeps the order."""
    named = {
        "not an identifier": 1,
        "": 2,
        "self": 3,
        "name": 4,
        "args": 5,
        "timeout": 6,
        "ü": 7,
        "function": 8,
        "id": 9,
    }
    exact.assert_same(await worker.echo(**named), ((), named))


@in_page
async def test_views_that_are_not_contiguous_arrive_contiguous(worker: Any, exact: Any, values: Any) -> None:
    """Slices with a step arrive with the same content."""
    for _, sent, expected in values.NON_CONTIGUOUS:
        exact.assert_same(await worker.echo(sent), ((expected,), {}))


@in_page
async def test_the_worker_sees_the_types(worker: Any, values: Any) -> None:
    """The function in the worker gets Python's own objects, not only what comes back does."""
    for value in (None, True, 7, 10**30, 1.5, "text", b"bytes", bytearray(b"x"), [1], (1,), {"a": 1}):
        assert await worker.describe(value) == (type(value).__name__, repr(value))
    assert (await worker.describe(memoryview(b"x")))[0] == "memoryview"


@in_page
async def test_arguments_are_copies(worker: Any) -> None:
    """What the worker does to its argument is not seen here."""
    items = ["mine"]
    assert await worker.change(items) == 2
    assert items == ["mine"]


@pytest.mark.every_engine
@in_page
async def test_results_own_their_memory(worker: Any) -> None:
    """A result stays as it is while later calls reuse the memory that carried it, and grow the heap."""
    first = (await worker.echo(bytearray(b"first" * 100_000), memoryview(b"view" * 100_000)))[0]
    ballast = [(await worker.echo(bytes([index]) * 3_000_000))[0][0] for index in range(8)]
    assert first[0] == bytearray(b"first" * 100_000)
    assert first[1] == b"view" * 100_000
    assert [set(piece) for piece in ballast] == [{index} for index in range(8)]
    first[0][0] = 0


@pytest.mark.every_engine
@in_page
async def test_large_values(worker: Any, exact: Any) -> None:
    """Sixteen megabytes of bytes, and a hundred thousand records."""
    large = bytes(range(256)) * 65536
    assert (await worker.echo(large))[0][0] == large
    records = [{"id": index, "name": f"name {index}", "x": index / 3} for index in range(100_000)]
    (back,), _ = await worker.echo(records)
    assert back == records


@in_page
async def test_depth_is_not_bounded_by_the_stack(worker: Any, exact: Any, values: Any) -> None:
    """A hundred thousand levels pass the worker's small stack, and the worker lives on."""
    import asyncio

    for build in (values.nested_lists, values.nested_tuples, values.nested_dicts):
        box = [build(100_000)]
        back = list((await worker.echo(box[0]))[0])
        # Until its next turn the event loop holds the result as well, and would free it from the outside in.
        await asyncio.sleep(0)
        exact.assert_same(back[0], box[0])
        values.dismantle(back)
        values.dismantle(box)
    assert await worker.add(1, 2) == 3
