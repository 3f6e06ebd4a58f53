"""Calls the worker once, and notes after how many milliseconds of the visit it has answered."""

import js
import workerlib

worker = await workerlib.connect("bench", timeout=None)
assert await worker.echo(1) == 1
js.answered = js.performance.now()
