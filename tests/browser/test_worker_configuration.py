"""The document's "Worker configuration, Option #1" and "Option #2", with its own configuration text.

Beside the page lies `workerlib.py`, the starter that the wheel has; what the document does not say is how workerlib is
installed: `packages = ["workerlib"]`.
"""

from __future__ import annotations

from typing import Any

import pytest

from in_page import in_page

INSTALLED = 'packages = ["workerlib"]\npackages_cache = "passthrough"\n'

OPTION_1 = (
    INSTALLED
    + """
[files]
"./YourModule1.py" = ""
"./YourModule2.py" = ""

[exports]
"YourModule1" = ["func1", "func2"]
"YourModule2" = ["func3", "func4"]
"""
)

WITH_STARTER = OPTION_1.replace("[files]", '[files]\n"./workerlib.py" = ""')

# The ways to say `config`, of which the worker itself has to make sense.
CONFIGS = {
    "a TOML file": "./worker.toml",
    "a JSON file": "./worker.json",
    "inline TOML": OPTION_1,
    "inline JSON": '{"packages": ["workerlib"], "packages_cache": "passthrough",'
    ' "files": {"./YourModule1.py": "", "./YourModule2.py": ""},'
    ' "exports": {"YourModule1": ["func1", "func2"], "YourModule2": ["func3", "func4"]}}',
}


@in_page(page="document")
async def test_both_synchronous_and_async_functions_can_be_exported(workerlib: Any, tags: Any) -> None:
    """In both cases, calling them from the main thread is done using `await`."""
    import inspect

    script = """
from workerlib import export

def synchronous(): return "sync"
async def asynchronous(): return "async"

export(synchronous, asynchronous)
"""
    tags.worker("both kinds", script)
    async with workerlib.connectToWorker("both kinds") as worker:
        calls = worker.synchronous(), worker.asynchronous()
        assert all(map(inspect.iscoroutine, calls))
        assert [await call for call in calls] == ["sync", "async"]


@pytest.mark.every_engine
@pytest.mark.isolation("chromium")
@pytest.mark.repeated("firefox", "webkit", "isolated")
@in_page(page="document")
async def test_worker_configuration_option_1(workerlib: Any) -> None:
    """`src="./workerlib.py" config="./worker.toml"`: modules that know nothing of workers are served, untouched."""
    from workerlib import Worker, connectToWorker

    worker: Worker = await connectToWorker()
    assert await worker.func1(1, 2, 3, kwarg1="four", five=5) == (1, 2, (3,), "four", {"five": 5})
    assert await worker.func2("text") == "TEXT"
    assert await worker.func3(1, 2, 3) == 6
    assert await worker.func4(0) == 0
    assert {"func1", "func2", "func3", "func4"} <= set(dir(worker))
    assert worker.func1.__doc__ == "Returns what it was called with."
    worker.close()


# Inline JSON is what the next test has.
@pytest.mark.parametrize(
    "config",
    [
        pytest.param(
            config,
            id=kind,
            marks={
                "a JSON file": [pytest.mark.every_engine, pytest.mark.repeated("firefox", "webkit")],
                "inline TOML": pytest.mark.every_pyscript,
            }.get(kind, ()),
        )
        for kind, config in CONFIGS.items()
    ],
)
@in_page(page="document")
async def test_option_1_with_each_kind_of_config(workerlib: Any, tags: Any, config: str) -> None:
    """The configuration as a file and inline, as TOML and as JSON."""
    name = f"configured {abs(hash(config))}"
    tags.worker(name, config=config, src="./workerlib.py")
    async with workerlib.connect(name) as worker:
        assert await worker.func2("a") == "A"
        assert await worker.func3(1, 2) == 3


@pytest.mark.every_engine
@pytest.mark.every_pyscript
@pytest.mark.isolation("chromium")
@pytest.mark.repeated("firefox", "webkit", "isolated")
@in_page(page="document")
async def test_a_file_that_the_browser_has_not_noted_is_found(workerlib: Any, tags: Any) -> None:
    """WebKit sometimes notes only after the script has begun where its configuration came from."""
    script = "import js; js.performance.clearResourceTimings(); import workerlib.worker"
    tags.worker("without notes", script, config="./worker.toml")
    async with workerlib.connect("without notes") as worker:
        assert await worker.func2("a") == "A"


@in_page(page="document")
async def test_a_whole_address_of_a_file(workerlib: Any, tags: Any) -> None:
    """The worker finds it again, as it finds a relative one."""
    import js

    address = str(js.URL.new("./worker.toml", js.document.baseURI).href)
    tags.worker("by its address", config=address, src="./workerlib.py")
    async with workerlib.connect("by its address") as worker:
        assert await worker.func2("a") == "A"


# It makes a tag, which has the argument as its attribute, of whichever kind.
@pytest.mark.every_pyscript
@pytest.mark.parametrize("config", [CONFIGS["inline JSON"]], ids=["inline JSON"])
@in_page(page="document")
async def test_option_1_by_create_named_worker(workerlib: Any, tags: Any, config: str) -> None:
    """`pyscript.create_named_worker()` with the same arguments as the tag."""
    from pyscript import create_named_worker

    name = f"created {abs(hash(config))}"
    await create_named_worker("./workerlib.py", name, config)
    tags.adopt(name)
    async with workerlib.connectToWorker(name) as worker:
        assert await worker.func3(1, 2) == 3


@in_page(page="document")
async def test_option_1_by_import_workerlib_worker(workerlib: Any, tags: Any) -> None:
    """A tag whose script is `import workerlib.worker` does the same, without any file."""
    tags.worker("one line", "import workerlib.worker", config="./worker.toml")
    async with workerlib.connect("one line") as worker:
        assert await worker.func2("a") == "A"


@pytest.mark.every_pyscript
@pytest.mark.parametrize("config", [WITH_STARTER], ids=[""])
@in_page(page="document")
async def test_a_starter_under_files_hands_over(workerlib: Any, tags: Any, config: str) -> None:
    """Where `[files]` lists `./workerlib.py`, that stands before the wheel, and is the wheel all the same."""
    tags.worker("started", config=config, src="./workerlib.py")
    async with workerlib.connect("started") as worker:
        assert await worker.func3(1, 2) == 3
    script = """
import sys
import workerlib
from workerlib import export

@export
def where():
    return workerlib.__file__, workerlib.__version__, sys.modules["workerlib"] is workerlib

@export
def starter():
    with open("workerlib.py") as file:
        return file.read()
"""
    tags.worker("importing", script, config=config)
    async with workerlib.connect("importing") as worker:
        file, version, is_the_module = await worker.where()
        assert file.endswith("/site-packages/workerlib/__init__.py"), file
        assert version == workerlib.__version__
        assert is_the_module
        assert "hands over" in await worker.starter()


@pytest.mark.parametrize(
    "files",
    [
        pytest.param("", id="alone", marks=pytest.mark.every_pyscript),
        pytest.param(
            '[files]\n"./YourModule2.py" = ""\n',
            id="with a module",
            marks=[pytest.mark.every_engine, pytest.mark.repeated("firefox", "webkit")],
        ),
    ],
)
@in_page(page="document")
async def test_worker_configuration_option_2(workerlib: Any, tags: Any, files: str) -> None:
    """The user's own module with `export(f, …)`, several times; its functions work locally as before."""
    config = 'packages = ["workerlib"]\npackages_cache = "passthrough"\n' + files
    script = """
from workerlib import export
IMPORT

def func1(a):
    return ["func1", a]

async def func2(a):
    return ["func2", a]

export(func1, func2)
export(func3)
local = [func1(0), await func2(0), func3(1, 2)]

@export
def locally():
    return local
"""
    replacement = "from YourModule2 import func3" if files else "def func3(*numbers): return sum(numbers)"
    name = f"option 2 {len(files)}"
    tags.worker(name, script.replace("IMPORT", replacement), config=config)
    async with workerlib.connect(name) as worker:
        assert await worker.func1(1) == ["func1", 1]
        assert await worker.func2(2) == ["func2", 2]
        assert await worker.func3(1, 2) == 3
        assert await worker.locally() == [["func1", 0], ["func2", 0], 3]


@pytest.mark.every_pyscript
@pytest.mark.isolation("chromium")
@in_page(page="document")
async def test_exports_after_the_connection_was_made(workerlib: Any, tags: Any, raises: Any) -> None:
    """Unlike in the reference library, `export()` may come later: the page knows by the end of that call."""
    script = """
import workerlib

@workerlib.export
def make(name, value):
    def made(factor: int = 1):
        return value * factor
    workerlib.export(name=name)(made)
"""
    tags.worker("growing", script)
    async with workerlib.connect("growing") as worker, workerlib.connect("growing") as other:
        with raises(workerlib.NotExportedError):
            worker.late  # noqa: B018
        await worker.make("late", 21)
        assert await worker.late(factor=2) == 42
        assert "late" in dir(worker)
        with raises(TypeError, "late"):
            await worker.late(1, 2)
        assert await other.make("another", "a") is None
        assert await other.late() == 21
        # The exports that were announced on this connection before the answer are known by then.
        await worker.make("third", 3)
        assert await worker.another(3) == "aaa"
        assert await worker.worker.late() == 21
    async with workerlib.connect("growing") as worker:
        assert await worker.late() == 21


IMPORTS = (
    INSTALLED
    + """
[files]
"./YourModule1.py" = ""
"./YourModule2.py" = ""

[imports]
"YourModule1" = ["Account.bank", "Account"]
"YourModule2" = ["func3"]
"math" = "sqrt"
"""
)


@pytest.mark.parametrize("config", [IMPORTS], ids=[""])
@in_page(page="document")
async def test_imports_section(workerlib: Any, tags: Any, config: str) -> None:
    """The objects that `[imports]` names are among the names of the script, from `import workerlib` on."""
    script = """
from workerlib import export
export(func3, Account)

@export
def use(number):
    return sqrt(number), func3(1, 2), bank()
"""
    tags.worker("importer", script, config=config)
    async with workerlib.connect("importer") as worker:
        assert await worker.use(16) == (4, 3, "the bank of nobody")
        assert await worker.func3(1, 2) == 3
        assert await worker.Account(7) == {"balance": 7}


EXPORTS = (
    INSTALLED
    + """
[files]
"./YourModule1.py" = ""

[exports]
"YourModule1" = ["Account", "Account.bank", "func1"]
"." = ["own"]
"builtins" = ["sum", "divmod"]
"os.path" = "basename"
"""
)


@pytest.mark.parametrize("config", [EXPORTS], ids=[""])
@in_page(page="document")
async def test_exports_section_in_every_form(workerlib: Any, tags: Any, config: str) -> None:
    """A class as a callable, a dotted name, the script itself, builtins, a single name, a dotted module."""
    tags.worker("forms", "def own():\n    return 'own'\n\nimport workerlib.worker\n", config=config)
    async with workerlib.connect("forms") as worker:
        assert await worker.Account(7) == {"balance": 7}
        assert await worker["Account.bank"]() == "the bank of nobody"
        assert await worker.own() == "own"
        assert await worker.sum([1, 2]) == 3
        assert await worker.divmod(7, 2) == (3, 1)
        assert await worker.basename("a/b") == "b"


WRONG = {
    "no section": ("", "exports"),
    "no such name": ('[exports]\n"math" = ["sqr"]\n', "sqrt"),
}


@pytest.mark.parametrize(("section", "told"), WRONG.values(), ids=WRONG)
@in_page(page="document_mishaps")
async def test_wrong_exports(workerlib: Any, tags: Any, raises: Any, section: str, told: str) -> None:
    """A section that cannot be right is an error of connect(), which quotes the entry; each kind is tested natively."""
    name = f"wrong {abs(hash(section))}"
    config = 'packages = ["workerlib"]\npackages_cache = "passthrough"\n' + section
    tags.worker(name, config=config, src="./workerlib.py")
    with raises(workerlib.WorkerStartError) as caught:
        await workerlib.connect(name)
    cause = caught.value.__cause__
    assert isinstance(cause, workerlib.ConfigError), repr(cause)
    assert told in str(cause), cause
