"""How a host starts the worker of the shared suite, whose script has modules beside it."""

from __future__ import annotations

MODULES = ("worker_state", "worker_streams", "worker_decorated", "worker_callbacks")


def config(folder: str) -> dict[str, dict[str, str]]:
    """Gives the configuration by which a spawned worker has the modules.

    Args:
        folder: The address of tests/shared, with a slash at its end.
    """
    return {"files": {f"{folder}{name}.py": "" for name in MODULES}}
