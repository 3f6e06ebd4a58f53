"""The page's script: hands the file to the worker, and fills the table."""

from html import escape

import js
import workerlib
from pyscript import document, when

file, sample, caption, body, status = (
    document.querySelector(name) for name in ("#file", "#sample", "#caption", "#columns", "#status")
)


async def show(name, content):
    status.textContent = f"Reading {name} …"
    try:
        columns = await worker.describe(content)
    except UnicodeDecodeError as error:
        status.textContent = f"{name} is not UTF-8 text: {error}"
        return
    caption.textContent = f"{name}: {len(columns)} columns"
    cells = [(*column, "" if mean is None else f"{mean:.2f}") for *column, mean in columns]
    body.innerHTML = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in cells
    )
    status.textContent = "Done."


@when("change", file)
async def on_file(event):
    chosen = event.target.files.item(0)
    await show(chosen.name, (await chosen.arrayBuffer()).to_bytes())


@when("click", sample)
async def on_sample(event):
    answer = await js.fetch("../../data/seattle-weather.csv")
    await show("seattle-weather.csv", (await answer.arrayBuffer()).to_bytes())


try:
    worker = await workerlib.connect("columns")
except workerlib.WorkerlibError as error:
    js.showTrouble(str(error))
    raise
status.textContent = "Ready."
file.disabled = sample.disabled = False
