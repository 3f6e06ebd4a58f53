"""The results of `connect()`, `spawn()` and `pool()`: each is awaited, or used by `async with`."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

_T_co = TypeVar("_T_co", covariant=True)


class Opening(Coroutine[Any, Any, _T_co], Generic[_T_co]):
    """A coroutine that opens something, which the end of an `async with` block closes."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], caller: str, missing: str) -> None:
        """Wraps the coroutine.

        Args:
            coroutine: Opens the thing and returns it; that is an asynchronous context manager.
            caller: The name of the function that the user has called.
            missing: The message for who asks for an attribute of the thing before it is opened, with `{name}`
                for the attribute's name.
        """
        # Python names it to who forgets to await it.
        coroutine.__qualname__ = f"workerlib.{caller}"  # type: ignore[attr-defined]
        self._coroutine = coroutine
        self._missing = missing
        self._opened: Any = None

    def __getattr__(self, name: str) -> Any:
        # Protocols of Python's own (copy, inspect …) ask for these, and nobody for what is not there yet.
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        raise AttributeError(self._missing.format(name=repr(name)), name=name)

    def __await__(self) -> Generator[Any, Any, _T_co]:
        return self._coroutine.__await__()

    def send(self, value: Any) -> Any:
        """Resumes the coroutine: `collections.abc.Coroutine.send`."""
        return self._coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        """Raises in the coroutine: `collections.abc.Coroutine.throw`."""
        return self._coroutine.throw(*error)

    def close(self) -> None:
        """Ends the coroutine: `collections.abc.Coroutine.close`."""
        self._coroutine.close()

    if not TYPE_CHECKING:
        # Type checkers refuse `with` then.
        def __enter__(self) -> Any:
            self._coroutine.close()
            raise TypeError("this opens asynchronously: write `async with` in place of `with`")

        def __exit__(self, *_: object) -> None:
            """Is never reached."""

    async def __aenter__(self) -> _T_co:
        opened = self._opened = await self._coroutine
        return opened  # type: ignore[no-any-return]

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        if self._opened is not None:
            await self._opened.__aexit__(kind, error, frames)
