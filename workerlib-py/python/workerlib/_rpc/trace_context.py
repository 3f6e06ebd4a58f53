"""Names the trace that a call belongs to, and the span in it: W3C's `traceparent`.

A traced call carries this text to the other side (wire format, section 5). By it, the spans of both sides and
of the calls that the function itself makes belong together. https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

_PARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16


@dataclass(frozen=True)
class TraceContext:
    """A span of a trace."""

    trace_id: str
    """The trace: 32 hexadecimal digits."""
    span_id: str
    """The span: 16 hexadecimal digits."""
    is_sampled: bool = True
    """Whether the trace is recorded."""

    @classmethod
    def below(cls, parent: TraceContext | None) -> TraceContext:
        """Makes a new span: in the parent's trace, or in a trace of its own.

        Args:
            parent: The span in which the new one begins, if there is one.
        """
        span_id = os.urandom(8).hex()
        if parent is None:
            return cls(os.urandom(16).hex(), span_id)
        return cls(parent.trace_id, span_id, parent.is_sampled)

    @classmethod
    def read(cls, text: str | None) -> TraceContext | None:
        """Reads a `traceparent`; None if the text is not one, since another side may send any text.

        Args:
            text: The text that the other side has sent; None if it has sent none.
        """
        found = _PARENT.fullmatch(text) if text is not None else None
        if found is None or found[1] == _NO_TRACE or found[2] == _NO_SPAN:
            return None
        return cls(found[1], found[2], bool(int(found[3], 16) & 1))

    def __str__(self) -> str:
        """Returns it as a `traceparent`."""
        return f"00-{self.trace_id}-{self.span_id}-{self.is_sampled:02x}"
