"""Pages with policies: a strict Content-Security-Policy, `sync_main_only`; with and without isolation headers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from engines import AnyBrowser
from in_page import in_page
from pyscript_page import PyScriptPage

# Where the policy stands; both pages prepare PyScript for it (docs/migrating.md).
STRICT_PAGES = [
    pytest.param(
        "strict_csp.html",
        id="by a meta tag",
        marks=[pytest.mark.isolation("chromium"), pytest.mark.repeated("isolated")],
    ),
    pytest.param("strict_csp_by_header.html", id="by a header", marks=pytest.mark.repeated),
]


@pytest.fixture(scope="module", params=STRICT_PAGES)
def strict(request: pytest.FixtureRequest, browser: AnyBrowser, site: str) -> Iterator[PyScriptPage]:
    """A page that forbids to evaluate strings."""
    with PyScriptPage(browser, site, request.param, faultless=False, shares_context=True) as page:
        yield page


@in_page(page="strict")
async def calls_under_a_strict_policy(worker: Any, values: Any, exact: Any) -> None:
    """Values both ways, large ones too, an exception, a cancel."""
    import asyncio

    import js
    from pyodide.ffi import JsException

    for value in values.VALUES.values():
        (result,), _ = await worker.echo(value)
        exact.assert_same(result, value)
    large = bytes(1_000_000)
    assert (await worker.echo(large))[0][0] == large
    try:
        await worker.divide(1, 0)
    except ZeroDivisionError:
        pass
    else:
        raise AssertionError("no exception arrived")
    call = asyncio.ensure_future(worker.add_slowly(1, 2))
    await asyncio.sleep(0)
    call.cancel()
    assert await worker.add_slowly(1, 2) == 3
    try:
        js.eval("1")
    except JsException as error:
        assert "EvalError" in repr(error), repr(error)
    else:
        raise AssertionError("the page's policy is not strict")


def test_a_strict_content_security_policy(strict: PyScriptPage) -> None:
    """Nothing of workerlib's evaluates a string: `wasm-unsafe-eval` and `worker-src blob:` are enough."""
    strict.faults.clear()
    calls_under_a_strict_policy(strict=strict)
    assert not [fault for fault in strict.faults if "workerlib" in fault]


@in_page(page="strict")
async def spawned_under_a_strict_policy(workerlib: Any, values: Any, exact: Any) -> None:
    """Values both ways; a worker that fails fatally says why, and by which error."""
    async with workerlib.spawn("../faults/worker.py") as worker:
        for value in values.VALUES.values():
            exact.assert_same(await worker.echo(value), value)
        try:
            await worker.harm("read_badly")
        except workerlib.WorkerDiedError as error:
            assert "RuntimeError: memory access out of bounds" in str(error), error
            assert str(error.__cause__).endswith("memory access out of bounds"), repr(error.__cause__)
        else:
            raise AssertionError("the worker lives")


def test_spawn_under_a_strict_content_security_policy(strict: PyScriptPage) -> None:
    """`spawn()` needs no more than PyScript's workers, and its workers' ends are told as elsewhere."""
    strict.faults.clear()
    spawned_under_a_strict_policy(strict=strict)
    assert not [fault for fault in strict.faults if "workerlib" in fault]


@pytest.mark.every_engine
@pytest.mark.isolation("chromium")
@pytest.mark.repeated("firefox", "webkit", "isolated")
@in_page
async def test_sync_main_only(workerlib: Any, tags: Any) -> None:
    """workerlib needs no DOM in the worker: `sync_main_only = true` is fine."""
    config = {"packages": ["workerlib"], "packages_cache": "passthrough", "sync_main_only": True}
    tags.worker("sync only", "import workerlib\n@workerlib.export\ndef f(a): return [a]\n", config=config)
    async with workerlib.connect("sync only") as worker:
        assert await worker.f("a") == ["a"]


@in_page
async def test_a_check_of_the_policy_that_is_cut_short() -> None:
    """A worker answers while the page tries whether workers may start: the try ends without an error in the console."""
    import asyncio

    from workerlib._hosts.pyscript import page

    real, page._SUSPICION = page._SUSPICION, 0
    try:
        for _ in range(10):
            check = asyncio.ensure_future(page._check_policy("bench"))
            # It has started its worker, which has not answered.
            for _ in range(3):
                await asyncio.sleep(0)
            check.cancel()
            await asyncio.gather(check, return_exceptions=True)
        # Workers that had gone on would have answered before this one, which starts last.
        await page._check_policy("bench")
        await page._check_policy("bench")
    finally:
        page._SUSPICION = real


@in_page
async def test_checks_that_are_cut_short_before_they_begin() -> None:
    """A worker answers when the page is about to look why it does not: no coroutine is left that was never awaited."""
    import asyncio
    import gc
    import warnings

    import js
    from workerlib._hosts.host import Progress
    from workerlib._hosts.pyscript import page

    tag = js.document.createElement("script")
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        start = page.Start(Progress("bench"), "bench", js.EventTarget.new())
        start._look_for_reasons(tag)
        start._stop_looking()
        await asyncio.gather(*start._checks, return_exceptions=True)
        assert all(check.cancelled() for check in start._checks)
        assert len(start._checks) == 2
        del start
        gc.collect()
    assert not warned, [str(warning.message) for warning in warned]
