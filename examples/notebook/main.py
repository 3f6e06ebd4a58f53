"""The page's script: runs the cell, and stops it."""

import asyncio

import js
import workerlib
from pyscript import document, when

code, run, stop, output, status = (
    document.querySelector(name) for name in ("#code", "#run", "#stop", "#output", "#status")
)
task = None
try:
    worker = await workerlib.connect("cell")
except workerlib.WorkerlibError as error:
    js.showTrouble(str(error))
    raise
status.textContent = "Ready."
run.disabled = False


@when("click", run)
async def run_cell(event):
    global task
    run.disabled, stop.disabled = True, False
    status.textContent = "Running …"
    task = asyncio.ensure_future(worker.run(code.value))
    try:
        output.textContent = await task
        status.textContent = "Done."
    except asyncio.CancelledError:
        status.textContent = "Stopped."
    except workerlib.WorkerDiedError:
        await worker.restart()
        status.textContent = "Stopped. The new worker has no variables."
    run.disabled, stop.disabled = False, True


@when("click", stop)
def stop_cell(event):
    # A page that is not isolated cannot interrupt Python, only end its worker.
    task.cancel() if js.crossOriginIsolated else worker.terminate()
