"""Provides the async iterables of a page in JavaScript as async iterators: `await worker.total(lines)`.

The items come by batches, which are asked for one after the other over Comlink (javascript/src/streams.ts).
The page's iterator takes no step before the first batch is asked for, and is closed when nobody has it any
more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from workerlib._javascript import values
from workerlib._javascript.values import from_javascript


class PageItems(AsyncIterator[Any]):
    """The items of an async iterable of the page (PEP 492). One task at a time takes its steps."""

    def __init__(self, source: Any) -> None:
        """Asks for nothing yet.

        Args:
            source: A `PageIterable` of javascript/src/worker.ts.
        """
        self._source = source
        self._items: deque[Any] = deque()
        self._is_stepping = False
        self._has_ended = False

    def __aiter__(self) -> PageItems:
        return self

    async def __anext__(self) -> Any:
        """Takes the next item.

        Raises:
            JsException: If the page's iterator throws; the items before it come first.
        """
        if self._is_stepping:
            raise RuntimeError("a step of the page's iterable is pending in another task: let one iterate")
        self._is_stepping = True
        try:
            while not self._items:
                if self._has_ended:
                    raise StopAsyncIteration
                await self._fetch()
            return self._items.popleft()
        finally:
            self._is_stepping = False

    async def _fetch(self) -> None:
        """Asks for the next items."""
        try:
            batch = await self._source.batch()
        except Exception:
            # The page's iterator has ended; a cancel does not end it.
            self._end()
            raise
        items, is_last = from_javascript(batch)
        if not self._has_ended:
            self._items.extend(items)
            if is_last:
                self._end()

    def _end(self) -> None:
        if not self._has_ended:
            self._has_ended = True
            self._source.release()

    async def aclose(self) -> None:
        """Closes the page's iterator, and waits until it has cleaned up.

        Raises:
            JsException: If it throws meanwhile.
        """
        self._items.clear()
        if not self._has_ended:
            self._has_ended = True
            await self._source.close()

    def __del__(self) -> None:
        if not getattr(self, "_has_ended", True):
            self._source.drop()


values.make_iterable = PageItems
