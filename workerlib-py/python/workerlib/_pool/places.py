"""Names the place of a value that cannot be sent, as the user of a pool has written it.

A pool sends the user's values inside of calls of its own, whose places the user does not know.
"""

from __future__ import annotations

from workerlib._errors import UnsendableError


def placed(error: UnsendableError, ours: str, theirs: str) -> UnsendableError:
    """Returns the error with the user's name for the place.

    Args:
        error: An error of a call that a pool has made.
        ours: The beginning of the place in that call, such as `args[1]`.
        theirs: The beginning for the user, such as `args`.
    """
    if not error.path.startswith(ours):
        return error
    return UnsendableError(theirs + error.path.removeprefix(ours), error.type_name, error.reason)
