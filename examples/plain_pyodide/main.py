"""The page's script: starts a worker, calls its functions, and shows what comes back."""

import time

import js
import workerlib

output = js.document.querySelector("#output")


def show(text):
    output.textContent += f"\n{text}"


show("loading the worker …")
async with workerlib.spawn("./worker.py", on_progress=lambda step: show(f"  {step}")) as worker:
    show(f"worker.mean([1.0, 2.5]) = {await worker.mean([1.0, 2.5])}")

    start = time.perf_counter()
    primes = await worker.primes_below(200_000)
    seconds = time.perf_counter() - start
    show(f"{len(primes):,} primes below 200,000 after {seconds:.2f} s; the page stayed alive")

    try:
        await worker.mean([])
    except ZeroDivisionError as error:
        show(f"worker.mean([]) raised {error!r}")
show("done")
