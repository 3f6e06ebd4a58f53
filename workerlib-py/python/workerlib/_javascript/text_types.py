"""The types whose objects are text in JavaScript, and are built from text where an annotation names them."""

from __future__ import annotations

from fractions import Fraction
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from pathlib import PurePath
from uuid import UUID

TEXT_TYPES = (
    Fraction,
    UUID,
    PurePath,
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
"""Each is built from its `str()`."""
