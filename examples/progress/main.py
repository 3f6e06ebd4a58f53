"""The page's script: starts the calculation, and shows what it reports."""

import js
import workerlib
from pyscript import document, when

start, bar, status = (document.querySelector(name) for name in ("#start", "#progress", "#status"))


def show(done: int, total: int) -> None:
    bar.value = done / total
    status.textContent = f"{done} of {total} shares"


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
    pi = await worker.estimate_pi.options(on_report=show)(2_000_000)
    status.textContent = f"π is about {pi:.4f}."
    start.disabled = False
