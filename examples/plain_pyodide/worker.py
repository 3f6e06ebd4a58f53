"""The worker's script: ordinary functions, exported to the page."""

from workerlib import export


@export
def mean(values: list[float]) -> float:
    """Returns the arithmetic mean."""
    return sum(values) / len(values)


@export
def primes_below(limit: int) -> list[int]:
    """Lists the primes below a limit, by the sieve of Eratosthenes."""
    is_prime = bytearray([1]) * limit
    is_prime[:2] = b"\0\0"
    for number in range(2, int(limit**0.5) + 1):
        if is_prime[number]:
            multiples = range(number * number, limit, number)
            is_prime[number * number :: number] = bytes(len(multiples))
    return [number for number, prime in enumerate(is_prime) if prime]
