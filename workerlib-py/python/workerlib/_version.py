"""The version of this package, which the handshake tells the other side.

It stands in the extension module. The metadata of the installed distribution have it too, but on PyPI the
distribution has another name than the package, and reading metadata takes time at each start.
"""

from workerlib._native import VERSION

__version__: str = VERSION
"""The version of the installed package, such as `"0.1.0"`."""
