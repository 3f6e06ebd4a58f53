"""The section `[files]` of a configuration: `_config/files.py`."""

from __future__ import annotations

import pytest
from workerlib import ConfigError
from workerlib._config.files import files


def test_addresses_and_paths() -> None:
    """Nothing means the file's own name, a slash a folder; an address may have a query."""
    assert files(
        {"files": {"./a.py": "", "/b.py": "deep/er/", "https://x.org/c.py?v=1#top": "", "d.py": "e.py"}}
    ) == [
        ("./a.py", "a.py"),
        ("/b.py", "deep/er/b.py"),
        ("https://x.org/c.py?v=1#top", "c.py"),
        ("d.py", "e.py"),
    ]
    assert files({}) == []


def test_names_for_parts_of_addresses() -> None:
    """`{FROM}` and `{TO}`, as PyScript's documentation has them; a name may use those before it."""
    section = {
        "{FROM}": "https://x.org/src",
        "{TO}": "./pack",
        "{DEEP}": "{TO}/deep",
        "{FROM}/a.py": "{TO}/a.py",
        "{FROM}/b.py": "{DEEP}/",
        "{FROM}/c.py": "",
    }
    assert files({"files": section}) == [
        ("https://x.org/src/a.py", "./pack/a.py"),
        ("https://x.org/src/b.py", "./pack/deep/b.py"),
        ("https://x.org/src/c.py", "c.py"),
    ]


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ([], "should be a section with a path for each address"),
        ({"a.py": 1}, "write a path"),
        ({"{FROM}/a.py": ""}, "no entry before this one defines '{FROM}'; defined are: none"),
        ({"{A}": "x", "a.py": "{B}/"}, "no entry before this one defines '{B}'; defined are: {A}"),
        ({"x/a.py": "", "y/a.py": ""}, "'x/a.py' goes to the path 'a.py' already"),
    ],
)
def test_sections_that_cannot_be_right(section: object, message: str) -> None:
    """The error names the entry, and what should be there."""
    with pytest.raises(ConfigError, match="files") as caught:
        files({"files": section})
    assert message in str(caught.value)
