"""The page's script: connects to the worker, asks it what the controls ask, and has the answers shown.

Invariant: at most one quick question about the flights, and one to the model, is on its way; while it is, only the newest
wish is kept.
What is shown is view.py's, what is computed is desk.py's.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from sys import version_info
from typing import Any

import js
import pyodide

# <show>
import workerlib

# </show>
from pyscript import when

import view
from clock import Timed, now, timed
from here import Here

FLIGHTS = "flights-200k.json"


async def main() -> None:
    """Connects, reads the flights, asks the first question and then listens to the visitor."""
    view.stage("page", "ready", f"ready in {view.since_start()}")
    fetching = asyncio.ensure_future(fetched(f"./data/{FLIGHTS}", "flights"))
    try:
        # <show>
        worker = await workerlib.connect("flights")
        # </show>
    except workerlib.WorkerlibError:
        view.stage("worker", "failed", "not connected")
        raise
    view.stage("worker", "ready", f"connected in {view.since_start()}")
    page = Page(worker)
    await view.action()
    await page.open(FLIGHTS, await fetching, "flights")
    await page.ask_flights(view.question())
    listen(page)
    view.enable()
    await show_versions(worker)


class Page:
    """The visitor's page: the worker, the page's own desk, and what was asked last."""

    def __init__(self, worker: workerlib.Worker) -> None:
        self.worker = worker
        self.here = Here()
        self.files: dict[str, bytes] = {}
        self.files_here: set[str] = set()
        self.file = ""
        self.wish: dict[str, Any] | None = None
        self.busy_with_a_quick_question = False
        self.rows: Any = None
        self.is_stopped = False
        self.wishes: Wishes | None = None

    async def open(self, name: str, data: bytes, panel: str) -> dict[str, Any]:
        """Has a file read by the worker, and by the page too when its turn comes."""
        worker = self.worker
        self.files[name] = data
        self.files_here.discard(name)
        # <show>
        # A file's bytes go over once; its rows stay in the worker.
        # The worker reports how far it is, and that moves the bar.
        load = worker.load.options(on_report=partial(view.progress, panel))
        call = load(name, data)
        # </show>
        return (await timed(call)).answer

    async def ask_flights(self, question: dict[str, Any]) -> None:
        """Asks about the flights and draws the answer, unless a newer question comes before it."""
        self.wish = question
        while self.wish is not None and not self.busy_with_a_quick_question:
            question, self.wish = self.wish, None
            self.busy_with_a_quick_question = not question["resamples"]
            where = view.where()
            try:
                call = await self.delays(question)
            finally:
                self.busy_with_a_quick_question = False
            if call.answer is None:
                return
            view.delays(call.answer, question["metric"])
            view.timing(call, now(), where)
            rows = call.answer["rows"]
            view.finished(
                "flights",
                f"{rows:,} flights, {call.answer['matching']:,} of them counted {where}",
            )

    async def delays(self, question: dict[str, Any]) -> Timed:
        """Asks the worker's Python, or the page's own if the visitor wants to see that."""
        worker, here = self.worker, self.here
        if view.on_page():
            await self.before_standing_still(FLIGHTS, "flights")
        # <show>
        # The same question, to the worker's Python or the page's own.
        report = partial(view.progress, "flights")
        there = worker.delays.options(on_report=report)
        delays = here.delays if view.on_page() else there
        call = delays("flights-200k.json", **question)
        # </show>
        return await timed(call)

    async def ask_groups(self) -> None:
        """Asks about the visitor's file and draws the answer."""
        name, asked, where = self.file, view.grouping(), view.where()
        if view.on_page():
            await self.before_standing_still(name, "file")
        there = self.worker.groups.options(on_report=partial(view.progress, "file"))
        groups = self.here.groups if view.on_page() else there
        try:
            call = await timed(groups(name, *asked))
        except (ValueError, ArithmeticError) as error:
            view.file_error(name, error)
            view.finished(
                "file",
                "This question has no answer. Another file, or another column, may do.",
            )
            return
        if call.answer is None or name != self.file:
            return
        view.groups(call.answer, *asked)
        view.timing(call, now(), where)
        view.finished("file", f"{call.answer['rows']:,} rows in {call.answer['groups']:,} groups")

    async def fill_table(self) -> None:
        """Fills the table by distance until it is full, or the visitor stops it."""
        worker = self.worker
        self.is_stopped = False
        view.table_begins()
        # <show>
        # Each row is here as soon as it is computed.
        # The worker is at most four rows ahead of the page.
        self.rows = worker.bands.options(ahead=4)("flights-200k.json")
        async for row in self.rows:
            view.add_row(row)
        # </show>
        view.table_ends(self.is_stopped, (await worker.state())["rows_begun"])

    async def stop_table(self) -> None:
        """Ends the table where it stands."""
        self.is_stopped = True
        view.table_stops()
        # <show>
        # The Stop button: the worker's generator ends where it is.
        await self.rows.aclose()
        # </show>

    async def keep_model(self) -> None:
        """Has the worker make a model and asks it, until the visitor closes it."""
        worker = self.worker
        wishes = self.wishes = Wishes()
        view.model_begins()
        # <show>
        # The model stays in the worker. The page has a handle of it.
        async with await worker.Model("flights-200k.json") as model:
            async for hour, miles in wishes:
                answer = await model.like(hour, miles)
                view.model_answers(model, answer, wishes.count)
        # </show>
        self.wishes = None
        view.model_ends((await worker.state())["models"])

    async def open_own_file(self, name: str, data: bytes) -> None:
        """Reads the visitor's file and asks a first question; what is wrong with the file is shown, no more."""
        await view.action()
        view.no_file_error()
        try:
            table = await self.open(name, data, "file")
        # The worker read a stranger's file: whatever it raised is the answer.
        except Exception as error:  # noqa: BLE001
            view.file_error(name, error)
            view.finished("file", "The worker is fine. Try another file.")
            return
        if table is None:
            return
        self.file = name
        view.file(table)
        await self.ask_groups()
        rows, columns = table["rows"], len(table["columns"])
        view.finished("file", f"{rows:,} rows, {columns} columns, {len(data):,} bytes")

    async def before_standing_still(self, name: str, panel: str) -> None:
        """Says that the page is about to stop, and has its own Python read a file that only the worker has read."""
        view.progress(panel, "the page itself works and stands still", 0)
        await view.action()
        if name not in self.files_here:
            await self.here.load(name, self.files[name])
            self.files_here.add(name)


class Wishes:
    """The newest hour and distance of the visitor's flight, each time that they change."""

    def __init__(self) -> None:
        """Begins with the values that the sliders have now."""
        self.count = 0
        """How many wishes there were."""
        self._news = asyncio.Event()
        self._news.set()
        self._is_over = False

    def change(self) -> None:
        """Says that the sliders have moved."""
        self._news.set()

    def end(self) -> None:
        """Says that nothing more is wished."""
        self._is_over = True
        self._news.set()

    def __aiter__(self) -> "Wishes":
        return self

    async def __anext__(self) -> tuple[int, int]:
        await self._news.wait()
        self._news.clear()
        if self._is_over:
            raise StopAsyncIteration
        self.count += 1
        return view.flight()


async def fetched(url: str, panel: str) -> bytes:
    """Fetches a file of the site and shows how much of it has come."""
    response = await js.fetch(url)
    if not response.ok:
        raise OSError(f"{url}: the server answered {response.status}")
    size = int(response.headers.get("content-length") or 0)
    reader, data = response.body.getReader(), bytearray()
    while not (part := await reader.read()).done:
        data += part.value.to_bytes()
        if size:
            view.progress(panel, f"fetching {url.rpartition('/')[2]}", min(1.0, len(data) / size))
    return bytes(data)


def listen(page: Page) -> None:
    """Ties the page's controls to the questions."""

    @when("input", "#controls")
    async def dragging(event: Any) -> None:
        # While a slider moves only the quick part is asked, and only of the worker.
        if event.target.type == "range" and not view.on_page():
            with shown_errors():
                await page.ask_flights({**view.question(), "resamples": 0})

    @when("change", "#controls")
    @when("click", "#again")
    async def asking(event: Any) -> None:
        with shown_errors():
            await view.action()
            await page.ask_flights(view.question())

    @when("change", "#questions")
    async def grouping(event: Any) -> None:
        view.element("value-field").hidden = view.element("how").value == "count"
        with shown_errors():
            await view.action()
            await page.ask_groups()

    @when("click", "#table-start")
    async def filling(event: Any) -> None:
        with shown_errors():
            await view.action()
            await page.fill_table()

    @when("click", "#table-stop")
    async def stopping(event: Any) -> None:
        with shown_errors():
            await page.stop_table()

    @when("click", "#model-open")
    async def keeping(event: Any) -> None:
        with shown_errors():
            await view.action()
            await page.keep_model()

    @when("input", "#model-form")
    def wishing(event: Any) -> None:
        if page.wishes is not None:
            page.wishes.change()

    @when("click", "#model-close")
    def closing(event: Any) -> None:
        if page.wishes is not None:
            page.wishes.end()

    @when("change", "#file-input")
    async def choosing(event: Any) -> None:
        chosen = event.target.files
        if chosen.length:
            await opening(chosen.item(0))
        event.target.value = ""

    @when("drop", "body")
    async def dropping(event: Any) -> None:
        if event.dataTransfer.files.length:
            await opening(event.dataTransfer.files.item(0))

    @when("click", ".sample")
    async def sampling(event: Any) -> None:
        name = event.target.dataset.name
        with shown_errors():
            await page.open_own_file(name, await fetched(f"./data/{name}", "file"))

    async def opening(chosen: Any) -> None:
        with shown_errors():
            await page.open_own_file(chosen.name, (await chosen.arrayBuffer()).to_bytes())


async def show_versions(worker: workerlib.Worker) -> None:
    """Names in the footer what this page runs on."""
    package = await (await js.fetch("./pyscript/package.json")).json()
    there = await worker.versions()
    view.text("version-workerlib", workerlib.__version__)
    view.text(
        "version-python",
        f"{'.'.join(map(str, version_info[:3]))} here, {there['python']} in the worker",
    )
    view.text(
        "version-pyodide",
        f"{pyodide.__version__} here, {there['pyodide']} in the worker",
    )
    view.text("version-pyscript", package.version)
    view.text("version-isolated", "yes" if js.crossOriginIsolated else "no")


@contextmanager
def shown_errors() -> Iterator[None]:
    """Shows what went wrong on the page, beside the console's account of it."""
    try:
        yield
    except Exception as error:
        view.trouble(error)
        raise


with shown_errors():
    await main()  # noqa: F704, PLE1142 - PyScript runs a script's top level as a coroutine.
