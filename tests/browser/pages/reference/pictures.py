"""Pictures, and how they go from the page to a worker: a module of both sides."""

from asyncio import sleep
from collections.abc import Iterable
from enum import IntEnum
from typing import Any


class Transpose(IntEnum):
    FLIP_LEFT_RIGHT = 0
    ROTATE_90 = 2
    ROTATE_270 = 4


class Picture:
    def __init__(self, mode: str, size: tuple[int, int], pixels: bytes) -> None:
        self.mode = mode
        self.size = tuple(size)
        self.pixels = pixels


async def pictureEncoder(picture: Picture) -> tuple[str, tuple[int, int], memoryview]:
    await sleep(0.01)  # As a browser's own compression would
    return (picture.mode, picture.size, memoryview(picture.pixels))


async def pictureDecoder(data: Iterable[Any]) -> Picture:
    await sleep(0.01)
    return Picture(*data)


def inverse(how: Transpose) -> Transpose:
    return Transpose((6 - how) % 6)
