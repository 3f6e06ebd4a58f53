"""The version of this package, which the handshake tells the other side."""

from importlib.metadata import version

__version__: str = version("workerlib")
"""The version of the installed package, such as `"0.1.0"`."""
