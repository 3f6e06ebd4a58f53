"""A module that knows nothing of workers."""


def func1(arg1, arg2=0, *args, kwarg1=None, **kwargs):
    """Returns what it was called with."""
    return arg1, arg2, args, kwarg1, kwargs


async def func2(text):
    return text.upper()


class Account:
    """A class whose instances stay where they are made."""

    owner = "nobody"

    def __new__(cls, balance):
        return {"balance": balance}

    @classmethod
    def bank(cls):
        return f"the bank of {cls.owner}"
