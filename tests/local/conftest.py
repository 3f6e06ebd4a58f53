"""Settings of the suite that runs outside of a browser only: workers as subprocesses, and `workerlib.testing`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from workerlib._hosts.subprocess import parent
from workerlib._rpc import connection

pytest.register_assert_rewrite(
    *("shared_values", "shared_adapters", "shared_calls", "shared_errors", "shared_endings"),
    *("shared_pages", "shared_reports", "shared_streams", "shared_decorated"),
)

pytest_plugins = ["limits", "repeated"]


@pytest.fixture(autouse=True, scope="session")
def patience() -> Iterator[None]:
    """This side waits for the worker's word and its end, however slow the machine is; tests of a grace set their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "_GRACE", 600)
        patch.setattr(parent, "_GRACE", 600)
        yield
