"""Checks that a spawned worker follows its configuration: tests for pages and for Node.

Each takes the address of the folder in which this file is, as the spawning Python has to write it.
"""

from __future__ import annotations

from pathlib import Path

import workerlib

from expecting import raises

# The worker's output can be asked for, whatever its host does with it.
_LISTENING = """
import io, sys
import workerlib
sys.stdout = sys.stderr = io.StringIO()

@workerlib.export
def printed():
    return sys.stdout.getvalue()
"""


def _script(name: str, text: str) -> Path:
    path = Path(f"{name}_of_test.py")
    path.write_text(text)
    return path


async def test_a_configuration_is_the_worker(folder: str) -> None:
    """`workerlib.worker` as the script: it exports what `[exports]` names, from files that are fetched."""
    config = {
        "packages": ["workerlib", "packaging"],
        "files": {f"{folder}unaware.py": "", f"{folder}expecting.py": "deep/er/"},
        "exports": {"unaware": ["triple", "add"], "math": "hypot", "packaging.version": ["parse"]},
    }
    async with workerlib.spawn("workerlib.worker", config=config) as worker:
        assert worker.name == "workerlib.worker"
        assert await worker.triple("a") == "aaa"
        assert await worker.add(2) == 3
        assert await worker.hypot(3.0, 4.0) == 5.0
        assert worker.add.__doc__ == "Adds."
        with raises(workerlib.NotExportedError):
            worker.hidden  # noqa: B018
    script = _script("looking", "import os\ndef found(path): return os.path.isfile(path)\n")
    config["exports"] = {".": ["found"]}
    async with workerlib.spawn(script, config=config) as worker:
        assert await worker.found("deep/er/expecting.py")
        assert not await worker.found("expecting.py")


async def test_exports_of_a_script(folder: str) -> None:
    """A script need not import workerlib; what it exports itself, and by workerlib.worker, is not a conflict."""
    own = "def own(): return 'own'\n"
    config = {"exports": {".": ["own"], "builtins": ["sum"]}}
    for name, text in (
        ("plain", own),
        ("worker", f"{own}import workerlib.worker\n"),
        ("both", f"import workerlib\n@workerlib.export\n{own}"),
    ):
        async with workerlib.spawn(_script(name, text), config=config) as worker:
            assert await worker.own() == "own"
            assert await worker.sum([1, 2]) == 3


async def test_imports_any_call_and_log(folder: str) -> None:
    """The script has what `[imports]` names, `anyCall` reaches what `[anyCall]` names, `log` tells of each call."""
    text = "workerlib.export(workerlib.anyCall)\n@workerlib.export\ndef use(x): return sqrt(x), add(x)\n"
    config = {
        "files": {f"{folder}unaware.py": ""},
        "imports": {"math": ["sqrt"], "unaware": "add"},
        "anyCall": {"unaware": ["hidden"]},
        "workerlib": {"log": True},
    }
    async with workerlib.spawn(_script("importing", _LISTENING + text), name="told", config=config) as worker:
        assert await worker.use(9.0) == (3.0, 10.0)
        assert await worker.anyCall.hidden() == "seen"
        with raises(workerlib.NotExportedError):
            await worker.anyCall.eval("1")
        printed = await worker.printed()
        assert "[told] Calling use(): (9.0,) {}" in printed, printed
        assert "from use(): (3.0, 10.0)" in printed, printed
    config["workerlib"] = {"log": False}
    async with workerlib.spawn(_script("importing", _LISTENING + text), config=config) as worker:
        await worker.use(9.0)
        assert await worker.printed() == ""


async def test_adapters(folder: str) -> None:
    """`[adapters]` is for both sides, and may name what the script makes."""
    import unaware

    config = {
        "files": {f"{folder}unaware.py": ""},
        "adapters": {"unaware": ["Money", "encode", "Money"]},
        "exports": {".": ["double"]},
    }
    text = "from unaware import Money\ndef double(money): return Money(2 * money.amount)\n"
    async with workerlib.spawn(_script("paying", text), config=config) as worker:
        back = await worker.double(unaware.Money(1.5))
        assert type(back) is unaware.Money
        assert back.amount == 3.0


async def test_what_cannot_be_right(folder: str) -> None:
    """It is refused before the worker is started where this side can tell, else by the worker, and quoted."""
    for config, told in (
        ({"packages": "workerlib"}, "packages = 'workerlib'"),
        ({"files": ["a.py"]}, r"\[files\]"),
        ({"files": {"./a.zip": "./content/*"}}, "unpacks no archives"),
        ({"files": {"./a.py": 3}}, r"'\./a\.py' = 3"),
        ({"workerlib": {"lgo": True}}, "no key 'lgo'"),
    ):
        with raises(workerlib.ConfigError, told):
            await workerlib.spawn("workerlib.worker", config=config)
    for config, told in (
        ({}, r"section \[exports\]"),
        ({"exports": {"math": ["sqr"]}}, "sqrt"),
        ({"exports": {"no_such_module": ["f"]}}, "no_such_module"),
        ({"exports": {"math": ["pow"], "builtins": ["pow"]}}, "'pow' twice"),
    ):
        with raises(workerlib.WorkerStartError, "workerlib.worker, failed") as caught:
            await workerlib.spawn("workerlib.worker", config=config)
        assert isinstance(caught.value.__cause__, workerlib.ConfigError), repr(caught.value.__cause__)
        with raises(workerlib.ConfigError, told):
            raise caught.value.__cause__
    with raises(workerlib.WorkerStartError, r"the file, .*/nowhere\.py, cannot be fetched"):
        await workerlib.spawn("workerlib.worker", config={"files": {f"{folder}nowhere.py": ""}})
    taken = _script("taken", "import workerlib\n@workerlib.export\ndef pow(): pass\n")
    with raises(workerlib.WorkerStartError) as caught:
        await workerlib.spawn(taken, config={"exports": {"math": ["pow"]}})
    assert "'pow' is exported already" in str(caught.value.__cause__)
    with raises(workerlib.WorkerStartError, "no_such_module, failed") as caught:
        await workerlib.spawn("no_such_module")
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


async def test_addresses_are_relative_to_the_script(folder: str) -> None:
    """`pyfetch`, `js.fetch`, `Request` and `open_url` in the worker, not relative to the page or to a blob: address."""
    async with workerlib.spawn(f"{folder}relative/reader.py") as worker:
        assert set(await worker.read_by_url()) == {"beside the script"}
        assert set(await worker.read_as_written()) == {"beside the script"}


async def test_a_configuration_that_is_a_file(folder: str) -> None:
    """TOML and JSON by their addresses, from which theirs start; a file of this Python's; a text."""
    for name in ("configuration.toml", "configuration.json"):
        async with workerlib.spawn("workerlib.worker", config=f"{folder}relative/{name}") as worker:
            assert await worker.triple(2) == 6
    text = '[exports]\n"math" = ["hypot"]\n'
    path = Path("written_here.toml")
    path.write_text(text)
    for config in (text, path, '{"exports": {"math": ["hypot"]}}'):
        async with workerlib.spawn("workerlib.worker", config=config) as worker:
            assert await worker.hypot(3, 4) == 5
    for config, told in (
        (f"{folder}nowhere.toml", r"nowhere\.toml: the configuration cannot be"),
        (f"{folder}worker.py", r"worker\.py: the configuration is neither JSON nor TOML"),
        ('[exports]\nx = "', "neither JSON nor TOML"),
        (Path("nowhere.toml"), "'nowhere.toml' cannot be read"),
    ):
        with raises(workerlib.ConfigError, told):
            await workerlib.spawn("workerlib.worker", config=config)


async def test_a_module_that_is_missing(folder: str) -> None:
    """The error says where a module has to stand."""
    del folder
    script = _script("missing_module", "import workerlib\nimport no_such_module_at_all\n")
    with raises(
        workerlib.WorkerStartError,
        r"No module named 'no_such_module_at_all' \(missing_module_of_test\.py, line 2\);"
        r" a module of the site must stand under \[files\]",
    ):
        await workerlib.spawn(script)
