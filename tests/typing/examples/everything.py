# pyright: strict
"""Every public name of workerlib in a program that is checked strictly; `assert_type` holds the types of results."""

from __future__ import annotations

import datetime
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, assert_type

import workerlib


class Steps(workerlib.Interface, Protocol):
    """The worker's exports."""

    async def double(self, value: int) -> int: ...

    def steps(self, last: int) -> workerlib.Stream[int]: ...


@workerlib.adapter_for(time.struct_time, name="struct_time")
class StructTime:
    @staticmethod
    def encode(value: time.struct_time) -> tuple[int, ...]:
        return tuple(value)

    @staticmethod
    def decode(data: tuple[int, ...]) -> time.struct_time:
        return time.struct_time(data)


@workerlib.adapter
class Angle:
    def __init__(self, degrees: float) -> None:
        self.degrees = degrees

    def __workerlib_encode__(self) -> float:
        return self.degrees

    @classmethod
    def __workerlib_decode__(cls, data: float) -> Angle:
        return cls(data)


@workerlib.portable
class Point:
    def __init__(self, x: float) -> None:
        self.x = x


class Money:
    def __init__(self, cents: int) -> None:
        self.cents = cents


def cents_of(money: Money) -> int:
    return money.cents


workerlib.register_adapter(Money, cents_of, Money, name="money")


@workerlib.register
def by_name(value: int) -> int:
    return value


@workerlib.typechecked
def checked(value: int) -> int:
    return value


@workerlib.export
@dataclass
class Counter:
    value: int = 0

    def up(self) -> int:
        self.value += 1
        return self.value


@workerlib.export(name="twice", idempotent=True, blocking=False)
def double(value: int) -> int:
    workerlib.report(1, 2)
    return 2 * value


@workerlib.export
def steps(last: int) -> Iterator[int]:
    yield from workerlib.progress(range(last), total=last)


@workerlib.export
async def serve(
    heard: workerlib.Callback,
    ask: Callable[[str], Awaitable[bool]],
    answer: Callable[[int], workerlib.Reply[int]],
) -> int:
    heard("nothing is awaited")
    assert_type(await ask("?"), bool)
    reply = answer(1)
    assert_type(reply.done(), bool)
    assert_type(await reply, int)
    page = workerlib.page()
    assert_type(page, workerlib.Page)
    await page.show("text")
    assert_type(workerlib.wait(double_later(2)), int)
    for _ in workerlib.tqdm(range(3)):
        print(workerlib.shared.rows)
    print(page.closed, workerlib.url("./data.csv"))
    return reply.result()


async def double_later(value: int) -> int:
    return 2 * value


def note(step: workerlib.SpawnProgress) -> None:
    assert_type(step.stage, str)
    print(step.what, step.done, step.total)


async def use(worker: Steps) -> None:
    assert_type(await worker.double(2), int)
    stream = worker.steps(3)
    async for number in stream:
        assert_type(number, int)
    await stream.aclose()
    print(worker.name, worker.closed, worker.worker)
    for reference in worker.references():
        assert_type(reference, workerlib.Reference)
        print(reference.name, reference.owner)
    await worker.restart()
    worker.terminate()
    worker.close()


async def start() -> None:
    connected = await workerlib.connect("steps", interface=Steps, max_in_flight=4, heartbeat=5)
    assert_type(connected, Steps)
    await use(connected)
    async with workerlib.spawn(
        "./worker.py", interface=Steps, packages=["numpy"], on_progress=note
    ) as spawned:
        assert_type(spawned, Steps)
        await use(spawned)
    plain = await workerlib.connectToWorker("steps")
    assert_type(plain, workerlib.Worker)
    print(plain, list(plain), "double" in plain, await plain["double"](2))
    await plain.double.options(timeout=1, on_report=print)(workerlib.callback(by_name))
    await plain.fill(workerlib.stream(iter([1])), workerlib.transfer(b"x"), workerlib.remote(Counter()))
    handle: workerlib.RemoteObject = await plain.Counter()
    async with handle as counter:
        print(await counter.up())
    print(await workerlib.anyCall("double", 2))


async def share_work() -> None:
    async with workerlib.pool("./worker.py", size=2, max_restarts=None) as pool:
        assert_type(pool, workerlib.Pool)
        pool.share(rows=[1, 2])
        async for number in pool.map(pool.double, [1, 2]):
            print(number)
        task = pool.submit(pool.double, 3)
        print(await task, await pool.each.double(1), await pool.run(by_name, 1), pool.stats(), pool.size)
        print(pool.executor.submit(by_name, 1))
    await pool.close()


def tell_of_errors(failure: BaseException) -> str:
    """Names each error, the special ones first."""
    match failure:
        case workerlib.RemoteError():
            return str(failure)
        case workerlib.UnsendableError() | workerlib.FrameError() | workerlib.BackPressureError():
            return "values"
        case workerlib.ConnectTimeoutError() | workerlib.NoSuchWorkerError() | workerlib.WorkerStartError():
            return "starts"
        case workerlib.WorkerDiedError() | workerlib.PoolBrokenError() | workerlib.RevokedError():
            return "ends"
        case workerlib.ConnectError() | workerlib.ConnectionClosedError() | workerlib.ProtocolError():
            return "connections"
        case workerlib.DeadlockError() | workerlib.CannotBlockError() | workerlib.NotExportedError():
            return "calls"
        case workerlib.ConfigError() | workerlib.InterfaceError() | workerlib.NotSupportedError():
            return "use"
        case workerlib.WorkerlibError():
            return "others"
        case workerlib.ConversionWarning():
            return "warnings"
        case _:
            return workerlib.fullName(failure)


def look_back() -> None:
    workerlib.log(on=True)
    for trace in workerlib.traces(clear=True):
        assert_type(trace, workerlib.Trace)
        print(trace.name, trace.duration, trace.run)
    assert_type(workerlib.__version__, str)
    print(workerlib.diagnostics, workerlib.systemVersions, workerlib.elapsedTime(time.time()))
    workerlib.improveExceptionHandling()
    workerlib.exceptionHandler("a problem")


ENTRIES: dict[object, Callable[..., Awaitable[object]]] = {
    workerlib.All: double_later,
    datetime.date: double_later,
}
