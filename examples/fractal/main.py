"""The page's script: a pool of workers paints the stripes, and each appears when it is ready."""

from time import perf_counter

import js
import workerlib
from pyodide.ffi import to_js
from pyscript import document, when

button, canvas, status = (document.querySelector(name) for name in ("#paint", "#picture", "#status"))
context = canvas.getContext("2d")


async def paint():
    button.disabled = True
    status.textContent = "Painting …"
    start = perf_counter()
    stripes = range(0, canvas.height, 10)
    async for top, pixels in pool.map(pool.stripe, stripes, ordered=False):
        data = js.ImageData.new(js.Uint8ClampedArray.new(to_js(pixels)), canvas.width, 10)
        context.putImageData(data, 0, top)
    status.textContent = f"Painted by {pool.size} workers in {perf_counter() - start:.1f} s."
    button.disabled = False


@when("click", button)
async def paint_again(event):
    await paint()


try:
    pool = await workerlib.pool("./worker.py", size=3)
except workerlib.WorkerlibError as error:
    js.showTrouble(str(error))
    raise
await paint()
