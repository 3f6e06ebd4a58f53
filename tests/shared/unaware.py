"""A module that knows nothing of workers; configurations of the tests export and import what it has."""

FACTOR = 3


class Money:
    """A value that travels by adapters only."""

    __slots__ = ("amount",)

    def __init__(self, amount):
        self.amount = amount


def encode(money):
    return money.amount


async def triple(number):
    return number * FACTOR


def add(a, b=1):
    """Adds."""
    return a + b


def hidden():
    return "seen"
