"""The functions of the gallery; nothing in them tells that they run in a worker."""

from pictures import Picture, Transpose


def turn(picture: Picture, how: Transpose) -> Picture:
    if not isinstance(how, Transpose):
        raise TypeError(f"nothing can be turned {how}")
    assert how is Transpose.FLIP_LEFT_RIGHT
    width, _ = picture.size
    pixels = bytes(picture.pixels)
    rows = [pixels[start : start + width] for start in range(0, len(pixels), width)]
    return Picture(picture.mode, picture.size, b"".join(row[::-1] for row in rows))


async def film(pictures: list[Picture], title: str = "", frames: dict[str, Picture] | None = None) -> dict:
    assert all(isinstance(picture, Picture) for picture in pictures)
    return {"title": title.upper(), "pictures": pictures, "frames": frames}
