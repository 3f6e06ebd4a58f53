"""The endpoint over a MessagePort, by itself: where there are ports, which is in Pyodide."""

from __future__ import annotations

import asyncio
import gc
import sys
from time import perf_counter
from typing import Any

import pytest
from workerlib import __version__, _exports
from workerlib._native import Session
from workerlib._rpc.connection import Connection

from loopback import Channel, port_channel, port_channel_without_eval, port_endpoint

pytestmark = pytest.mark.skipif(sys.platform != "emscripten", reason="there are no ports outside of Pyodide")


@pytest.mark.parametrize("channel", [port_channel, port_channel_without_eval])
async def test_a_buffer_that_nobody_took_outlives_its_channel(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is freed without a word: no "Exception ignored in …" comes to the console of the user."""
    ignored: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda trouble: ignored.append(trouble.exc_value))
    one, other = channel()
    arrived: list[Any] = []
    came = asyncio.Event()

    def on_message(_frame: bytes, buffers: list[Any]) -> None:
        arrived.extend(buffers)
        # The caller still holds the list when what waits below goes on.
        buffers.clear()
        came.set()

    one.listen(on_message, lambda _reason: None)
    other.listen(lambda _frame, _buffers: None, lambda _reason: None)
    other.post(b"a frame", [bytes(20_000)])
    await came.wait()
    one.close()
    other.close()
    assert len(arrived) == 1
    arrived.clear()
    assert ignored == []


@pytest.mark.parametrize("channel", [port_channel, port_channel_without_eval])
async def test_an_endpoint_is_freed_with_its_last_reference(channel: Channel) -> None:
    """An ended endpoint, and the turns that ran its callbacks, wait for no collector: of a page with many objects it comes seldom."""

    def held() -> list[str]:
        types = (type(one) for one in gc.get_objects())
        return sorted(kind.__name__ for kind in types if kind.__module__.startswith("workerlib._channels"))

    async def use() -> list[str]:
        """Opens and closes a channel; returns what there was before it closed."""
        one, other = channel()
        came = asyncio.Event()
        one.listen(lambda _frame, _buffers: came.set(), lambda _reason: None)
        other.listen(lambda _frame, _buffers: None, lambda _reason: None)
        with other.together():
            other.post(b"a frame", [])
        await came.wait()
        found = held()
        one.close()
        other.close()
        return found

    # The loop's own helper stays for all endpoints.
    await use()
    await asyncio.sleep(0.01)
    gc.collect()
    gc.disable()
    try:
        before = held()
        assert await use() != before
        # The event in which the frame arrived holds the endpoint a little longer.
        for _ in range(50):
            if held() == before:
                break
            await asyncio.sleep(0.01)
        assert held() == before
    finally:
        gc.enable()


@pytest.mark.parametrize("channel", [port_channel, port_channel_without_eval])
async def test_a_channel_lets_go_of_what_it_does_not_know(channel: Channel) -> None:
    """Only who wants the content of an unknown buffer makes a mistake."""
    from pyodide.ffi import JsException

    one: Any
    one, other = channel()
    one._channel.take(7, -1)
    with pytest.raises((KeyError, JsException)):
        one._channel.take(7, 0)
    one.close()
    other.close()


HOSTILE = {
    "no message": "5",
    "no parts": "[]",
    "a piece that only has a length": "[F, 5 * M], [null, {length: -3000000}]",
    "a piece that is longer than what is missing": "[F, 2 * M], [null, new Uint8Array(3 * M)]",
    "a piece of another size": "[F, 2 * M], [null, new Uint8Array(17)]",
    "a piece of other elements": "[F, 2 * M], [null, new Float64Array(M / 8)]",
    "a piece that both sides see": "[F, 2 * M], [null, new Uint8Array(new SharedArrayBuffer(M))]",
    "a piece of no message": "[null, new Uint8Array(M)]",
    "sizes of which one is negative": "[[-5, 10], new Uint8Array(5)]",
    "sizes that are not integers": "[[2.5, 2.5], new Uint8Array(5)]",
    "sizes that are missing": "[[, 5], new Uint8Array(5)]",
    "frames that are larger than the inbox": "[[100000], new Uint8Array(100000)]",
    "a billion sizes": "[Object.assign([], {length: 2 ** 32 - 1}), new Uint8Array(5)]",
    "a billion parts": "Object.assign([F], {length: 2 ** 32 - 1})",
    "a negative length": "[F, -2 * M]",
    "a length that is not a number of bytes": "[F, 2 * M + 0.5]",
    "a length that is not a number": "[F, NaN]",
    "a part that only has a length": "[F, {length: 10, byteLength: 10}]",
    "a frame of other elements": "[new Float64Array(3), F]",
    "two buffers in the same memory": "[F, ...(b => [b, b.subarray(0, 9000)])(new Uint8Array(20000))]",
    "a message between the pieces of another one": "[F, 2 * M], F",
    "a death without a reason": "[true]",
    "a death whose reason is no text": "[true, 5]",
    "a death whose error is no text": "[true, 'gone', {}]",
}
"""Messages that break the rules of docs/wire-format.md, section 2, in JavaScript; `F` is a frame, `M` a megabyte."""


@pytest.mark.parametrize("messages", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("may_eval", [True, False], ids=["script", "without eval"])
async def test_a_message_that_breaks_the_rules_ends_the_channel_alone(messages: str, may_eval: bool) -> None:
    """Nothing is delivered, nothing of it reaches Python's memory, and no exception leaves the event handler."""
    import js

    ports = js.MessageChannel.new()
    endpoint = port_endpoint(ports.port1, may_eval)
    heard: list[Any] = []
    broken: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    endpoint.listen(lambda *message: heard.append(message), broken.set_result)
    js.eval(f"(port, F, M) => {{ for (const m of [{messages}]) port.postMessage(m) }}")(
        ports.port2, js.Uint8Array.new(10), 1 << 20
    )
    assert "could not be taken in" in await broken
    assert heard == []
    endpoint.close()


@pytest.mark.parametrize("may_eval", [True, False], ids=["script", "without eval"])
@pytest.mark.parametrize(
    ("message", "reason", "cause"),
    [
        ("[true, 'a trap']", "a trap", None),
        ("[true, 'a trap', 'RangeError', 'too far']", "a trap", "RangeError: too far"),
        ("[true, ...Array(1e4).fill('x'.repeat(5000))]", "x" * 1000, f"{'x' * 1000}: {'x' * 1000}"),
    ],
    ids=["a reason", "an error", "endless texts"],
)
async def test_a_death_that_the_other_side_tells(
    message: str, reason: str, cause: str | None, may_eval: bool
) -> None:
    """The reason arrives, and the error behind it, each text cut to 1,000 characters."""
    import js

    ports = js.MessageChannel.new()
    endpoint = port_endpoint(ports.port1, may_eval)
    died: asyncio.Future[tuple[str, BaseException | None]] = asyncio.get_running_loop().create_future()

    def on_death(told: str, error: BaseException | None = None) -> None:
        died.set_result((told, error))

    endpoint.listen(lambda *_: None, lambda broken: died.set_exception(RuntimeError(broken)), on_death)
    ports.port2.postMessage(js.eval(message))
    told, error = await died
    assert told.endswith(f" is gone: {reason}")
    assert (None if error is None else str(error)) == cause
    endpoint.close()


@pytest.mark.parametrize("may_eval", [True, False], ids=["script", "without eval"])
async def test_a_length_alone_takes_no_memory(may_eval: bool) -> None:
    """The heap grows with the bytes that have come, not with those that are announced."""
    import js
    import pyodide_js

    ports = js.MessageChannel.new()
    endpoint = port_endpoint(ports.port1, may_eval)
    endpoint.listen(lambda *_: None, lambda _reason: None)
    before = pyodide_js._module.HEAPU8.length
    js.eval("""port => {
        port.postMessage([new Uint8Array(10), 1500000000]);
        for (let n = 0; n < 3; n++) port.postMessage([null, new Uint8Array(1 << 20)]);
    }""")(ports.port2)
    await asyncio.sleep(0.2)
    assert pyodide_js._module.HEAPU8.length - before < 64 << 20
    endpoint.close()


@pytest.mark.parametrize("may_eval", [True, False], ids=["script", "without eval"])
async def test_a_large_buffer_arrives_whole(may_eval: bool) -> None:
    """Room for it is made late: what came before that is there too."""
    import js

    ports = js.MessageChannel.new()
    receiver, sender = port_endpoint(ports.port1, may_eval), port_endpoint(ports.port2)
    arrived: asyncio.Future[tuple[bytes, list[Any]]] = asyncio.get_running_loop().create_future()
    receiver.listen(lambda *message: arrived.set_result(message), lambda _reason: None)
    sender.listen(lambda *_: None, lambda _reason: None)
    content = bytes(range(256)) * (40 << 12)
    sender.post(b"a frame", [content])
    frame, [buffer] = await arrived
    assert (frame, buffer) == (b"a frame", content)
    receiver.close()
    sender.close()


COUNTING = """(port) => {
    const real = port.postMessage.bind(port);
    const count = { messages: 0 };
    port.postMessage = (...all) => { count.messages += 1; return real(...all); };
    return count;
}"""


@pytest.mark.parametrize("may_sleep", [False, True], ids=["plain", "isolated"])
async def test_calls_that_had_to_wait_go_together(may_sleep: bool) -> None:
    """Answers that come together bring as many calls that waited, also where the other side is told what it may sleep for."""
    import js

    count = 500
    end, page_end = port_channel()

    def echo(value: int) -> int:
        return value

    descriptions = [_exports.describe_export("echo", echo)]
    serving = Connection(Session.listen(__version__, descriptions), end, {"echo": echo})
    told: list[bytes] = []
    wake: Any = (lambda frame, _buffers: bool(told.append(frame))) if may_sleep else None
    page = Connection(Session.connect(__version__), page_end, {}, wake=wake)
    await page.opened
    # The first call shows that the function needs no task.
    assert await page.call("echo", (0,), {}) == 0
    posted: Any = js.eval(COUNTING)(page_end._channel.port)  # type: ignore[attr-defined]
    results = await asyncio.gather(*(page.call("echo", (number,), {}) for number in range(count)))
    assert results == list(range(count))
    assert posted.messages < count / 3
    page.close()
    await serving.closed


async def test_answers_of_quick_functions_go_together() -> None:
    """The first of those that a message has brought goes with the others; that of a slow function goes at once."""
    import js

    end, page_end = port_channel()
    slow: list[int] = []

    def echo(value: int) -> int:
        if value in slow:
            until = perf_counter() + 0.002
            while perf_counter() < until:
                pass
        return value

    descriptions = [_exports.describe_export("echo", echo)]
    serving = Connection(Session.listen(__version__, descriptions), end, {"echo": echo})
    page = Connection(Session.connect(__version__), page_end, {})
    await page.opened

    async def count(number: int) -> int:
        posted: Any = js.eval(COUNTING)(end._channel.port)  # type: ignore[attr-defined]
        results = await asyncio.gather(*(page.call("echo", (value,), {}) for value in range(number)))
        assert results == list(range(number))
        return int(posted.messages)

    # As many as the calls came in: the first of them alone, then eight, and then 16 at a time. A busy machine may stop the function.
    assert min([await count(64) for _ in range(20)]) == 6
    # Each goes before the next one runs.
    slow += range(64)
    await count(64)
    assert await count(64) > 32
    page.close()
    await serving.closed
