"""Images of Pillow arrive as themselves: natively with the real Pillow."""

from __future__ import annotations

import io
from typing import Any

import pytest

Image: Any = pytest.importorskip(
    "PIL.Image", reason="Pillow is not installed: in Pyodide its wheel is neither in npm nor in PyPI"
)

import workerlib
from workerlib import ConversionWarning, UnsendableError
from workerlib._native import decode, encode

import second_process
from same import assert_same_image
from trip import frame_of_extension, round_trip

MODES = [
    "1",
    "L",
    "P",
    "RGB",
    "RGBA",
    "CMYK",
    "YCbCr",
    "LAB",
    "HSV",
    "I",
    "F",
    "LA",
    "PA",
    "La",
    "RGBa",
    "RGBX",
]
MODES += ["I;16", "I;16B", "I;16L"]
SIZES = [(7, 5), (1, 1), (0, 0), (0, 4), (300, 200)]


def image_of(mode: str, size: tuple[int, int]) -> Any:
    """Makes an image whose pixels are not all the same."""
    image = Image.new(mode, size)
    count = len(image.tobytes())
    if count:
        image.frombytes(bytes(index * 7 % 251 for index in range(count)))
    if mode == "P":
        image.putpalette([channel for index in range(256) for channel in (index, 255 - index, 7)])
    return image


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_an_image_of_every_mode(mode: str, size: tuple[int, int]) -> None:
    """Each mode arrives, also in images that have no pixels."""
    image = image_of(mode, size)
    assert_same_image(round_trip(image), image)


def test_palettes() -> None:
    """Palettes of few colours, with transparency, and one that was made from colours."""
    few = Image.new("P", (4, 4))
    few.putpalette([1, 2, 3, 4, 5, 6])
    clear = Image.new("P", (4, 4), 1)
    clear.putpalette([1, 2, 3, 4, 5, 6, 7, 8], "RGBA")
    quantised = image_of("RGB", (40, 40)).quantize(16)
    quantised.info["transparency"] = 3
    for image in (few, clear, quantised):
        assert_same_image(round_trip(image), image)
        assert round_trip(image).convert("RGBA").tobytes() == image.convert("RGBA").tobytes()  # type: ignore[attr-defined]


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP"])
def test_an_image_of_a_file(file_format: str) -> None:
    """It arrives as an image in memory that knows its format, without a warning."""
    file = io.BytesIO()
    image_of("RGB", (20, 10)).save(file, file_format)
    opened = Image.open(io.BytesIO(file.getvalue()))
    assert type(opened) is not Image.Image
    back: Any = round_trip(opened)
    assert type(back) is Image.Image
    assert (back.mode, back.size, back.format) == (opened.mode, opened.size, file_format)
    assert back.tobytes() == opened.tobytes()
    assert encode(opened, strict=True)
    simple = (type(None), bool, int, float, str, bytes, tuple, list)
    assert {
        name: one for name, one in opened.info.items() if type(one) in simple
    }.items() <= back.info.items()


def test_info_is_of_builtin_types() -> None:
    """Texts of PNG that know their language become texts; what is nothing but a decoder's stays."""
    from PIL.PngImagePlugin import iTXt

    image = image_of("L", (2, 2))
    image.info = {
        "Title": iTXt("text", "en", "Titel"),
        "dpi": (72, 72.5),
        "icc_profile": b"x" * 40,
        "other": object(),
    }
    back: Any = round_trip(image)
    assert back.info == {"Title": "text", "dpi": (72, 72.5), "icc_profile": b"x" * 40}
    assert type(back.info["Title"]) is str


def test_what_arrives_can_be_drawn_on_and_pixels_go_out_of_band() -> None:
    """The image that arrives has memory of its own."""
    image = image_of("RGBA", (200, 100))
    data, buffers = encode(image)
    assert len(data) < 200
    assert [memoryview(buffer).nbytes for buffer in buffers] == [80_000]
    back: Any = decode(data, [bytes(memoryview(buffer)) for buffer in buffers])
    back.putpixel((3, 4), (1, 2, 3, 4))
    assert back.getpixel((3, 4)) == (1, 2, 3, 4)
    assert image.getpixel((3, 4)) != (1, 2, 3, 4)


def test_an_image_in_two_places_is_one() -> None:
    """An image that occurs twice in a value arrives as one object."""
    image = image_of("L", (3, 3))
    one, other = round_trip([image, image])  # type: ignore[misc]
    assert one is other


def test_an_enum_of_pillow_arrives_as_itself() -> None:
    """Pillow's enums travel as all enums do."""
    assert round_trip(Image.Transpose.ROTATE_90) is Image.Transpose.ROTATE_90


def test_a_subclass_of_somebody_else_arrives_as_an_image_with_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Subclasses of users arrive as those of builtin classes do; strict refuses them."""
    from workerlib._values import likenesses

    class Photo(Image.Image):  # type: ignore[misc]
        pass

    monkeypatch.setattr(likenesses, "_warned", set())
    photo = Photo()
    photo.__setstate__(image_of("L", (2, 2)).__getstate__())
    with pytest.raises(UnsendableError, match=r"PIL\.Image\.Image.*strict"):
        encode(photo, strict=True)
    with pytest.warns(ConversionWarning, match=r"Photo arrives as PIL\.Image\.Image"):
        assert_same_image(round_trip(photo), image_of("L", (2, 2)))


def test_to_another_process_and_back() -> None:
    """Which imports Pillow when the image comes, and not before."""
    images = [image_of(mode, (30, 20)) for mode in MODES]
    modules, back = second_process.there_and_back(images)
    assert "PIL" not in modules
    for one, image in zip(back, images, strict=True):
        assert_same_image(one, image)


RGB = ("RGB", (2, 2), bytes(12), None, {}, None)
HOSTILE: dict[str, tuple[object, ...]] = {
    "nothing": (),
    "a mode that is none": ("XYZ", *RGB[1:]),
    "a mode that is not a text": (5, *RGB[1:]),
    "a size that is a list": ("RGB", [2, 2], *RGB[2:]),
    "a size of three": ("RGB", (2, 2, 1), *RGB[2:]),
    "a size of floats": ("RGB", (2.0, 2), *RGB[2:]),
    "a size of bools": ("RGB", (True, True), bytes(3), None, {}, None),
    "a negative size": ("RGB", (-2, -2), *RGB[2:]),
    "more pixels than there are": ("RGB", (100_000, 100_000), *RGB[2:]),
    "fewer pixels than there are": ("RGB", (1, 2), *RGB[2:]),
    "rows without columns beyond memory": ("L", (0, 2**31 - 1), b"", None, {}, None),
    "columns without rows beyond memory": ("L", (2**62, 0), b"", None, {}, None),
    "pixels that are a text": ("L", (2, 2), "abcd", None, {}, None),
    "pixels that are a list": ("L", (2, 2), [0] * 4, None, {}, None),
    "a palette for an image that has none": ("L", (2, 2), bytes(4), ("RGB", bytes(6)), {}, None),
    "a palette of a mode that is none": ("P", (2, 2), bytes(4), ("XYZ", bytes(6)), {}, None),
    "a palette of too many colours": ("P", (2, 2), bytes(4), ("RGB", bytes(771)), {}, None),
    "a palette with a part of a colour": ("P", (2, 2), bytes(4), ("RGB", bytes(5)), {}, None),
    "a palette of numbers": ("P", (2, 2), bytes(4), ("RGB", [1, 2, 3]), {}, None),
    "a palette that is a number": ("P", (2, 2), bytes(4), 5, {}, None),
    "info that is none": ("L", (2, 2), bytes(4), None, [], None),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_images_that_lie(name: str) -> None:
    """Each is refused with a FrameError, before memory is asked for."""
    data, buffers = frame_of_extension(87, HOSTILE[name])
    with pytest.raises(workerlib.FrameError):
        decode(data, list(buffers))
