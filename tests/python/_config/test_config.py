"""The section `[workerlib]` of a configuration: what it may say, and what is refused."""

from __future__ import annotations

import pytest
import workerlib
from workerlib._config.settings import Settings, is_text, parse, settings


def test_a_configuration_is_json_or_toml() -> None:
    """Both forms of PyScript's configuration are read."""
    expected = {"packages": ["workerlib"], "workerlib": {"strict": True}}
    assert parse('{"packages": ["workerlib"], "workerlib": {"strict": true}}') == expected
    assert parse('packages = ["workerlib"]\n[workerlib]\nstrict = true\n') == expected


@pytest.mark.parametrize("text", ['{"packages": []}', "packages = []"])
def test_a_configuration_with_a_mark_of_its_encoding(text: str) -> None:
    """An editor of Windows may put the mark before the text, and a page takes such a file."""
    assert parse(f"\ufeff{text}") == {"packages": []}


@pytest.mark.parametrize(
    "text",
    [
        *('{"packages": []}', "packages = []", "workerlib.strict=true", "[files]\n"),
        *("[workerlib]", "[[fetch]]", "strict = true # see worker.toml", "name = 'worker.toml'", "x=1#.toml"),
        *('"exports".math = ["sqrt"]', 'files."./a.csv" = "b.csv"', "files.'https://example.org/?a=b' = ''"),
    ],
)
def test_a_text_is_told_from_a_path(text: str) -> None:
    """A text may have one line, on every host."""
    assert is_text(text)


@pytest.mark.parametrize(
    "path",
    [
        *("worker.toml", "./worker.toml?version=2", "sites/a=b/worker.json", "C:\\a=b.toml"),
        *(
            "my=conf.toml",
            "a=b/worker.TOML",
            "v=1.toml?version=2",
            "site=1.json#a",
            "a = my conf.toml",
            "[a]/worker.toml",
        ),
    ],
)
def test_a_path_is_told_from_a_text(path: str) -> None:
    """An address may have a query, and a folder any name."""
    assert not is_text(path)


@pytest.mark.parametrize("text", ["{", "strict = yes", "[workerlib"])
def test_a_configuration_that_is_neither_is_refused(text: str) -> None:
    """A misspelt configuration is an error of ours that says so."""
    with pytest.raises(workerlib.ConfigError, match="neither JSON nor TOML"):
        parse(text)


def test_settings_have_defaults_and_arguments_win() -> None:
    """Nothing need be said; what a call says counts more than what the configuration says."""
    assert settings({}) == Settings(strict=False, max_depth=None)
    assert settings({"workerlib": {"strict": True}}, strict=None).strict
    assert not settings({"workerlib": {"strict": True}}, strict=False).strict


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"strikt": True}, "no key 'strikt'; it has strict, max_depth"),
        ({"strict": "yes"}, "strict = 'yes' should be of type bool"),
        ({"max_depth": True}, "max_depth = True should be of type int"),
        ({"max_depth": 0}, "max_depth = 0 should be 1 at least"),
        (["strict"], r"\[workerlib\] should be a section"),
    ],
)
def test_a_section_that_cannot_be_right_is_refused(section: object, message: str) -> None:
    """The message quotes the entry and says what there is."""
    with pytest.raises(workerlib.ConfigError, match=message):
        settings({"workerlib": section})
