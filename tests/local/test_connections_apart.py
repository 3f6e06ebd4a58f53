"""Three connections at a time that differ in adapters, log and settings: none changes another, whatever came first."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import workerlib
from workerlib import ConversionWarning, UnsendableError, Worker

SCRIPT = """
import workerlib

@workerlib.export
def give(value):
    return repr(value)

@workerlib.export
def back(value):
    return value

@workerlib.export
def numbers():
    return (number for number in range(2))

@workerlib.export
def twice(function):
    return function is back

@workerlib.export
def fail(value):
    raise ValueError(value)
"""
MODULE = """
class Money:
    def __init__(self, amount):
        self.amount = amount

    def __repr__(self):
        return f"Money({self.amount})"

def encode(money):
    return money.amount

def decode(amount):
    return Money(amount)

def encode_by_text(money):
    return f"{money.amount} EUR"

def decode_of_text(text):
    return Money(text)

def shout(text):
    return text.upper()
"""
CONFIGS: dict[str, dict[str, Any]] = {
    "plain": {"files": {"./money.py": ""}, "adapters": {"money": ["Money", "encode", "decode"]}},
    "text": {
        "files": {"./money.py": ""},
        "adapters": {
            "money": ["Money", "encode_by_text", "decode_of_text"],
            "None": ["str", "str.upper", "str"],
        },
        "workerlib": {"log": True, "strict": True},
    },
    "none": {"workerlib": {"iterables": "list", "max_depth": 5}},
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test has a folder with the script and the module of the adapters."""
    monkeypatch.chdir(tmp_path)
    Path("worker.py").write_text(SCRIPT)
    Path("money.py").write_text(MODULE)
    yield
    sys.modules.pop("money", None)


async def three() -> dict[str, Worker]:
    """Opens one connection after the other."""
    workers = {name: await workerlib.connect("worker.py", config=config) for name, config in CONFIGS.items()}
    import money  # type: ignore[import-not-found]

    workers["Money"] = money.Money
    return workers


async def closed(workers: dict[str, Any]) -> None:
    """Closes all of them, and waits until their processes have ended."""
    for name in CONFIGS:
        await workers[name].__aexit__(None, None, None)


async def test_each_connection_has_its_own_adapters() -> None:
    """The last one that was opened has none; the others keep theirs, each its own for the same class."""
    workers: Any = await three()
    money = workers["Money"](7)
    try:
        for _ in range(2):
            assert await workers["plain"].give(money) == "Money(7)"
            assert (await workers["plain"].back([money]))[0].amount == 7
            # The adapter for str is for what is sent, on its own connection only.
            assert await workers["text"].give(money) == "MONEY(7 EUR)"
            assert await workers["text"].back("a") == "A"
            assert await workers["plain"].back("a") == "a"
            assert await workers["none"].back("a") == "a"
            with pytest.raises(UnsendableError, match="Money"):
                await workers["none"].give(money)
    finally:
        await closed(workers)


async def test_calls_of_all_of_them_at_a_time() -> None:
    """Calls in flight on one connection do not change another."""
    workers: Any = await three()
    money = workers["Money"]
    try:
        results = await asyncio.gather(
            *(workers["plain"].give(money(number)) for number in range(50)),
            *(workers["text"].give(money(number)) for number in range(50)),
            *(workers["none"].give(number) for number in range(50)),
        )
    finally:
        await closed(workers)
    assert results[:50] == [f"Money({number})" for number in range(50)]
    assert results[50:100] == [f"MONEY({number} EUR)" for number in range(50)]
    assert results[100:] == [f"{number}" for number in range(50)]


async def test_what_raises_has_its_connections_adapters() -> None:
    """The argument of an exception passes through the adapter of the connection that it goes over."""
    workers: Any = await three()
    money = workers["Money"](7)
    try:
        for name, amount in (("plain", 7), ("text", "7 EUR")):
            with pytest.raises(ValueError, match="Money") as caught:
                await workers[name].fail(money)
            arrived: Any = caught.value.args[0]
            assert type(arrived) is workers["Money"]
            assert str(arrived.amount).startswith(str(amount))
    finally:
        await closed(workers)


async def test_each_connection_has_its_own_settings() -> None:
    """`strict`, `iterables` and `max_depth` are those of the configuration of each."""
    workers: Any = await three()
    try:
        with pytest.raises(UnsendableError, match="strict"):
            await workers["text"].give(number for number in range(2))
        with pytest.raises(UnsendableError, match="strict"):
            await workers["text"].numbers()
        with pytest.warns(ConversionWarning):
            assert await workers["plain"].give(number for number in range(2)) == "[0, 1]"
        assert await workers["plain"].numbers() == [0, 1]
        lines = io.BufferedReader(io.BytesIO(b"a\nb"))
        with pytest.raises(UnsendableError, match=r"read\(\)"):
            await workers["plain"].give(lines)
        with pytest.warns(ConversionWarning):
            assert await workers["none"].give(lines) == repr([b"a\n", b"b"])
        deep: Any = []
        for _ in range(8):
            deep = [deep]
        assert await workers["plain"].back(deep) == deep
        with pytest.raises(UnsendableError, match="5 levels"):
            await workers["none"].back(deep)
    finally:
        await closed(workers)


async def test_each_connection_has_its_own_log(capfd: pytest.CaptureFixture[str]) -> None:
    """Only the one whose configuration says so prints lines, on both sides; the last one does not turn it off."""
    workers: Any = await three()
    try:
        for name in CONFIGS:
            await workers[name].back(name)
        # A function among values is the worker's own, while its calls are logged.
        for name in ("plain", "text"):
            assert await workers[name].twice(workers[name].back)
        printed = capfd.readouterr().out
    finally:
        await closed(workers)
    assert "[worker.py] Calling back()" in printed
    assert "Transferred and returned" in printed
    assert printed.count("Calling back()") == 1
    assert printed.count("from back()") == 2


async def test_log_is_for_all_of_them(capfd: pytest.CaptureFixture[str]) -> None:
    """`workerlib.log()` has the last word on this side, for connections that are open already, too."""
    from workerlib._rpc import call_log

    workers: Any = await three()
    try:
        workerlib.log(False)
        await workers["text"].back(1)
        assert "Transferred" not in capfd.readouterr().out
        workerlib.log()
        await workers["none"].back(1)
        assert "Transferred" in capfd.readouterr().out
    finally:
        call_log.switch(None)
        await closed(workers)
