"""The rows of other people's libraries (numpy, pandas, Pillow …), and what classes belong to them.

None of these libraries is imported here. An object of theirs can only be met where its library is imported
already; the modules that know them, beside this one, are imported with the first of their objects, on either
side. A frame can name no other library: these, and pydantic's core for its URLs, are all.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from workerlib._values.row import Built, lazy, refuse


def _row(kind: int, type_name: str, module: str, what: str) -> Built:
    path = f"{__package__}.{module}"
    return Built(kind, type_name, lazy(f"{path}:take_apart_{what}"), lazy(f"{path}:build_{what}"))


def _url_row(kind: int, type_name: str) -> Built:
    build = lazy(type_name.replace(".", ":"))

    def from_text(text: object) -> Any:
        if not isinstance(text, str):
            raise ValueError("no text of a URL")
        return build(text)

    return Built(kind, type_name, lambda url: (str(url),), from_text)


ROWS = (
    _row(73, "numpy.ndarray", "numpy_arrays", "array"),
    _row(74, "numpy.generic", "numpy_arrays", "scalar"),
    _row(75, "numpy.dtype", "numpy_arrays", "dtype"),
    _row(87, "PIL.Image.Image", "pillow_images", "image"),
    _row(88, "pandas.DataFrame", "pandas_tables", "frame"),
    _row(89, "pandas.Series", "pandas_tables", "series"),
    _row(90, "pandas.Index", "pandas_tables", "index"),
    _row(91, "pandas.api.extensions.ExtensionArray", "pandas_tables", "array"),
    _row(92, "pandas scalar", "pandas_tables", "scalar"),
    _row(93, "pyarrow.lib.Table", "arrow_tables", "table"),
    # What is in a URL of a pydantic model.
    _url_row(94, "pydantic_core.Url"),
    _url_row(95, "pydantic_core.MultiHostUrl"),
)

_FAMILIES: dict[str, tuple[tuple[str, str], ...]] = {
    # Each dtype, and each scalar, of numpy is of a class of its own, and so are the arrays of pandas; where
    # the module is in which pandas defines them is its own business.
    "numpy": (("generic", "numpy.generic"), ("dtype", "numpy.dtype")),
    "pandas": (
        *((name, f"pandas.{name}") for name in ("DataFrame", "Series", "Index")),
        ("ExtensionArray", "pandas.api.extensions.ExtensionArray"),
        *((name, "pandas scalar") for name in ("Timestamp", "Timedelta", "Period", "Interval")),
        *((name, "pandas scalar") for name in ("NaTType", "NAType")),
    ),
    # What Image.open() gives is of a class for its file's format.
    "PIL": (("Image", "PIL.Image.Image"),),
    "pyarrow": tuple((name, "pyarrow.lib.Table") for name in ("RecordBatch", "Array", "ChunkedArray")),
}


def find_type_name(cls: type) -> str | None:
    """Names the row for a class that one of the libraries has derived from the row's type; None if none."""
    library = _library_of(cls)
    for base_name, type_name in _FAMILIES.get(library, ()):
        for base in cls.__mro__:
            if base.__qualname__ == base_name and _library_of(base) == library:
                return type_name
    return None


def _library_of(cls: type) -> str:
    library = str(cls.__module__).partition(".")[0]
    # A class may say that it belongs to a library that is not even there.
    return library if library in sys.modules else ""


_LIKENESSES = (
    ("numpy", "ndarray", lazy("workerlib._values.libraries.numpy_arrays:without_subclass")),
    ("pandas", "DataFrame", lazy("workerlib._values.libraries.pandas_tables:frame_without_subclass")),
    ("pandas", "Series", lazy("workerlib._values.libraries.pandas_tables:series_without_subclass")),
    ("PIL.Image", "Image", lazy("workerlib._values.libraries.pillow_images:without_subclass")),
)


def find_likeness(cls: type) -> tuple[str, Callable[[Any], Any]] | None:
    """Says what an object of somebody's subclass of a library's type is like, and makes that of it."""
    if any(base.__module__ == "numpy.ma" and base.__qualname__ == "MaskedArray" for base in cls.__mro__):
        return "nothing", refuse("its mask would be lost: send its data and its mask")
    for library, name, convert in _LIKENESSES:
        base = getattr(sys.modules.get(library), name, None)
        if isinstance(base, type) and issubclass(cls, base):
            return f"{library}.{name}", convert
    return None
