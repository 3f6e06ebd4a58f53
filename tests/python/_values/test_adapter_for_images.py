"""The example of the seed document, word for word, with the real Pillow: an adapter for PIL.Image."""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import workerlib
from workerlib import Worker

from adapter_modules import Configure, configure

__all__ = ["configure"]

Connect = Callable[[], AbstractAsyncContextManager[Worker]]

pytest.importorskip("PIL.Image", reason="Pillow has no wheel for Pyodide on PyPI")

CONFIG = """
packages = ["Pillow",]

[files]
"./imageProcessor.py" = ""

[adapters]
"imageProcessor" = [
    ["Image", "imageRawEncoder", "imageFromBufferDecoder"],
    ["Transpose", "None", "None"],
]
"""
MODULE = """
from collections.abc import Iterable
from typing import Any

from PIL.Image import Image, Transpose, frombuffer

def imageRawEncoder(image: Image) -> tuple[str, tuple[int, int], bytes, str, str, int, int]:
    return (image.mode, image.size, image.tobytes(), 'raw', image.mode, 0, 1)

def imageFromBufferDecoder(data: Iterable[Any]) -> Image:
    return frombuffer(*data)
"""


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
async def test_the_example_for_images(
    connect: Connect, configure: Configure, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here's the possible operational adapter configuration for PIL.Image; Transpose needs no functions."""
    configure(CONFIG, imageProcessor=MODULE)
    from PIL import Image

    decoded: list[Any] = []
    made = sys.modules["imageProcessor"]
    monkeypatch.setattr(
        made, "frombuffer", lambda *data: decoded.append("frombuffer") or Image.frombuffer(*data)
    )

    def turn(image: Any, how: Any) -> Any:
        decoded.append((type(image), type(how)))
        return image.transpose(how)

    workerlib.export(turn)
    image = Image.radial_gradient("L").resize((60, 40)).convert(mode)
    how = Image.Transpose.ROTATE_90
    async with connect() as worker:
        turned = await worker.turn(image, how)
    assert decoded == ["frombuffer", (Image.Image, Image.Transpose), "frombuffer"]
    assert (turned.mode, turned.size) == (mode, (40, 60))
    assert turned.tobytes() == image.transpose(how).tobytes()


def test_the_guide_has_the_example_word_for_word() -> None:
    """docs/adapters.md shows what is tested here."""
    guide = (pathlib.Path(__file__).parents[3] / "docs" / "adapters.md").read_text(encoding="utf-8")
    assert CONFIG in guide.replace("```toml", "")
    assert MODULE in guide.replace("```text", "")
