"""Images of Pillow; imported only where Pillow is imported already, or comes in a frame.

An image of a file arrives as an image in memory: its pixels, its palette, its `info` and its `format`, of the
frame that it shows.
"""

from __future__ import annotations

import importlib
from typing import Any

from workerlib._values.row import RefusedError

# Without their types: whether Pillow is installed must not matter to who checks this package.
Image: Any = importlib.import_module("PIL.Image")

_BITS = {
    "1": 1,
    **dict.fromkeys(("L", "P"), 8),
    **dict.fromkeys(("LA", "PA", "La", "I;16", "I;16L", "I;16B", "I;16N"), 16),
    **dict.fromkeys(("RGB", "YCbCr", "LAB", "HSV"), 24),
    **dict.fromkeys(("RGBA", "RGBX", "RGBa", "CMYK", "I", "F"), 32),
}
"""The number of bits that a pixel takes in `tobytes()`, by mode; each row begins at a byte."""

_PALETTES = {"RGB": 3, "RGBA": 4}
"""The number of bytes that a colour of a palette takes, by the palette's mode."""

_EMPTY = 1_000
"""The greatest length of a side of an image without pixels: Pillow keeps an address for each of its rows."""

_SIMPLE = (type(None), bool, int, float, str, bytes)


def take_apart_image(image: Any) -> tuple[Any, ...]:
    """Gives mode, size, pixels, palette, info and format."""
    # An image of a file reads its pixels, and its palette, when they are asked for first.
    image.load()
    if image.mode not in _BITS:
        raise RefusedError(f"the mode {image.mode} is not supported: convert() it first")
    palette = None
    if image.mode in ("P", "PA") and image.palette is not None:
        mode = image.palette.mode
        palette = (mode, bytes(image.getpalette(mode) or ()))
    info = {name: simple for name, value in image.info.items() if (simple := _simple(value)) is not _NOT}
    return (image.mode, image.size, image.tobytes(), palette, info, image.format)


def without_subclass(image: Any) -> Any:
    """Gives the image of a subclass."""
    return image.copy()


def build_image(mode: Any, size: Any, content: Any, *rest: Any) -> Any:
    """Builds an image in memory."""
    palette, info, file_format = rest
    bits = _BITS.get(mode) if isinstance(mode, str) else None
    if bits is None or not isinstance(content, bytes) or type(info) is not dict:
        raise ValueError("an image has to have a known mode, bytes, and a dict of info")
    if not isinstance(size, tuple) or [type(length) for length in size] != [int, int] or min(size) < 0:
        raise ValueError(f"the size of an image cannot be {size!r}")
    width, height = size
    # Before there is memory for it: an image of any size may be announced.
    if (width * bits + 7) // 8 * height != len(content) or max(size) > len(content) * 8 + _EMPTY:
        raise ValueError(
            f"{len(content)} bytes do not fit an image of {width} x {height} pixels of mode {mode}"
        )
    image = Image.frombytes(mode, size, content) if content else Image.new(mode, size)
    if palette is not None:
        palette_mode, colours = palette
        step = _PALETTES[palette_mode]
        is_content = isinstance(colours, bytes) and len(colours) in range(0, 256 * step + 1, step)
        if mode not in ("P", "PA") or not is_content:
            raise ValueError("the palette does not fit the image")
        image.putpalette(colours, palette_mode)
    if file_format is not None:
        image.format = str(file_format)
    image.info = info
    return image


_NOT = object()


def _simple(value: Any) -> Any:
    """Gives a value of an image's info as one of builtin types; `_NOT` if that is impossible.

    Pillow's decoders put things of their own there: numbers of TIFF, texts of PNG that know their language.
    """
    if type(value) in _SIMPLE:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if type(value) in (tuple, list):
        values = [_simple(one) for one in value]
        return _NOT if any(one is _NOT for one in values) else type(value)(values)
    return _NOT
