"""A page's script in MicroPython, which has no workerlib: it calls the worker by PyScript's own object."""

from pyscript import workers

worker = await workers["YourWorkerName"]
print("The worker says", await worker.func2("text"), await worker.func3(1, 2))
