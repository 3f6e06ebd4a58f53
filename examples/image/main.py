"""The page's script: draws the picture, and has it filtered."""

from time import perf_counter

import js
import workerlib
from pyodide.ffi import to_js
from pyscript import document, when

choice, file, sun, canvas, status = (
    document.querySelector(name) for name in ("#filter", "#file", "#sun", "#picture", "#status")
)
context = canvas.getContext("2d", willReadFrequently=True)
original = b""


async def apply():
    start = perf_counter()
    pixels = await worker.apply(choice.value, original)
    data = js.ImageData.new(js.Uint8ClampedArray.new(to_js(pixels)), canvas.width, canvas.height)
    context.putImageData(data, 0, 0)
    status.textContent = f"{len(original) // 4:,} pixels in {1000 * (perf_counter() - start):.0f} ms."


async def show(picture):
    global original
    context.drawImage(picture, 0, 0, canvas.width, canvas.height)
    original = context.getImageData(0, 0, canvas.width, canvas.height).data.to_bytes()
    await apply()


@when("change", choice)
async def on_choice(event):
    await apply()


@when("change", file)
async def on_file(event):
    await show(await js.createImageBitmap(event.target.files.item(0)))


try:
    worker = await workerlib.connect("filters")
except workerlib.WorkerlibError as error:
    js.showTrouble(str(error))
    raise
await show(sun)
choice.disabled = file.disabled = False
