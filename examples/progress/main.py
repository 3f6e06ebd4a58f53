"""The page's script: exports a function, and starts the calculation."""

import js
import workerlib
from pyscript import document, when

start, bar, status = (document.querySelector(name) for name in ("#start", "#progress", "#status"))


@workerlib.export
def show(done: float, pi: float) -> None:
    bar.value = done
    status.textContent = f"{done:.0%}, π is about {pi:.4f}"


try:
    worker = await workerlib.connect("darts")
except workerlib.WorkerlibError as error:
    js.showTrouble(str(error))
    raise
status.textContent = "Ready."
start.disabled = False


@when("click", start)
async def throw(event):
    start.disabled = True
    pi = await worker.estimate_pi(2_000_000)
    status.textContent = f"π is about {pi:.4f}."
    start.disabled = False
