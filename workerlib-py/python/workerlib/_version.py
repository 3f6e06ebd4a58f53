"""The version of this package, which the handshake tells the other side."""

from importlib.metadata import version

__version__: str = version("workerlib")
