"""Entries of `[adapters]` that cannot be right, and adapters that one side lacks: each error quotes the entry."""

from __future__ import annotations

import pytest
import workerlib
from workerlib import ConfigError
from workerlib._values.adapters import AdapterSet

from adapter_modules import Configure, configure
from loopback import connected, loopback_channel

__all__ = ["configure"]

MODULE = """
class Type: pass
class Other: pass
number = 7
def one(data): return data
def two(data, name): return data
def three(a, b, c): return a
def nothing(): return None
def keyword(data, *, quality): return data
"""


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ('["Typ", "one", "one"]', "the module 'shapes' has no 'Typ'; did you mean 'Type'"),
        ('["Type", "on", "one"]', "the module 'shapes' has no 'on'; did you mean 'one'"),
        ('["Type", "one", "twoo"]', "the module 'shapes' has no 'twoo'; did you mean 'two'"),
        ('["number", "one", "one"]', "7 is not a class"),
        ('["one", "one", "one"]', "is not a class"),
        ('["Type", "number", "one"]', "the encoder, 7, is not a function"),
        ('["Type", "two", "one"]', "the encoder two has 2 parameters, it needs one parameter"),
        ('["Type", "nothing", "one"]', "the encoder nothing has 0 parameters, it needs one parameter"),
        ('["Type", "one", "three"]', "the decoder three has 3 parameters, it needs one or two parameters"),
        (
            '["Type", "keyword", "one"]',
            "the encoder keyword needs one parameter, and not 'quality' by keyword",
        ),
        ('["Any", "pickle", "None"]', "an adapter for everything needs a decoder"),
        ('["All", "None", "pickle"]', "an adapter for everything needs an encoder"),
        ('["Type", "one", "one", "one"]', "a list of one to three names"),
        ("[]", "a list of one to three names"),
        ('"Type"', "a list of one to three names"),
        ('[["Type"], "Other"]', "a list of one to three names"),
        ('[[["Type"]]]', "a list of one to three names"),
        ('["Type", 7]', "a list of one to three names"),
    ],
)
def test_an_entry_that_cannot_be_right(configure: Configure, names: str, message: str) -> None:
    """The error is raised when the configuration is read, and begins with the entry."""
    with pytest.raises(ConfigError, match=message) as caught:
        configure(f'[adapters]\n"shapes" = {names}', shapes=MODULE)
    assert str(caught.value).startswith(f'[adapters] "shapes" = {names}')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '"shapes" = [["Type", "one"], ["Type", "None", "two"]]',
            "the class has an adapter already",
        ),
        (
            '"shapes" = ["Type"]\n"shapes2" = ["Type"]',
            r'the class has an adapter already, \[adapters\] "shapes" = \["Type"\]',
        ),
        (
            '"workerlib" = ["All", "pickle", "pickle"]\n"shapes" = ["Type"]',
            '"All" has to be the only adapter',
        ),
        (
            '"shapes" = ["Type"]\n"workerlib" = ["All", "pickle", "pickle"]',
            '"All" has to be the only adapter',
        ),
    ],
)
def test_entries_that_cannot_stand_together(configure: Configure, text: str, message: str) -> None:
    """Two for one class, whichever module they name it by; "All" beside others."""
    with pytest.raises(ConfigError, match=message):
        configure(f"[adapters]\n{text}", shapes=MODULE, shapes2="from shapes import *")


def test_a_module_that_is_not_there(configure: Configure) -> None:
    """The error says that a module belongs under [files] or packages."""
    with pytest.raises(ConfigError, match=r'"no_such" = \["Type"\]: there is no module .*\[files\]'):
        configure('[adapters]\n"no_such" = ["Type"]')


def test_a_section_that_is_none(configure: Configure) -> None:
    """A list in place of the section is refused."""
    with pytest.raises(ConfigError, match=r"\[adapters\] should be a section with a key for each module"):
        configure('adapters = ["Type"]')


ENTRY = '[adapters] "imageProcessor" = ["Image"]'


@pytest.mark.parametrize("side", ["page", "worker"])
async def test_an_adapter_on_one_side_only(side: str) -> None:
    """connect() raises, quotes the entry, and says which side lacks it."""
    adapters = [("imageProcessor:Image", ENTRY, False)]
    other = "worker" if side == "page" else "page"
    of_page, of_worker = (adapters, []) if side == "page" else ([], adapters)
    with pytest.raises(ConfigError) as caught:
        async with connected(loopback_channel, of_page=of_page, of_worker=of_worker):
            pytest.fail("it was connected")
    assert str(caught.value).startswith(
        f"{ENTRY}: only the configuration of the {side} has this entry, and the {other} has no"
    )


async def test_what_python_registered_need_not_be_on_both_sides() -> None:
    """It may come later; and it is as good as an entry of the other side."""
    registered, configured = ("m:C", None, False), ("m:C", '[adapters] "m" = ["C"]', False)
    for of_page, of_worker in (([registered], []), ([], [registered]), ([registered], [configured])):
        async with connected(loopback_channel, of_page=of_page, of_worker=of_worker) as worker:
            assert not worker.closed


def test_functions_of_the_wrong_number_of_parameters_in_python() -> None:
    """register_adapter() refuses them with a TypeError."""
    with pytest.raises(TypeError, match="the encoder"):
        workerlib.register_adapter(int, lambda: 1)
    with pytest.raises(TypeError, match="is not a class"):
        workerlib.register_adapter("int", str)  # type: ignore[type-var]
    assert AdapterSet().describe() == []
