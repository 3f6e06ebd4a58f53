"""The document's YourModule1.py of Option #2, with names for its dots."""

from workerlib import export
from YourModule2 import func3, func4


def func1(a):
    return ["func1", a]


async def func2(a):
    return ["func2", a]


export(func1, func2)
export(func3, func4)
