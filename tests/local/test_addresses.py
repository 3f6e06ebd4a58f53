"""`workerlib.url()` outside of a browser: addresses that are relative to the worker's script."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.request import urlopen

import pytest
import workerlib

SCRIPT = """
from urllib.request import urlopen
import workerlib

at_start = workerlib.url("./data.csv")

@workerlib.export
def read():
    with urlopen(workerlib.url("./data.csv")) as file:
        return file.read().decode(), at_start == workerlib.url("./data.csv")

@workerlib.export
def absolute():
    return workerlib.url("https://example.org/x")
"""


async def test_a_worker_reads_what_lies_beside_its_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative addresses start at the script, as in the browser, wherever the process was started."""
    folder = tmp_path / "a folder"
    folder.mkdir()
    (folder / "worker.py").write_text(SCRIPT)
    (folder / "data.csv").write_text("1,2")
    monkeypatch.chdir(tmp_path)
    async with workerlib.connect("a folder/worker.py") as worker:
        assert await worker.read() == ("1,2", True)
        assert await worker.absolute() == "https://example.org/x"


def test_the_other_side_starts_at_its_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the names of workers' scripts start, too."""
    (tmp_path / "data.csv").write_text("3")
    monkeypatch.chdir(tmp_path)
    assert workerlib.url("./data.csv").startswith("file:///"), os.getcwd()
    with urlopen(workerlib.url("data.csv")) as file:
        assert file.read() == b"3"
