"""The errors of a start that failed, and of a worker's end, carry the error of the worker's JavaScript or Python as their cause."""

from __future__ import annotations

from fault_page import FaultPage
from javascript_page import JavaScriptPage


def test_under_javascript(javascript: JavaScriptPage) -> None:
    """The property `cause`, and the cause's own name and text."""
    told = javascript.call("causes", limit=120)
    kinds = {what: [name for name, _ in errors[:2]] for what, errors in told.items()}
    assert kinds == {
        "a script": ["WorkerStartError", "ValueError"],
        "Pyodide": ["WorkerStartError", "TypeError"],
        "a package": ["WorkerStartError", "PythonError"],
        "a death": ["WorkerDiedError", "RuntimeError"],
        "a later call": ["WorkerDiedError", "RuntimeError"],
        "a task of a pool": ["WorkerDiedError", "RuntimeError"],
        "a pool without workers": ["PoolBrokenError", "WorkerDiedError"],
    }, told
    assert told["a script"][1][1] == "at import"
    assert told["a death"][1][1] in told["a death"][0][1]
    assert told["a pool without workers"][2][0] == "RuntimeError"


def test_under_spawn(spawning: FaultPage) -> None:
    """`__cause__` is a RemoteError with the name and the text of the JavaScript error."""
    told = spawning.call("causes", limit=120)
    kinds = {what: [name for name, _ in errors] for what, errors in told.items()}
    assert kinds == {
        "a package": ["WorkerStartError", "RemoteError"],
        "a death": ["WorkerDiedError", "RemoteError"],
        "a later call": ["WorkerDiedError", "RemoteError"],
    }, told
    assert told["a package"][1][1].startswith("PythonError: ")
    assert told["a death"][1][1].startswith("RuntimeError: ")
