"""The worker of adapters.html: it tells what it received, and gives it back."""

import moduleName
import workerlib


@workerlib.export
def kinds(*args):
    return [f"{type(one).__module__}.{type(one).__qualname__}" for one in args]


@workerlib.export
def echo(*args, **kwargs):
    return args, kwargs


@workerlib.export
def seen():
    return [(type(data).__name__, data) for data in moduleName.seen]
