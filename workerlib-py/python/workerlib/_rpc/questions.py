"""Has `input()` in a worker ask the page, and has the page answer.

The worker's side waits by `wait()`, where it can. A page may export a function `input` of its own, async or
not, which is asked in place of the host's: `prompt()` of a browser, or the terminal.
"""

from __future__ import annotations

import builtins
from typing import Any

from workerlib._errors import CannotBlockError, ConnectError
from workerlib._exports import built_in
from workerlib._rpc.incoming_call import current_call, serving_connections
from workerlib._rpc.waiting import wait

NAME = "workerlib.input"
"""The name by which the host's function of the page is called; no export of a user's has it."""

_read = builtins.input


def ask_page() -> None:
    """Has `input()` ask the page from now on, unless something else has replaced it."""
    if builtins.input is _read and not isinstance(_read, type(ask_page)):
        builtins.input = input_from_page


def answer_by(answer: Any) -> None:
    """Has this page answer what workers ask.

    Args:
        answer: Takes the text of the question, and returns the answer, or an awaitable of it.
    """
    built_in[NAME] = answer


def input_from_page(prompt: object = "", /) -> str:
    """Asks the page for a line of text: `input()` in a worker.

    Args:
        prompt: The question.

    Returns:
        The answer.

    Raises:
        EOFError: If the user gives no answer.
        CannotBlockError: If sync code cannot wait here; the message says what to do instead.
    """
    call = current_call.get()
    connections = serving_connections if call is None else [call.connection]
    if len(connections) != 1:
        raise ConnectError(
            "input() asks the page that makes the call, and no call says which page that is: use it in"
            " the code of a call"
        )
    connection: Any = connections[0]
    try:
        name = "input" if "input" in connection.functions_there else NAME
        answer = wait(connection.call(name, (str(prompt),), {}))
    except CannotBlockError as error:
        raise CannotBlockError(
            f"input() cannot wait for the page here: {error}; or have the page export a function that asks,"
            " and `await workerlib.page().ask(…)` in async code"
        ) from None
    if answer is None:
        raise EOFError("the question was not answered")
    return str(answer)
