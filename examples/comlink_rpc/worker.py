"""The worker's script: ordinary functions, exported to the page."""

from workerlib import export


@export
def mean(values):
    """Returns the arithmetic mean."""
    return sum(values) / len(values)


@export
async def count_to(last, callback):
    """Counts; the callback is a function of the page's."""
    for number in range(1, last + 1):
        await callback(number)


@export
def loudest(samples):
    """Returns the largest amplitude; samples are a memoryview of the page's Float64Array."""
    return max(abs(sample) for sample in samples)
