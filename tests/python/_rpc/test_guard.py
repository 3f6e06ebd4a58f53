"""The guard that says which code an interrupt may hit, with a worker's memory or signal, in one Python."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from workerlib._rpc.connection import Connection
from workerlib._rpc.incoming_call import Served
from workerlib._rpc.interruptible import Guard
from workerlib._rpc.output import _Outlet as Outlet
from workerlib._rpc.references import References
from workerlib._rpc.streams import Streams
from workerlib._rpc.streams_consumed import Inbox
from workerlib._rpc.streams_produced import Producer
from workerlib._rpc.wakeup import Wakeup

from pace import IN_PYODIDE

Interrupt = Callable[[int, int], None]


def make_guard() -> tuple[Guard, Interrupt]:
    """Makes the guard that workers of this host have, and what the other side interrupts by."""
    if not IN_PYODIDE:
        from workerlib._hosts.subprocess.signal_interrupts import SignalGuard

        by_signal = SignalGuard()
        return by_signal, by_signal.interrupt
    from workerlib._hosts.browser.shared_memory_interrupts import Interrupter, MemoryGuard, new_memory

    memory = new_memory()
    return MemoryGuard(memory), Interrupter(memory)


@pytest.fixture
def guarded() -> Iterator[tuple[Guard, Interrupt]]:
    """A guard and its other side; what it takes over of Python is given back."""
    handler, hook = signal.getsignal(signal.SIGINT), sys.unraisablehook
    yield make_guard()
    signal.signal(signal.SIGINT, handler)
    sys.unraisablehook = hook


def compute(turns: int = 100_000) -> str:
    """Computes for long enough that an interrupt is noticed."""
    for _ in range(turns):
        pass
    return "computed"


def test_what_computes_is_interrupted_once_for_each_cancel(guarded: tuple[Guard, Interrupt]) -> None:
    """Repetitions do not disturb the function's clean-up; a second cancel does."""
    guard, interrupt = guarded
    seen: list[str] = []

    def function() -> str:
        try:
            interrupt(7, 1)
            compute()
        except KeyboardInterrupt:
            seen.append("first")
        interrupt(7, 1)
        seen.append(compute())
        interrupt(7, 2)
        return compute()

    served = Served(7)
    with pytest.raises(KeyboardInterrupt):
        guard.run(served, function, (), {})
    assert seen == ["first", "computed"]
    assert served.interrupt is not None
    assert not served.is_computing


def test_the_function_itself_need_not_be_pythons(guarded: tuple[Guard, Interrupt]) -> None:
    """One in C that calls Python, or has just returned, is interrupted as well."""
    guard, interrupt = guarded
    turns = iter(range(1_000_000))

    def each(_: int) -> bool:
        interrupt(7, 1)
        return True

    with pytest.raises(KeyboardInterrupt):
        guard.run(Served(7), all, (map(each, turns),), {})
    assert next(turns) < 1_000_000 - 1


def test_no_other_call_is_hit(guarded: tuple[Guard, Interrupt]) -> None:
    """Neither one that runs when the interrupt comes, nor one that follows, nor what runs besides calls."""
    guard, interrupt = guarded

    def function() -> str:
        interrupt(8, 1)
        return compute()

    assert guard.run(Served(7), function, (), {}) == "computed"
    interrupt(7, 1)
    assert compute() == "computed"
    assert guard.run(Served(9), compute, (), {}) == "computed"


def test_a_call_is_not_hit_between_its_steps(guarded: tuple[Guard, Interrupt]) -> None:
    """It is cancelled there by a message. An interrupt that comes then does not hit what runs meanwhile."""
    guard, interrupt = guarded
    served = Served(7)
    assert guard.run(served, compute, (), {}) == "computed"
    interrupt(7, 1)
    assert compute() == "computed"

    def step() -> str:
        interrupt(7, 1)
        return compute()

    with pytest.raises(KeyboardInterrupt):
        guard.run(served, step, (), {})


@pytest.mark.skipif(not IN_PYODIDE, reason="there is no shared memory")
def test_steps_of_one_call_are_published_once(guarded: tuple[Guard, Interrupt]) -> None:
    """A write takes as long as the rest of a step."""
    guard: Any = guarded[0]
    written: dict[int, int] = {}

    class Ints:
        def __setitem__(self, index: int, token: int) -> None:
            written[token] = written.get(token, 0) + 1

    guard._ints = Ints()
    for call in (7, 7, 7, 8, 7):
        guard.run(Served(call), compute, (1,), {})
    assert list(written.values()) == [2, 1]


def test_one_that_is_noticed_too_late_hits_nobody(guarded: tuple[Guard, Interrupt]) -> None:
    """It is sent while its call runs, and seen when another one does."""
    guard, interrupt = guarded
    handler: Any = signal.getsignal(signal.SIGINT)
    late: list[tuple[Any, ...]] = []
    signal.signal(signal.SIGINT, lambda *seen: late.append(seen))

    def function() -> str:
        interrupt(7, 1)
        return compute()

    assert guard.run(Served(7), function, (), {}) == "computed"
    assert len(late) == 1

    def following() -> str:
        handler(signal.SIGINT, sys._getframe())
        return compute()

    assert guard.run(Served(8), following, (), {}) == "computed"


@pytest.mark.parametrize(
    "part", [Connection, References, Streams, Inbox, Producer, Outlet, Wakeup], ids=lambda part: part.__name__
)
def test_a_connection_in_the_functions_hands_is_not_hit(guarded: tuple[Guard, Interrupt], part: type) -> None:
    """Stopped between two steps it would lose messages, items or output; when it is done, the next interrupt comes.

    The handler knows the parts of a connection by the names of their modules, which a move of a module changes.
    """
    guard, interrupt = guarded
    of_workerlib: dict[str, Any] = {
        "__name__": part.__module__,
        "interrupt": interrupt,
        "compute": compute,
    }
    source = "def call(): interrupt(7, 1); return compute()"
    exec(source, of_workerlib)  # noqa: S102 - a frame belongs to the module in whose names it runs
    seen: list[str] = []

    def function() -> str:
        seen.append(of_workerlib["call"]())
        interrupt(7, 1)
        return compute()

    with pytest.raises(KeyboardInterrupt):
        guard.run(Served(7), function, (), {})
    assert seen == ["computed"]


def test_what_a_destructor_swallows_is_repeated(guarded: tuple[Guard, Interrupt], capsys: Any) -> None:
    """Nothing can be raised out of it, so the next interrupt is the first; and nothing is printed."""
    guard, interrupt = guarded
    seen: list[str] = []

    class Spoiler:
        def __del__(self) -> None:
            interrupt(7, 1)
            compute()
            seen.append("never")

    def function() -> str:
        Spoiler()
        seen.append(compute())
        interrupt(7, 1)
        return compute()

    with pytest.raises(KeyboardInterrupt):
        guard.run(Served(7), function, (), {})
    assert seen == ["computed"]
    assert capsys.readouterr().err == ""


def test_other_errors_of_destructors_are_told_as_ever(guarded: tuple[Guard, Interrupt]) -> None:
    """Python's own hook, or whichever was there, hears of them."""
    told: list[BaseException | None] = []
    sys.unraisablehook = lambda unraisable: told.append(unraisable.exc_value)
    guard, _ = make_guard()

    class Wrong:
        def __del__(self) -> None:
            raise LookupError

    guard.run(Served(7), Wrong, (), {})
    assert [type(error) for error in told] == [LookupError]


def test_calls_that_are_suspended_in_each_other(guarded: tuple[Guard, Interrupt]) -> None:
    """The outer call can be interrupted again when the inner one has ended, as with `run_sync`."""
    guard, interrupt = guarded

    def outer() -> str:
        assert guard.run(Served(8), compute, (), {}) == "computed"
        interrupt(7, 1)
        return compute()

    with pytest.raises(KeyboardInterrupt):
        guard.run(Served(7), outer, (), {})
