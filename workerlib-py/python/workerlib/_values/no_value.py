"""Provides `NoValue`, the base of answers that are not there yet.

Where code uses such an answer as a value, it raises TypeError, since the code would be silently wrong
otherwise. For the same reason it cannot be sent.
"""

from __future__ import annotations

import sys
from typing import NoReturn

_REMEDY = (
    "the answer of {name}() is not there yet: a Reply is not a value. Use `await {name}(…)` in async code,"
    " `{name}(…).result()` in sync code, or `workerlib.wait({name}(…))`"
)


class NoValue:
    """The base of answers that are not there yet: whatever uses one as a value raises TypeError."""

    __slots__ = ()

    @property
    def _called(self) -> str:
        """The name of the function whose answer it is."""
        raise NotImplementedError

    def __hash__(self) -> int:
        """Refuses a hash, but for asyncio's own functions: `gather` has a table of what it waits for."""
        try:
            caller = sys._getframe(1).f_globals.get("__name__", "")
        except ValueError:
            # JavaScript or Rust asks: they have no frame.
            return _refuse(self)
        if caller == "asyncio" or caller.startswith("asyncio."):
            return id(self)
        return _refuse(self)

    def __eq__(self, other: object) -> bool:
        """Refuses a comparison."""
        _refuse(self)

    def __ne__(self, other: object) -> bool:
        """Refuses a comparison."""
        _refuse(self)


def _refuse(reply: NoValue, *_: object) -> NoReturn:
    raise TypeError(_REMEDY.format(name=reply._called))


_BINARY = (
    *("add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "divmod", "pow"),
    *("lshift", "rshift", "and", "xor", "or"),
)
_REFUSED = (
    *("bool", "iter", "len", "contains", "getitem", "setitem", "delitem", "reversed", "next"),
    *("int", "float", "complex", "index", "round", "trunc", "floor", "ceil", "neg", "pos", "abs", "invert"),
    *("lt", "le", "gt", "ge", "call", "enter", "exit", "format", "bytes", "fspath", "reduce_ex"),
    *(name for one in _BINARY for name in (one, f"r{one}", f"i{one}")),
)
for _name in _REFUSED:
    setattr(NoValue, f"__{_name}__", _refuse)


def _refuse_iteration(reply: NoValue) -> NoReturn:
    name = reply._called
    raise TypeError(
        f"the answer of {name}() is not there yet, and cannot be iterated: write `async for item in await"
        f" {name}(…)`"
    )


NoValue.__aiter__ = _refuse_iteration  # type: ignore[attr-defined]
