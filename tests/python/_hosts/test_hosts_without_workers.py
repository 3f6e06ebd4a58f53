"""What `spawn()` says where the browser offers no workers: `_hosts/browser/web_worker.py`."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
from workerlib import WorkerStartError

pytestmark = pytest.mark.skipif(sys.platform != "emscripten", reason="the native wheel spawns no workers")


def test_a_shared_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scope with neither the browser's Worker nor Node's process is named; it was an AttributeError."""
    from workerlib._hosts.browser import web_worker

    monkeypatch.setattr(web_worker, "js", SimpleNamespace())
    with pytest.raises(
        WorkerStartError, match="'one' could not be started.*a shared worker or a service worker"
    ):
        web_worker.new_worker("", "one", print, print)
