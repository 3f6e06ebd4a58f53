"""The worker's script: a generator, whose values the page gets one by one."""

from collections.abc import Iterator

import workerlib


def sum_of_divisors(number: int) -> int:
    """Adds up what divides a number, the number itself left out."""
    small = [divisor for divisor in range(1, int(number**0.5) + 1) if number % divisor == 0]
    return sum({*small, *(number // divisor for divisor in small)}) - number


@workerlib.export
def find(limit: int) -> Iterator[tuple[int, str, int]]:
    """Finds numbers that are the sum of their divisors, and pairs that are each other's sum."""
    for number in range(2, limit):
        partner = sum_of_divisors(number)
        if partner == number:
            yield number, "perfect", number
        elif partner > number and sum_of_divisors(partner) == number:
            yield number, "amicable", partner
