"""Names of a configuration: which object each means, and what is said of one that means none."""

from __future__ import annotations

import os.path
import sys
import types
from collections.abc import Iterator

import pytest
from workerlib import ConfigError
from workerlib._config.names import resolve

ENTRY = '[exports] "shop.model" = ["Order"]'


@pytest.fixture(autouse=True)
def modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """A package with a module in it; the latter re-exports what another module has."""
    package, model = types.ModuleType("shop"), types.ModuleType("shop.model")
    package.__path__ = []
    model.__dict__["Order"] = type("Order", (), {"make": staticmethod(lambda: "made")})
    model.__dict__["join"] = os.path.join
    model.__dict__["len"] = "its own"
    monkeypatch.setitem(sys.modules, "shop", package)
    monkeypatch.setitem(sys.modules, "shop.model", model)
    yield model


def test_dotted_names_of_modules_and_attributes(modules: types.ModuleType) -> None:
    """A module within a package, and an attribute of a class in it."""
    assert resolve("shop.model", "Order", ENTRY) is modules.Order
    assert resolve("shop.model", "Order.make", ENTRY)() == "made"


def test_what_a_module_re_exports_is_its_own(modules: types.ModuleType) -> None:
    """It does not matter where a name comes from, as with `import`."""
    assert resolve("shop.model", "join", ENTRY) is os.path.join


def test_the_script_itself_is_the_module_dot(monkeypatch: pytest.MonkeyPatch) -> None:
    """`"."` stands for the page's or the worker's own script."""
    monkeypatch.setattr(sys.modules["__main__"], "of_the_script", len, raising=False)
    assert resolve(".", "of_the_script", ENTRY) is len
    with pytest.raises(ConfigError, match="the script has no 'of_the_scrip'; did you mean 'of_the_script'"):
        resolve(".", "of_the_scrip", ENTRY)


def test_builtins_have_a_module_without_a_name() -> None:
    """They are found under "None" and "builtins", and under any module that has no such name itself."""
    assert resolve("None", "sum", ENTRY) is sum
    assert resolve("builtins", "int.from_bytes", ENTRY) == int.from_bytes
    assert resolve("shop.model", "sum", ENTRY) is sum
    assert resolve("shop.model", "len", ENTRY) == "its own"


@pytest.mark.parametrize(
    ("module", "name", "message"),
    [
        ("shops", "Order", "there is no module 'shops'"),
        ("shop.models", "Order", r"there is no module 'shop.models'"),
        ("shop.model", "Ordre", r"the module 'shop.model' has no 'Ordre'; did you mean 'Order'\?"),
        ("shop.model", "Order.mak", r"'Order' has no 'mak'; did you mean 'make'\?"),
        ("..shop", "Order", r"the module '..shop' cannot be imported: TypeError"),
    ],
)
def test_a_name_without_an_object_is_refused(module: str, name: str, message: str) -> None:
    """The message quotes the entry and says which part of it is wrong."""
    with pytest.raises(ConfigError, match=message) as caught:
        resolve(module, name, ENTRY)
    assert str(caught.value).startswith(ENTRY)
    assert caught.value.__cause__ is not None


def test_a_module_that_raises_is_refused(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of the module's own code stands in the message, and is the cause."""
    monkeypatch.syspath_prepend(str(tmp_path))
    with open(f"{tmp_path}/raising_module.py", "w") as file:
        file.write("1 / 0\n")
    with open(f"{tmp_path}/needing_module.py", "w") as file:
        file.write("import not_there_at_all\n")
    with pytest.raises(ConfigError, match="'raising_module' cannot be imported: ZeroDivisionError"):
        resolve("raising_module", "x", ENTRY)
    with pytest.raises(ConfigError, match="'needing_module' cannot be imported: No module named 'not_there"):
        resolve("needing_module", "x", ENTRY)
