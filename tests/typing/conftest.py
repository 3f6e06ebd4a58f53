"""Settings of the suite in which type checkers are run."""

from __future__ import annotations

pytest_plugins = ["limits"]
