"""Where a value stands that cannot be sent, in the words of a pool's user.

A pool sends values inside of calls of its own. Errors name the places that the user has written.
"""

from __future__ import annotations

from workerlib._errors import UnsendableError


def placed(error: UnsendableError, ours: str, theirs: str) -> UnsendableError:
    """Returns the error with the user's name for the place.

    Args:
        error: An error of a call that a pool has made.
        ours: How the place begins in that call, such as `args[1]`.
        theirs: How it begins for the user, such as `args`.
    """
    if not error.path.startswith(ours):
        return error
    return UnsendableError(theirs + error.path.removeprefix(ours), error.type_name, error.reason)
