"""The page's script: adds a row to the table for each value that arrives."""

import asyncio

import js
import workerlib
from pyscript import document, when

start, stop, rows, status = (document.querySelector(name) for name in ("#start", "#stop", "#rows", "#status"))
task = None


async def read():
    async with worker.find(20_000) as found:
        async for row in found:
            line = rows.insertRow()
            for cell in row:
                line.insertCell().textContent = cell


@when("click", start)
async def search(event):
    global task
    start.disabled, stop.disabled = True, False
    rows.replaceChildren()
    status.textContent = "Searching …"
    task = asyncio.ensure_future(read())
    try:
        await task
        status.textContent = f"Done: {rows.rows.length} found."
    except asyncio.CancelledError:
        status.textContent = f"Stopped at {rows.rows.length}."
    start.disabled, stop.disabled = False, True


@when("click", stop)
def end(event):
    task.cancel()


try:
    worker = await workerlib.connect("numbers")
except workerlib.WorkerlibError as error:
    js.showTrouble(str(error))
    raise
status.textContent = "Ready."
start.disabled = False
