"""`workerlib.tqdm`: the bar of that name with reports in place of its display, and without its thread."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import workerlib
from tqdm import tqdm as original

SCRIPT = """
import threading
import workerlib

@workerlib.export
def loop(count, **options):
    bar = workerlib.tqdm(range(count), mininterval=0, **options)
    return sum(bar), bar.n, threading.active_count()

@workerlib.export
def by_hand(count):
    with workerlib.tqdm(total=count, mininterval=0) as bar:
        for _ in range(count):
            bar.update(2)
"""


async def test_the_bar_reports(tmp_path: Path) -> None:
    """Items, their number and the bar's own methods are those of tqdm; the page hears of it as of `progress()`."""
    script = tmp_path / "worker.py"
    script.write_text(SCRIPT)
    heard: list[tuple[object, object]] = []
    async with workerlib.connect(script) as worker:
        hearing = worker.loop.options(on_report=lambda *values: heard.append(values))
        total, done, threads = await hearing(10, miniters=1, desc="items")
        assert (total, done) == (45, 10)
        # One thread for what stdin says.
        assert threads == 2
        assert heard[0] == (0, 10)
        assert heard[-1] == (10, 10)
        assert len(heard) > 5
        heard.clear()
        await worker.by_hand.options(on_report=lambda *values: heard.append(values))(5)
        assert heard[-1] == (10, 5)


def test_it_is_a_tqdm(capfd: pytest.CaptureFixture[str]) -> None:
    """Outside of a call the bar is silent; it starts no thread, and is an instance of the original."""
    # A thread of another test may end meanwhile.
    threads = set(threading.enumerate())
    bar = workerlib.tqdm(range(3))
    assert isinstance(bar, original)
    assert list(bar) == [0, 1, 2]
    assert set(threading.enumerate()) <= threads
    assert capfd.readouterr().err == ""


def test_without_the_package() -> None:
    """The name is there, and its use says what to install; the package itself does not need it."""
    script = """
import sys
sys.modules["tqdm"] = sys.modules["tqdm.std"] = None
from workerlib import *
assert isinstance(tqdm, type)
try:
    tqdm([1])
except ImportError as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("workerlib.tqdm needs the package tqdm"), ran.stderr
