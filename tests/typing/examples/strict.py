# pyright: strict
"""Code of a library whose authors check it strictly, with its tests: none of workerlib's types is unknown there."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import workerlib
from interfaces import Stats
from workerlib.testing import ConnectWorker, StartWorker


class Money:
    def __init__(self, amount: Decimal) -> None:
        self.amount = amount


class Angle:
    def __init__(self, degrees: float) -> None:
        self.degrees = degrees

    def __workerlib_encode__(self) -> float:
        return self.degrees

    @classmethod
    def __workerlib_decode__(cls, data: float) -> Angle:
        return cls(data)


def encode(money: Money) -> Decimal:
    return money.amount


workerlib.adapter(Angle)
workerlib.register_adapter(Money, encode, Money)


@workerlib.export
def total(values: list[float], progress: Callable[[float], object]) -> float:
    for value in workerlib.progress(values):
        progress(value)
    return sum(values)


@workerlib.export(name="turn", idempotent=True)
def turn(angle: Angle, by: float = 90) -> Angle:
    return Angle(angle.degrees + by)


async def use() -> None:
    """Uses a worker, a spawned one and a pool."""
    async with workerlib.connect("library", interface=Stats, on_output=print) as worker:
        await worker.mean([1.0])
    plain = await workerlib.connect("library", on_progress=print)
    print(await plain.turn.options(timeout=3)(Angle(1)), list(plain), plain.name)
    async with workerlib.spawn("./worker.py", packages=["numpy"], on_output="log") as spawned:
        await spawned.turn(Angle(1))
    async with workerlib.pool("library", size=2) as pool:
        async for turned in pool.map(pool.turn, [Angle(1)], errors="yield"):
            print(turned)
        await pool.submit(pool.turn, Angle(2))


def test_total(start_worker: StartWorker) -> None:
    """Tests without await."""
    worker = start_worker("library")
    heard: list[float] = []
    assert worker.total([1.0, 2.0], heard.append) == 3.0
    with worker.Table("a") as table:
        assert list(table.rows.options(ahead=3)()) == []


async def test_total_as_the_page_calls_it(connect_worker: ConnectWorker) -> None:
    """Tests with await, with and without an interface."""
    async with connect_worker("library", interface=Stats, timeout=5) as worker:
        assert (await worker.mean([1.0])).is_integer()
    async with connect_worker("library") as plain:
        await plain.turn(Angle(1))
