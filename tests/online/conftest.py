"""Settings of the suite that needs a network."""

from __future__ import annotations

pytest_plugins = ["limits"]
