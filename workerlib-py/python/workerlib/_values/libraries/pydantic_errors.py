"""Takes apart and builds pydantic's ValidationError; imported only where pydantic is, or comes in a frame.

The error has no arguments, and its class no constructor: it is made again of the details of each failure.
"""

from __future__ import annotations

import importlib
from typing import Any

from workerlib._values import exception_values
from workerlib._values.row import RefusedError

core: Any = importlib.import_module("pydantic_core")

_KEYS = frozenset({"type", "loc", "msg", "input", "ctx"})


def take_apart_error(error: Any) -> tuple[Any, ...]:
    """Gives cause, context and attributes; title, kind of the input, whether it is hidden, and each failure.

    Raises:
        RefusedError: If pydantic itself cannot make the same error of that.
    """
    failures = error.errors(include_url=False)
    hides = bool(failures) and "input_value=" not in str(error)
    links = (error.__cause__, error.__context__, error.__suppress_context__, dict(vars(error)))
    for mode in ("python", "json"):
        # Which one it was shows in the messages only.
        if str(_make(error.title, mode, hides, failures)) == str(error):
            return (*links, error.title, mode, hides, failures)
    raise RefusedError("pydantic does not tell all that it is made of: send its errors()")


def build_error(cause: Any, context: Any, suppress: Any, state: Any, *parts: Any) -> Any:
    """Builds the error, given what `take_apart_error` gave."""
    title, mode, hides, failures = parts
    if type(title) is not str or mode not in ("python", "json") or type(failures) is not list:
        raise ValueError("an error of pydantic has to have a title, a mode and a list of failures")
    error = _make(title, mode, hides is True, failures)
    exception_values.fill_exception(error, [cause, context, suppress, state])
    return error


def _make(title: str, mode: str, hides: bool, failures: list[dict[str, Any]]) -> Any:
    return core.ValidationError.from_exception_data(
        title, [_detail(failure) for failure in failures], mode, hide_input=hides
    )


def _detail(failure: Any) -> dict[str, Any]:
    if type(failure) is not dict or not failure.keys() <= _KEYS or type(failure["loc"]) is not tuple:
        raise ValueError("a failure of a validation has to be a dict of known keys")
    kind, context = failure["type"], failure.get("ctx")
    detail = {"type": kind, "loc": failure["loc"], "input": failure["input"]}
    try:
        core.PydanticKnownError(kind, context)
    except (KeyError, TypeError, ValueError):
        # One of the model's own: its text may have braces, which stand for what is in the context otherwise.
        kind = core.PydanticCustomError(kind, failure["msg"], context)
        return detail | {"type": kind}
    return detail | ({"ctx": context} if context else {})
