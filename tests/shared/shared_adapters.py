"""Values that pass through users' adapters arrive as what these make of them, whatever carries them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import workerlib
from workerlib import Worker

from expecting import raises


class Celsius:
    """The worker's script has a class of that name too, and an adapter under the same key."""

    def __init__(self, degrees: float) -> None:
        self.degrees = degrees


@dataclass
class Picture:
    """Its encoders and decoders are async, on both sides."""

    pixels: bytearray


async def _encode_picture(picture: Picture) -> bytearray:
    await asyncio.sleep(0)
    return picture.pixels


async def _decode_picture(pixels: bytearray) -> Picture:
    await asyncio.sleep(0)
    return Picture(pixels)


workerlib.register_adapter(Celsius, lambda value: value.degrees, Celsius, name="shared: Celsius")
workerlib.register_adapter(Picture, _encode_picture, _decode_picture, name="shared: Picture")


async def test_an_adapter_on_both_sides(worker: Worker) -> None:
    """The worker sees its own class, and what it returns arrives as the one of this side."""
    back = await worker.warm([Celsius(20.5), {"by": Celsius(1)}])
    assert type(back) is Celsius
    assert back.degrees == 21.5


async def test_async_adapters(worker: Worker) -> None:
    """They are awaited on both sides, for arguments and for results; large buffers pass beside the frame."""
    pictures = [Picture(bytearray([number]) * 100_000) for number in range(5)]
    back = await worker.invert(*pictures)
    assert [type(picture) for picture in back] == [Picture] * 5
    assert [picture.pixels for picture in back] == [bytearray([255 - n]) * 100_000 for n in range(5)]


async def test_many_calls_with_async_adapters(worker: Worker) -> None:
    """Each gets its own answer, those without an adapter among them."""
    calls = [worker.invert(Picture(bytearray([n]))) if n % 2 else worker.add(n, 1) for n in range(100)]
    for number, answer in enumerate(await asyncio.gather(*calls)):
        assert answer == ([Picture(bytearray([255 - number]))] if number % 2 else number + 1)


async def test_an_encoder_that_fails(worker: Worker) -> None:
    """Its error is the call's; nothing was sent, and the next call works."""
    picture = Picture(bytearray())
    del picture.pixels
    with raises(AttributeError, "pixels"):
        await worker.invert(picture)
    assert await worker.add(1, 2) == 3
