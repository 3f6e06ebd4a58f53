"""The worker of the picture in docs/tracing.md."""

import workerlib


@workerlib.export
def count_primes(start: int, stop: int) -> int:
    """Counts the primes from a number to another."""
    return sum(
        n > 1 and all(n % divisor for divisor in range(2, int(n**0.5) + 1)) for n in range(start, stop)
    )


@workerlib.export
def reverse(data: bytes) -> bytes:
    """Returns bytes in the opposite order."""
    return data[::-1]


@workerlib.export
async def label(name: str) -> str:
    """Returns a name and its unit, which the page knows."""
    return f"{name} [{await workerlib.page().unit_of(name)}]"
