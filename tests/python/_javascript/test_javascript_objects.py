"""Objects of JavaScript's among the values of a call: some arrive, the others are refused with advice that works."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest
import workerlib
from workerlib import UnsendableError
from workerlib._native import decode, encode

from loopback import Channel, connected, port_channel, port_channel_without_eval

in_pyodide = pytest.mark.skipif(
    sys.platform != "emscripten", reason="there is no JavaScript outside of Pyodide"
)


@pytest.fixture(params=[port_channel, port_channel_without_eval])
def channel(request: pytest.FixtureRequest) -> Channel:
    """A channel that carries objects of JavaScript's."""
    made: Channel = request.param
    return made


@in_pyodide
async def test_null_arrives_as_null(channel: Channel) -> None:
    """JavaScript's null is everyday data of `JSON.parse`; undefined is None."""
    import js
    from pyodide.ffi import jsnull

    @workerlib.export
    def echo(value: Any) -> Any:
        return value

    async with connected(channel) as worker:
        value = js.JSON.parse('{"a": null, "b": [1, null]}').to_py()
        assert value == {"a": jsnull, "b": [1, jsnull]}
        assert await worker.echo(value) == value
        assert await worker.echo(jsnull) is jsnull
        assert await worker.echo({"key": (jsnull, None)}) == {"key": (jsnull, None)}


def test_null_arrives_natively_as_none() -> None:
    """Where there is no JavaScript, None is as near to it as can be."""
    named = encode(("pyodide.ffi.JsNull",))[0]
    # An extension of type 78 in place of the tuple: docs/wire-format.md, section 4.6.
    assert named[:3] == b"\x90\xd4\x10"
    value = decode(named[:2] + bytes([78]) + named[3:], [])
    if sys.platform == "emscripten":
        from pyodide.ffi import jsnull

        assert value is jsnull
    else:
        assert value is None


@in_pyodide
async def test_files_and_blobs_arrive(channel: Channel) -> None:
    """The browser clones them, and they stay where they were too; the call needs nothing for that."""
    from pyodide.code import run_js

    @workerlib.export
    async def read(content: Any) -> Any:
        # In Node the clone of a File is a Blob.
        return content.type, (await content.arrayBuffer()).to_bytes()

    @workerlib.export
    def give(content: Any) -> Any:
        return {"again": [content, content]}

    async with connected(channel) as worker:
        file = run_js("new File(['some ', 'text'], 'note.txt', {type: 'text/plain'})")
        blob = run_js("new Blob([new Uint8Array([1, 2, 3])])")
        for _ in range(2):
            assert await worker.read(file) == ("text/plain", b"some text")
            assert await worker.read(blob) == ("", b"\x01\x02\x03")
        again = (await worker.give(file))["again"]
        assert [one.size for one in again] == [9, 9]
        [result] = await asyncio.gather(worker.give({"a": blob, "b": bytes(3_000_000)}))
        assert result["again"][0]["a"].size == 3


REFUSED = {
    "Promise": ("({p: Promise.resolve(5)}).p", "await", None),
    "Object": ("({a: [1, 2]})", r"to_py\(\)", lambda value: value.to_py()),
    "Array": ("[1, 2]", r"to_py\(\)", lambda value: value.to_py()),
    "Map": ("new Map([['a', 1]])", r"to_py\(\)", lambda value: value.to_py()),
    "Set": ("new Set([1])", r"to_py\(\)", lambda value: value.to_py()),
    "Uint8Array": ("new Uint8Array([1, 2])", r"to_bytes\(\)", lambda value: value.to_bytes()),
    "Float64Array": ("new Float64Array([1, 2])", r"to_py\(\)", lambda value: value.to_py()),
    "ArrayBuffer": ("new ArrayBuffer(8)", r"workerlib\.transfer", workerlib.transfer),
    "MessagePort": ("new MessageChannel().port1", r"workerlib\.transfer", workerlib.transfer),
    "ReadableStream": ("new ReadableStream()", r"workerlib\.transfer", workerlib.transfer),
    "Date": ("new Date(5000)", r"date\.getTime\(\) / 1000", lambda value: value.getTime() / 1000),
    "Function": ("(() => 1)", "values that it needs", None),
    "Event": ("new Event('click')", "what is needed of it", lambda value: value.type),
    "Headers": (
        "new Headers({a: 'b'})",
        r"dict\(headers\.entries\(\)\)",
        lambda value: dict(value.entries()),
    ),
    "Foo": ("new (class Foo { bar = 1 })", "what it is made of", lambda value: value.bar),
}


@in_pyodide
@pytest.mark.parametrize("kind", REFUSED)
async def test_advice_works_when_it_is_followed(kind: str) -> None:
    """The error names the kind and says what to send instead; sent so, it arrives."""
    import js

    @workerlib.export
    def take(value: Any) -> bool:
        return value is not None

    source, advice, follow = REFUSED[kind]
    value = js.eval(f"({{value: {source}}})").value
    async with connected(port_channel) as worker:
        with pytest.raises(UnsendableError, match=rf"args\[0\]\['a'\].*JavaScript {kind}; .*{advice}"):
            await worker.take({"a": value})
        if follow is not None:
            assert await worker.take(follow(value))
        if kind == "Promise":
            assert await worker.take(await value)


@pytest.mark.parametrize("make", ["coroutine", "future"])
async def test_a_coroutine_among_the_arguments(make: str) -> None:
    """The message asks whether an `await` is missing."""

    async def forgotten() -> int:
        return 1

    value: Any = forgotten() if make == "coroutine" else asyncio.get_running_loop().create_future()
    with pytest.raises(UnsendableError, match="did you forget `await`"):
        encode([value])
    if make == "coroutine":
        value.close()
