"""Reports and output between two sides of one Python, and from peers that break the rules."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import workerlib
from workerlib import Worker
from workerlib._native import encode
from workerlib._rpc import output
from workerlib._rpc.pace import AT_ONCE, PER_SECOND, Pace

from peer_by_hand import Peer, returns

Connect = Callable[[], AbstractAsyncContextManager[Worker]]
Heard = list[tuple[str, str]]


def reports(call: int, value: object) -> bytes:
    """Makes the frame by which a call reports something."""
    return b"\x92\x0b" + bytes([call]) + encode(value)[0]


async def called(peer: Peer, on_report: Any) -> tuple[asyncio.Task[object], int]:
    """Has the page call f() and listen to its reports: the waiting task, and the call's id."""
    task = asyncio.create_task(peer.connection.call("f", (), {}, None, on_report))
    frame = await peer.frames.get()
    return task, frame[2]


async def test_a_report_written_by_hand() -> None:
    """The frames of these tests are right, so that what follows fails for its own reason."""
    peer, heard = Peer(), []
    await peer.open()
    task, call = await called(peer, lambda *values: heard.append(values))
    peer.say(reports(call, (1, "two")), returns(call, 3))
    assert await task == 3
    assert heard == [(1, "two")]


async def test_reports_of_calls_that_are_none() -> None:
    """A report for an unknown call, for one that has ended, or for one that nobody listens to is dropped."""
    peer, heard = Peer(), []
    await peer.open()
    task, call = await called(peer, heard.append)
    peer.say(reports(call + 1, (1,)), reports(99, (2,)), returns(call, 3), reports(call, (3,)))
    assert await task == 3
    deaf, call = await called(peer, None)
    peer.say(reports(call, (4,)), reports(call, "no tuple"), returns(call, 5))
    assert await deaf == 5
    assert heard == []
    assert not peer.connection.closed.done()


def test_progress_of_a_long_range() -> None:
    """A loop over more numbers than a `len()` may tell begins, as it does without `progress()`."""
    numbers = workerlib.progress(range(10**30))
    assert numbers._total == 10**30
    assert next(iter(numbers)) == 0
    assert workerlib.progress(range(10**30), total=5)._total == 5


@pytest.mark.parametrize("value", [encode([1])[0], encode(None)[0], b"\x90\xc1", b"\x90", b""], ids=repr)
async def test_reports_that_are_no_arguments(value: bytes) -> None:
    """A report that is not a tuple, or not a value, is a FrameError of its call alone."""
    peer = Peer()
    await peer.open()
    task, call = await called(peer, print)
    other, other_call = await called(peer, print)
    peer.say(b"\x92\x0b" + bytes([call]) + value, returns(other_call, 7))
    with pytest.raises(workerlib.FrameError):
        await task
    assert await other == 7


@pytest.mark.parametrize(
    "frame",
    [b"\x91\x0b", b"\x92\x0b\xa1x", b"\x91\x0c", b"\x92\x0c\xa1s", b"\x93\x0c\xa1s\x01", b"\x92\x0e\x01"],
    ids=repr,
)
async def test_envelopes_without_their_fields(frame: bytes) -> None:
    """They end the connection, as every unreadable envelope does."""
    peer = Peer()
    await peer.open()
    peer.say(frame)
    await peer.connection.closed


async def test_a_flood_of_reports_and_output_keeps_no_memory() -> None:
    """Reports that nobody listens to are dropped as they come; a peer may say that it is blocked as often as it likes."""
    peer = Peer()
    await peer.open()
    task, call = await called(peer, None)
    tracemalloc.start()
    try:
        for turn in range(5_000):
            peer.say(reports(call, (turn,)), b"\x93\x0c\xa1s\xa1t", b"\x92\x0e\x91\x63")
            if turn % 100 == 0:
                await asyncio.sleep(0)
        # One message in each turn of the loop.
        while peer.page_end._arrived:
            await asyncio.sleep(0)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1 << 20, kept
    peer.say(returns(call, 1))
    assert await task == 1


async def test_on_output_that_raises() -> None:
    """The loop's handler hears of it; the connection goes on."""
    peer, told = Peer(), []
    await peer.open()
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context["exception"]))

    def fail(_stream: str, _text: str) -> None:
        raise LookupError("in on_output")

    peer.connection.on_output = fail
    task, call = await called(peer, None)
    peer.say(b"\x93\x0c\xa1s\xa1t", returns(call, 1))
    assert await task == 1
    assert [str(error) for error in told] == ["in on_output"]


def test_the_pace() -> None:
    """A number of reports go at once, and then so many a second, however long nothing was sent before."""
    pace = Pace(at_once=3, per_second=10)
    assert [pace.may_send() for _ in range(5)] == [True, True, True, False, False]
    assert 0 < pace.seconds_left() <= 0.1
    time.sleep(pace.seconds_left())
    assert pace.may_send()
    assert not pace.may_send()
    assert (AT_ONCE, PER_SECOND) == (64, 125)


@pytest.mark.parametrize("now", [0, 1, 504_000_000, 123_456_789_012_345])
def test_the_pace_where_the_clock_stands_still(monkeypatch: pytest.MonkeyPatch, now: int) -> None:
    """All tokens are there in one tick of a coarse clock: Firefox rounds it to a millisecond.

    With seconds as floats, sums rounded up refused the 64th report, in about a third of all moments.
    """
    monkeypatch.setattr("workerlib._rpc.pace.monotonic_ns", lambda: now)
    pace = Pace()
    assert [pace.may_send() for _ in range(AT_ONCE + 1)] == [True] * AT_ONCE + [False]
    assert pace.seconds_left() == 1 / PER_SECOND


Forward = Callable[..., None]


@pytest.fixture
def forward(monkeypatch: pytest.MonkeyPatch) -> Iterator[Forward]:
    """Forwards output during a test, from streams of its own: those of pytest stay as they are."""
    emit, handlers = logging.StreamHandler.emit, logging.getLogger().handlers.copy()
    monkeypatch.setattr(output, "_forwarded", set())
    monkeypatch.setattr(output, "_early", [])
    monkeypatch.setattr(output, "on_serving", [])
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)

    def begin(*kinds: str) -> None:
        for name in ("stdout", "stderr"):
            monkeypatch.setattr(sys, name, _Stream())
        # pytest has handlers of its own.
        logging.getLogger().handlers.clear()
        output.forward(kinds)

    yield begin
    monkeypatch.undo()
    logging.StreamHandler.emit = emit  # type: ignore[method-assign]
    logging.getLogger().handlers[:] = handlers


class _Stream:
    """A stream that keeps what is written."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        pass


async def heard_of(connect: Connect) -> tuple[str, Heard]:
    """Has a function write in all ways: what stands in the streams then, and what was forwarded."""
    heard: Heard = []

    @workerlib.export
    def speak() -> None:
        print("a line", "of parts")
        print("half", end="")
        print("to stderr \ud800", file=sys.stderr)
        logging.getLogger("speaker").warning("logged %d", 1)
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("warned", stacklevel=1)

    async with connect() as worker:
        worker._connection.on_output = lambda *said: heard.append(said)
        await worker.speak()
    return sys.stdout.text + sys.stderr.text, heard  # type: ignore[attr-defined]


def of(stream: str, heard: Heard) -> str:
    """Returns all that was forwarded of a stream."""
    return "".join(text for name, text in heard if name == stream)


async def test_prints_are_forwarded_and_still_printed(connect: Connect, forward: Forward) -> None:
    """Text arrives before the answer, line by line, under the stream's name; nothing is lost locally."""
    forward("print")
    written, heard = await heard_of(connect)
    assert of("stdout", heard) == "a line of parts\nhalf"
    assert heard[0] == ("stdout", "a line of parts\n")
    assert "to stderr \\ud800\n" in of("stderr", heard)
    assert "a line of parts\nhalf" in written


async def test_each_kind_is_forwarded_once(connect: Connect, forward: Forward) -> None:
    """Where all kinds are forwarded, records and warnings do not arrive a second time as text of stderr."""
    forward("print", "log", "warnings")
    _, heard = await heard_of(connect)
    assert of("log", heard) == "logged 1\n"
    assert "UserWarning: warned\n" in of("warnings", heard)
    assert of("stderr", heard) == "to stderr \\ud800\n"


async def test_what_is_not_named_is_not_forwarded(connect: Connect, forward: Forward) -> None:
    """`forward = ["log"]` forwards no print."""
    forward("log")
    _, heard = await heard_of(connect)
    assert heard == [("log", "logged 1\n")]


async def test_a_torrent_is_put_together(connect: Connect, forward: Forward) -> None:
    """Many lines go in few messages, and none is lost."""
    forward("print")
    heard: Heard = []

    @workerlib.export
    def count(lines: int) -> None:
        for line in range(lines):
            print(line)

    async with connect() as worker:
        worker._connection.on_output = lambda *said: heard.append(said)
        await worker.count(5_000)
    assert of("stdout", heard) == "".join(f"{line}\n" for line in range(5_000))
    assert len(heard) < 1_000


def test_what_is_written_before_a_page_connects_is_bounded(forward: Forward) -> None:
    """It is kept for the first page, up to a limit (that the page gets it: tests/local/test_output.py)."""
    forward("print")
    print("early")
    for _ in range(100):
        print("x" * 10_000)
    assert output._early[0] == ("stdout", "early")
    assert sum(len(text) for _, text in output._early) < 100_000


def test_the_setting() -> None:
    """`forward` is a list of the kinds that there are."""
    from workerlib._config.settings import settings

    assert settings({"workerlib": {"forward": ["print", "log"]}}).forward == ["print", "log"]
    for wrong in ("print", ["prints"], 3, [1]):
        with pytest.raises(workerlib.ConfigError, match="forward = .* 'print', 'log', 'warnings'"):
            settings({"workerlib": {"forward": wrong}})
