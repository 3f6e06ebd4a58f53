"""The sections of a configuration, which is that of both sides, outside of a browser."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
import workerlib
from workerlib._hosts.subprocess.parent import read_config

CONFIG = """
packages = ["workerlib"]

[files]
"./lib/money_of_test.py" = ""

[adapters]
"money_of_test" = ["Money", "encode", "decode"]
"""
MONEY = """
class Money:
    __slots__ = ("amount", "unit")

    def __init__(self, amount, unit):
        self.amount, self.unit = amount, unit

def encode(money):
    return money.amount, money.unit

async def decode(data):
    return Money(*data)
"""
WORKER = """
import workerlib
from money_of_test import Money

@workerlib.export
def double(money):
    assert type(money) is Money
    return Money(2 * money.amount, money.unit)
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A worker with a configuration, and a module that both list."""
    (tmp_path / "lib").mkdir()
    for name, text in (("worker.toml", CONFIG), ("lib/money_of_test.py", MONEY), ("worker.py", WORKER)):
        (tmp_path / name).write_text(text)
    monkeypatch.delitem(sys.modules, "money_of_test", raising=False)
    return tmp_path


async def test_a_text_of_one_line() -> None:
    """The configuration may be given as its text; a text of one line is not taken for a path."""
    async with workerlib.connect("workerlib.worker", config='exports.math = ["sqrt"]') as worker:
        assert await worker.sqrt(16) == 4


def test_a_file_that_cannot_be_parsed(site: Path) -> None:
    """The error names the file."""
    (site / "worker.toml").write_text("[workerlib")
    with pytest.raises(
        workerlib.ConfigError, match=r"worker\.toml: the configuration is neither JSON nor TOML"
    ):
        read_config(site / "worker.toml")


async def test_adapters(site: Path) -> None:
    """Both sides import the module that `[files]` lists, and send through it."""
    path = list(sys.path)
    async with workerlib.connect(site / "worker.py", config=site / "worker.toml") as worker:
        assert sys.path == path
        money = sys.modules["money_of_test"].Money
        back = await worker.double(money(1.5, "EUR"))
        assert type(back) is money
        assert (back.amount, back.unit) == (3.0, "EUR")


async def test_adapters_that_cannot_be(site: Path) -> None:
    """They are refused before a process is started, with the entry."""
    for names, message in (("Monee", "Monee.*Money"), ("Money", "lost_module")):
        module = "lost_module" if message == "lost_module" else "money_of_test"
        (site / "worker.toml").write_text(
            CONFIG.replace('"Money"', f'"{names}"').replace('"money_of_test" =', f'"{module}" =')
        )
        with pytest.raises(workerlib.ConfigError, match=message):
            await workerlib.connect(site / "worker.py", config=site / "worker.toml")


async def test_a_worker_of_a_configuration_alone(site: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """`workerlib.worker` is its script: it exports what `[exports]` names, from modules that know nothing of it."""
    (site / "lib" / "plain_of_test.py").write_text("def add(a, b=1):\n    return a + b\n")
    config = """
        [files]
        "./lib/plain_of_test.py" = ""
        [exports]
        "plain_of_test" = ["add"]
        "math" = "hypot"
        """
    (site / "worker.toml").write_text(config)
    async with workerlib.connect("workerlib.worker", config=site / "worker.toml") as worker:
        assert await worker.add(2) == 3
        assert await worker.hypot(3.0, 4.0) == 5.0
    assert "Providing functions: add, hypot" in capfd.readouterr().out
    with pytest.raises(workerlib.WorkerStartError) as caught:
        await workerlib.connect("workerlib.worker")
    assert isinstance(caught.value.__cause__, workerlib.ConfigError)
    with pytest.raises(workerlib.ConnectError, match="a worker's script"):
        importlib.import_module("workerlib.worker")


async def test_exports_beside_a_script_of_its_own(site: Path) -> None:
    """A script need not import `workerlib.worker` to have what `[exports]` names, but may not contradict it."""
    (site / "worker.py").write_text("import workerlib\n@workerlib.export\ndef own(): return 'own'\n")
    config = {"exports": {".": ["own"], "math": ["hypot"]}}
    async with workerlib.connect(site / "worker.py", config=config) as worker:
        assert await worker.own() == "own"
        assert await worker.hypot(3.0, 4.0) == 5.0
    (site / "worker.py").write_text("import workerlib\n@workerlib.export\ndef hypot(): pass\n")
    with pytest.raises(workerlib.WorkerStartError) as caught:
        await workerlib.connect(site / "worker.py", config=config | {"exports": {"math": ["hypot"]}})
    assert isinstance(caught.value.__cause__, workerlib.ConfigError)
    assert "'hypot' is exported already" in str(caught.value.__cause__)


async def test_imports_and_any_call(site: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """`[imports]` gives the script its names, `[anyCall]` reaches what is not exported, `log` tells of each call."""
    script = "import workerlib\nworkerlib.export(workerlib.anyCall)\n@workerlib.export\ndef root(x): return sqrt(x)\n"
    (site / "worker.py").write_text(script + "def hidden(x): return -x\n")
    config = {"imports": {"math": ["sqrt"]}, "anyCall": {".": ["hidden"]}, "workerlib": {"log": True}}
    async with workerlib.connect(site / "worker.py", config=config) as worker:
        assert await worker.root(9.0) == 3.0
        assert await worker.anyCall.hidden(1) == -1
        with pytest.raises(workerlib.NotExportedError):
            await worker.anyCall.eval("1")
    assert "[worker.py] " in capfd.readouterr().out
