"""The script of a worker that exports a function by a name that every worker has."""

from workerlib import export


@export(name="call")
def named_like_a_member(value):
    return ["the function", value]
