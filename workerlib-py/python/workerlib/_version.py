"""The version of this package, which the handshake tells the other side."""

from importlib.metadata import PackageNotFoundError, distribution

_FIELD = "Version:"


def _read() -> str:
    """Reads the version of the installed package.

    `importlib.metadata.version()` parses the metadata as an e-mail message. Importing the package `email` for
    that would take a quarter of the time that importing workerlib takes in Pyodide.

    Raises:
        PackageNotFoundError: If the package is not installed, or its metadata names no version.
    """
    for line in (distribution("workerlib").read_text("METADATA") or "").splitlines():
        if line.startswith(_FIELD):
            return line.removeprefix(_FIELD).strip()
        if not line:
            break
    raise PackageNotFoundError("workerlib")


__version__: str = _read()
"""The version of the installed package, such as `"0.1.0"`."""
