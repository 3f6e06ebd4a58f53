"""The worker's script: filters of pixels, red, green, blue and alpha in turn."""

import workerlib

SHADES = bytes(range(256))
INVERTED = SHADES[::-1]
POSTER = bytes(85 * round(shade / 85) for shade in SHADES)
BRIGHTER = bytes(min(255, shade + shade // 4) for shade in SHADES)
DARKER = bytes(shade - shade // 4 for shade in SHADES)


@workerlib.export
def apply(name: str, pixels: bytes) -> bytes:
    """Returns the pixels of the filtered picture."""
    red, green, blue = pixels[0::4], pixels[1::4], pixels[2::4]
    if name == "grey":
        grey = bytes((3 * r + 6 * g + b) // 10 for r, g, b in zip(red, green, blue, strict=True))
        red = green = blue = grey
    elif name == "warm":
        red, blue = red.translate(BRIGHTER), blue.translate(DARKER)
    elif name in ("invert", "poster"):
        table = INVERTED if name == "invert" else POSTER
        red, green, blue = (channel.translate(table) for channel in (red, green, blue))
    filtered = bytearray(pixels)
    filtered[0::4], filtered[1::4], filtered[2::4] = red, green, blue
    return bytes(filtered)
