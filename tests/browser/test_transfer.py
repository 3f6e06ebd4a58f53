"""`workerlib.transfer()`: objects of JavaScript's go to the other side themselves, without a copy."""

from __future__ import annotations

from typing import Any

import pytest

from in_page import in_page

pytestmark = pytest.mark.every_engine


@in_page(page="swift")
async def test_an_array_buffer_arrives_and_the_senders_is_detached(worker: Any) -> None:
    """It is a JsProxy there, and of no length here."""
    import js
    from workerlib import transfer

    buffer = js.ArrayBuffer.new(1 << 20)
    js.Uint8Array.new(buffer).fill(7)
    assert await worker.look_at(transfer(buffer)) == ("ArrayBuffer", 1 << 20, 7)
    assert buffer.byteLength == 0


@in_page(page="swift")
async def test_typed_arrays_move_with_their_buffer(worker: Any) -> None:
    """A view arrives as the same view of the same content."""
    import js
    from workerlib import transfer

    array = js.Float64Array.new(js.ArrayBuffer.new(8000), 800, 100)
    array.fill(1.5)
    assert await worker.look_at(transfer(array)) == ("Float64Array", 800, 1.5)
    assert array.length == 0


@in_page(page="swift")
async def test_a_result_may_be_transferred(worker: Any) -> None:
    """The worker's function returns it as a caller passes it."""
    made = await worker.make_buffer(5_000_000)
    assert (made.byteLength, made.constructor.name) == (5_000_000, "ArrayBuffer")


@in_page(page="swift")
async def test_it_may_stand_within_other_values_and_twice(worker: Any) -> None:
    """An object that occurs twice is one object there, and large bytes beside it arrive too."""
    import js
    from workerlib import transfer

    channel = js.MessageChannel.new()
    port = transfer(channel.port2)
    data = bytes(range(256)) * 10_000
    same, length, kind = await worker.look_within({"ports": [port, port], "data": data})
    assert (same, length, kind) == (True, len(data), "MessagePort")


@in_page(page="swift")
async def test_a_message_port_works_on_the_other_side(worker: Any) -> None:
    """A message that is posted here is heard there, and answered."""
    import asyncio

    import js
    from pyodide.ffi import create_proxy
    from workerlib import transfer

    channel = js.MessageChannel.new()
    heard = asyncio.get_running_loop().create_future()
    listener = create_proxy(lambda event: heard.set_result(event.data))
    channel.port1.onmessage = listener
    await worker.answer_at(transfer(channel.port2))
    channel.port1.postMessage(20)
    assert await heard == 21
    channel.port1.onmessage = None
    channel.port1.close()
    listener.destroy()


@in_page(page="swift")
async def test_a_canvas_moves_to_the_worker(worker: Any) -> None:
    """An OffscreenCanvas is drawn on in the worker, and an ImageBitmap of it comes back."""
    import js
    from workerlib import transfer

    canvas = js.document.createElement("canvas")
    canvas.width, canvas.height = 30, 20
    bitmap = await worker.draw(transfer(canvas.transferControlToOffscreen()))
    assert (bitmap.constructor.name, bitmap.width, bitmap.height) == ("ImageBitmap", 30, 20)
    bitmap.close()


@in_page(page="swift")
async def test_a_second_use_is_a_clear_error(worker: Any, raises: Any) -> None:
    """A second use is refused: of the same wrapping, of the same object in a new one, and of a port, which does not tell."""
    import js
    import workerlib
    from workerlib import transfer

    buffer = js.ArrayBuffer.new(100)
    wrapped = transfer(buffer)
    await worker.look_at(wrapped)
    with raises(workerlib.UnsendableError, "the ArrayBuffer was transferred before"):
        await worker.look_at(wrapped)
    port = js.MessageChannel.new().port1
    await worker.echo_kind(transfer(port))
    with raises(workerlib.FrameError, "could not transfer it"):
        await worker.echo_kind(transfer(port))
    assert await worker.echo(1) == ((1,), {}), "the connection lives"


@in_page(page="swift")
async def test_what_cannot_be_transferred_says_so(worker: Any, raises: Any) -> None:
    """Values of Python's, and objects that only have a copy."""
    import js
    from workerlib import transfer

    with raises(TypeError, "values of Python's are sent as they are"):
        transfer(b"bytes")
    with raises(TypeError, "a Map of JavaScript's cannot be transferred"):
        transfer(js.Map.new())


@in_page(page="swift")
async def test_streams_move_where_the_engine_can(worker: Any, raises: Any) -> None:
    """WebKit cannot: the call says so there."""
    import js
    import workerlib
    from workerlib import transfer

    stream = js.Blob.new(js.Array.of("abc")).stream()
    can = "AppleWebKit" not in js.navigator.userAgent or "Chrome" in js.navigator.userAgent
    if can:
        assert await worker.read_all(transfer(stream)) == "abc"
    else:
        with raises(workerlib.FrameError, "could not transfer it"):
            await worker.read_all(transfer(stream))
