"""Takes apart and builds sparse arrays and matrices of scipy.

The table of types calls it, once scipy.sparse is imported or a frame has such an object. Each arrives in the
format that it has, of the arrays that it is kept in. scipy's own code reads memory where indices say, so all
of them are checked.
"""

from __future__ import annotations

import importlib
from typing import Any

# Without their types: whether scipy is installed must not matter to who checks this package.
np: Any = importlib.import_module("numpy")
sparse: Any = importlib.import_module("scipy.sparse")


def take_apart_sparse(array: Any) -> tuple[Any, ...]:
    """Gives the shape and the arrays by which the format keeps the content."""
    match array.format:
        case "csr" | "csc" | "bsr":
            return (array.shape, array.data, array.indices, array.indptr)
        case "coo":
            return (array.shape, array.data, *array.coords)
        case "dia":
            return (array.shape, array.data, array.offsets)
        case "dok":
            other = array.tocoo()
            return (array.shape, other.data, *other.coords)
        case _:
            other = array.tocsr()
            return (array.shape, other.data, other.indices, other.indptr)


def builder_of(name: str) -> Any:
    """Makes the function that builds objects of a class of scipy.sparse.

    Args:
        name: The name of the class: `csr_array`, for example.
    """
    form, _, kind = name.partition("_")

    def build(shape: Any, data: Any, *parts: Any) -> Any:
        _check(shape, data, parts)
        base = {"dok": "coo", "lil": "csr"}.get(form, form)
        content = (data, parts) if base == "coo" else (data, *parts)
        made = getattr(sparse, f"{base}_{kind}")(content, shape=shape, copy=False)
        if base in ("csr", "csc", "bsr"):
            made.check_format(full_check=True)
            if base == form:
                # Its constructor takes smaller numbers where they are enough.
                made.indices, made.indptr = parts
        return made if base == form else made.asformat(form)

    return build


def _check(shape: Any, data: Any, parts: tuple[Any, ...]) -> None:
    if type(shape) is not tuple or not all(type(size) is int and 0 <= size < 2**62 for size in shape):
        raise ValueError(f"the shape of a sparse array cannot be {shape!r}")
    if not isinstance(data, np.ndarray) or data.dtype.kind not in "biufc":
        raise ValueError("the content of a sparse array has to be an array of numbers")
    for part in parts:
        if not isinstance(part, np.ndarray) or part.ndim != 1 or part.dtype.kind != "i":
            raise ValueError("the indices of a sparse array have to be arrays of ints")
