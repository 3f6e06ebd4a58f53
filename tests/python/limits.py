"""The pytest plugin of all suites: gives each test a time limit that fits this machine.

pytest-timeout ends a test that takes longer; inside Pyodide, which has neither its signal nor its threads,
tests/node/driver.py does. The setting `timeout` in a suite's pytest.ini, and a mark `timeout` of a test, are seconds of a
quiet, fast machine. `--timeout` overrides both.
"""

from __future__ import annotations

import pytest

from pace import PACE, UNDER_VALGRIND

SCALE = PACE * (100 if UNDER_VALGRIND else 1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks each test with its limit."""
    if config.getoption("timeout", None) is not None:
        return
    for item in items:
        mark = item.get_closest_marker("timeout")
        limit = float(mark.args[0] if mark else config.getini("timeout"))
        item.add_marker(pytest.mark.timeout(limit * SCALE), append=False)
