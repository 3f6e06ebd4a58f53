"""The page's script: a pool of workers paints the stripes, also while the visitor kills its workers.

The first worker begins while the others start. When all are there, they paint the picture together.
"""

import js
import workerlib
from pyscript import document, ffi, when

canvas, status, workers, again = map(document.querySelector, ("#picture", "#status", "#workers", "#paint"))
known, victims, paper = [], [], canvas.getContext("2d")


def show_worker(colour):
    """Adds a button that kills a worker, and goes with it."""
    known.append(colour)
    button = document.createElement("button")
    button.textContent = f"Kill worker {len(known)}"
    button.style.borderLeft = f"1rem solid rgb({', '.join(map(str, colour))})"
    workers.append(button)

    @when("click", button)
    def kill():
        button.remove()
        victims.append(colour)
        pool.share(victims=victims)


@when("click", again)
async def paint():
    again.disabled = True
    paper.clearRect(0, 0, canvas.width, canvas.height)
    stripes = pool.map(pool.stripe, range(0, canvas.height, 10), ordered=False)
    async for top, colour, pixels in stripes:
        if colour not in known:
            show_worker(colour)
        paper.putImageData(js.ImageData.new(js.Uint8ClampedArray.new(ffi.to_js(pixels)), 480), 0, top)
        status.textContent = f"Painting: {stripes.done} of {stripes.total} stripes"
    status.textContent = f"Painted {stripes.done} stripes; workers started anew: {pool.stats().restarts}."
    again.disabled = False


try:
    # The visitor may kill as many workers as he likes, also while they paint the same stripe.
    pool = await workerlib.pool("./worker.py", size=3, max_restarts=None, poison_after=None)
except workerlib.WorkerlibError as error:
    js.showTrouble(str(error))
    raise
while pool.stats().starting:
    await paint()
await paint()
