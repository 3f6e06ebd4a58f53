"""A module beside the worker's script: its classes become types too."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Point:
    """A point in the plane."""

    x: float
    y: float


Track = list[Point]
