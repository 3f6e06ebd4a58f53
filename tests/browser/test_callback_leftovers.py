"""A thousand connections with callbacks, a stream and an object leave neither references nor tasks nor proxies, on the page and in the worker."""

from __future__ import annotations

from typing import Any

import pytest

from in_page import in_page

# The same on both sides: each counts its own Python.
COUNTING = """
def left():
    import asyncio, gc
    from collections import Counter
    import pyodide_js

    gc.collect()
    rooms = ("workerlib._rpc", "workerlib._native", "workerlib._channels")
    modules = (str(getattr(type(one), "__module__", "")) for one in gc.get_objects())
    found = Counter(module for module in modules if module.startswith(rooms))
    found["tasks"] = len(asyncio.all_tasks())
    found["proxies"] = pyodide_js._module.pyproxy_alloc_map.size
    return found
"""
WORKER = f"""
import workerlib
{COUNTING}

kept = {{}}

@workerlib.export
async def use(callback):
    callback(1)
    assert await callback(2) == 4
    kept["callback"] = callback
    return lambda: "of the worker"

@workerlib.export
def rows(count):
    yield from range(count)

@workerlib.export
class Table:
    def rows(self, count):
        yield from range(count)

@workerlib.export
def count():
    import pyodide_js

    pyodide_js._module.enable_pyproxy_allocation_tracing()
    return dict(left())
"""
SCRIPTS = {"counting": COUNTING, "worker": WORKER}


@pytest.mark.repeated
@pytest.mark.parametrize("scripts", [SCRIPTS], ids=["scripts"])
@in_page(page="swift", limit=180)
async def test_nothing_is_left_of_a_thousand_connections(
    workerlib: Any, tags: Any, scripts: dict[str, str]
) -> None:
    """Callbacks, streams and handles end with their connection: those that were used up, kept, or stand open."""
    import asyncio
    from collections import Counter

    import pyodide_js

    names: dict[str, Any] = {}
    exec(scripts["counting"], names)  # noqa: S102 - as the worker's script has it
    tags.worker("callback leftovers", scripts["worker"])
    kept: dict[str, Any] = {}

    async def cycle() -> None:
        async with workerlib.connect("callback leftovers") as worker:
            function = await worker.use(lambda value: 2 * value)
            assert await function() == "of the worker"
            assert [row async for row in worker.rows(2)] == [0, 1]
            kept["rows"] = worker.rows.options(ahead=4)(100)
            assert await anext(kept["rows"]) == 0
            kept["table"] = await worker.Table()
            kept["rows of the table"] = kept["table"].rows.options(ahead=4)(100)
            assert await anext(kept["rows of the table"]) == 0

    async with workerlib.connect("callback leftovers") as counting:

        async def count() -> Counter[str]:
            of_worker = {f"worker: {name}": number for name, number in (await counting.count()).items()}
            return Counter({**names["left"](), **of_worker})

        pyodide_js._module.enable_pyproxy_allocation_tracing()
        for _ in range(10):
            await cycle()
        await asyncio.sleep(0.2)
        await count()
        before = await count()
        for _ in range(1_000):
            await cycle()
        # The loop may have callbacks left, which run a little later; the limit of the test ends this.
        while more := +(await count() - before):
            left = dict(more)
            try:
                await asyncio.sleep(0.1)
            except asyncio.CancelledError:
                raise AssertionError(f"there is left: {left}") from None
