"""Objects of JavaScript's that go to the other side themselves, without a copy.

A transferable object (https://developer.mozilla.org/docs/Web/API/Web_Workers_API/Transferable_objects) moves:
the sender's own is detached, or closed, from then on. It is a value like others: an argument, a result, or
anywhere within one. The other side gets the object, as a JsProxy.
"""

from __future__ import annotations

from typing import Any, final

from workerlib._values.row import RefusedError

KINDS = frozenset(
    {
        "ArrayBuffer",
        "AudioData",
        "DataView",
        "ImageBitmap",
        "MediaSourceHandle",
        "MessagePort",
        "MIDIAccess",
        "OffscreenCanvas",
        "ReadableStream",
        "RTCDataChannel",
        "TransformStream",
        "VideoFrame",
        "WebTransportReceiveStream",
        "WebTransportSendStream",
        "WritableStream",
    }
)
"""The transferable types of the web platform, and what stands on an ArrayBuffer."""


def transfer(value: Any) -> Transfer:
    """Marks an object of JavaScript's to be moved to the other side: `await worker.draw(transfer(canvas))`.

    Args:
        value: An ArrayBuffer, a typed array or a DataView (whose whole buffer moves), an ImageBitmap,
            OffscreenCanvas, MessagePort, ReadableStream, WritableStream, TransformStream, VideoFrame,
            AudioData or another transferable object, as Python has it: a JsProxy.

    Returns:
        A value to send in its place; the other side gets the object itself, as a JsProxy. The sender's is
        detached once the call, or the result, has been sent.

    Raises:
        TypeError: If the object is not of JavaScript's, or cannot be transferred.
        ValueError: If it is detached: it was transferred before.
    """
    kind = _kind(value)
    if kind is None:
        raise TypeError(
            f"{type(value).__name__!r} object is not one of JavaScript's that can be transferred: values of"
            " Python's are sent as they are, without transfer()"
        )
    if kind not in KINDS and not kind.endswith("Array"):
        raise TypeError(f"a {kind} of JavaScript's cannot be transferred: only {', '.join(sorted(KINDS))}")
    if _is_detached(value):
        raise ValueError(f"the {kind} is detached: it was transferred before")
    return Transfer(value, kind)


@final
class Transfer:
    """An object that is to be moved; `transfer()` makes it."""

    __slots__ = ("_kind", "_value")

    def __init__(self, value: Any, kind: str) -> None:
        """Wraps an object of that JavaScript class."""
        self._value = value
        self._kind = kind

    def __repr__(self) -> str:
        return f"<workerlib.transfer({self._kind})>"

    def check(self) -> None:
        """Refuses an object that is gone already.

        Raises:
            RefusedError: If it was transferred before.
        """
        if self._value is None or _is_detached(self._value):
            raise RefusedError(f"the {self._kind} was transferred before: it is on the other side")

    def take(self) -> Any:
        """Gives the object away: None if that was done before."""
        value, self._value = self._value, None
        return value


def _kind(value: Any) -> str | None:
    """Names the JavaScript class of an object; None if it is not of JavaScript's."""
    try:
        from pyodide.ffi import JsProxy
    except ImportError:
        return None
    if not isinstance(value, JsProxy):
        return None
    tag: str = value.constructor.name
    return tag


def _is_detached(value: Any) -> bool:
    buffer = getattr(value, "buffer", value)
    return bool(getattr(buffer, "detached", False))
