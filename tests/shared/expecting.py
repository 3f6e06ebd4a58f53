"""`raises`: what `pytest.raises` does, for tests that also run where there is no pytest."""

from __future__ import annotations

import re
from types import TracebackType
from typing import Self


class raises:
    """Expects an exception in its `with` block, and keeps it as `value`."""

    value: BaseException

    def __init__(
        self, expected: type[BaseException] | tuple[type[BaseException], ...], match: str | None = None
    ) -> None:
        self.expected = expected
        self.match = match

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> bool:
        if error is None:
            raise AssertionError(f"{self.expected} was not raised")
        if not isinstance(error, self.expected):
            return False
        if self.match is not None and not re.search(self.match, str(error)):
            raise AssertionError(f"{str(error)!r} does not match {self.match!r}") from error
        self.value = error
        return True
