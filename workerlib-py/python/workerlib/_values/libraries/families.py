"""The rows of other people's libraries (numpy, pandas, Pillow …), and what classes belong to them.

None of these libraries is imported here. An object of theirs can only be met where its library is imported
already; the modules that know them, beside this one, are imported with the first of their objects, on either
side. A frame can name no other library: these, and pydantic's core for its URLs, are all.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

from workerlib._values.row import Built, Named, lazy


def _row(kind: int, type_name: str, module: str, what: str) -> Built:
    path = f"{__package__}.{module}"
    return Built(kind, type_name, lazy(f"{path}:take_apart_{what}"), lazy(f"{path}:build_{what}"))


def _url_row(kind: int, type_name: str) -> Built:
    build = lazy(type_name.replace(".", ":"))

    def from_text(text: object) -> Any:
        if not isinstance(text, str):
            raise ValueError("a URL has to be made from a str")
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
    _row(91, "pandas.api.extensions.ExtensionArray", "pandas_arrays", "array"),
    _row(92, "pandas scalar", "pandas_tables", "scalar"),
    _row(93, "pyarrow.lib.Table", "arrow_tables", "table"),
    # The URL inside a URL of a pydantic model.
    _url_row(94, "pydantic_core.Url"),
    _url_row(95, "pydantic_core.MultiHostUrl"),
)


def _named(
    name: str, module: str, what: str, *, build: str | None = None, type_name: str | None = None
) -> Named:
    path = f"{__package__}.{module}"
    return Named(
        name, type_name or name, lazy(f"{path}:take_apart_{what}"), lazy(f"{path}:build_{build or what}")
    )


_FORMATS = ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")
"""The formats of sparse arrays and matrices."""


def _sparse_row(name: str) -> Named:
    path = f"{__package__}.sparse_arrays"
    find_builder = lazy(f"{path}:builder_of")

    def build(*values: Any) -> Any:
        return find_builder(name)(*values)

    return Named(f"scipy.sparse.{name}", f"scipy.sparse.{name}", lazy(f"{path}:take_apart_sparse"), build)


NAMED = (
    *(_sparse_row(f"{form}_{kind}") for form in _FORMATS for kind in ("array", "matrix")),
    _named("polars.DataFrame", "polars_frames", "frame"),
    _named("polars.Series", "polars_frames", "series"),
    _named("pydantic_core.ValidationError", "pydantic_errors", "error"),
    _named("numpy.ma.MaskedArray", "numpy_subclasses", "masked"),
    _named(
        "numpy.ma.masked", "numpy_subclasses", "masked_constant", type_name="numpy.ma.core.MaskedConstant"
    ),
    _named("numpy.matrix", "numpy_subclasses", "view", build="matrix"),
    _named("numpy.rec.recarray", "numpy_subclasses", "view", build="records"),
    _named("pandas.api.extensions.ExtensionDtype", "pandas_arrays", "dtype"),
    _named("numpy.char.chararray", "numpy_subclasses", "view", build="chars"),
)

_FAMILIES: dict[str, tuple[tuple[str, str], ...]] = {
    # Each dtype, and each scalar, of numpy is of a class of its own, and so are the arrays of pandas; where
    # the module is in which pandas defines them is its own business.
    "numpy": (("generic", "numpy.generic"), ("dtype", "numpy.dtype")),
    "pandas": (
        *((name, f"pandas.{name}") for name in ("DataFrame", "Series", "Index")),
        ("ExtensionArray", "pandas.api.extensions.ExtensionArray"),
        ("ExtensionDtype", "pandas.api.extensions.ExtensionDtype"),
        *((name, "pandas scalar") for name in ("Timestamp", "Timedelta", "Period", "Interval")),
        *((name, "pandas scalar") for name in ("NaTType", "NAType")),
    ),
    # Image.open() returns an object of a class for its file's format.
    "PIL": (("Image", "PIL.Image.Image"),),
    "polars": tuple((name, f"polars.{name}") for name in ("DataFrame", "Series")),
    # Each zone of pytz is of a class of its own.
    "pytz": (("BaseTzInfo", "pytz zone"),),
    "dateutil": tuple((name, "dateutil zone") for name in ("tzfile", "tzutc", "tzoffset")),
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


def find_scalar_class(name: str) -> type | None:
    """Finds a class of numpy's by its name: one of a scalar, or an abstract one above these."""
    # Not before a frame has such a name: the class of an object that is here has its module here.
    numpy: Any = sys.modules.get("numpy") or importlib.import_module("numpy")
    found = getattr(numpy, name, None)
    is_known = isinstance(found, type) and issubclass(found, (numpy.generic, numpy.ndarray, numpy.dtype))
    return found if is_known else None


_BASES = (
    ("pandas", "DataFrame", lazy("workerlib._values.libraries.pandas_tables:frame_without_subclass")),
    ("pandas", "Series", lazy("workerlib._values.libraries.pandas_tables:series_without_subclass")),
    ("PIL.Image", "Image", lazy("workerlib._values.libraries.pillow_images:without_subclass")),
)
_STRIPPED = ("numpy", "ndarray", lazy("workerlib._values.libraries.numpy_arrays:without_subclass"))


def find_base(cls: type, strips: bool) -> tuple[str, Callable[[Any], Any]] | None:
    """Finds the library type that a subclass arrives as, and makes a function for that.

    Args:
        cls: The class.
        strips: Whether an array of a subclass may arrive without what the subclass adds, a unit for example.
    """
    for library, name, convert in (*_BASES, _STRIPPED) if strips else _BASES:
        base = getattr(sys.modules.get(library), name, None)
        if isinstance(base, type) and issubclass(cls, base):
            return f"{library}.{name}", convert
    return None
