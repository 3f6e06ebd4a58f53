"""Keeps the garbage collector from looking at a large value as soon as it has been built.

Python collects when so many more containers were made than freed (`gc.get_threshold()`). A decoded value may
have more than that, and is not garbage yet. Rust calls `spare()` when it has built one: the next collection
comes when the program has made as many containers of its own as without the value. Nothing here turns the
collector on or off.
"""

from __future__ import annotations

import gc

_MOST = 250_000
"""So many containers are spared at most: as many may then become garbage before Python looks for it."""
_raised = 0
"""The threshold that this module has set; 0 if the threshold is the program's."""
_usual = 0
"""The program's threshold meanwhile."""


def spare(containers: int) -> None:
    """Has so many containers not count until the next collection: those that have just been built."""
    global _raised, _usual
    threshold = gc.get_threshold()[0]
    # The program may have set another one.
    usual = _usual if _raised and threshold == _raised else threshold
    if usual == 0:
        return
    counted = gc.get_count()[0]
    # An earlier value may have been freed.
    needed = usual + min(containers, _MOST) if counted > usual else usual
    # Or it is still there, and larger.
    if needed == threshold or needed < threshold < counted + usual:
        return
    gc.set_threshold(needed)
    _raised, _usual = needed, usual
    if _restore not in gc.callbacks:
        gc.callbacks.append(_restore)


def _restore(phase: str, _info: dict[str, int]) -> None:
    """Gives the program its threshold back, when a collection begins."""
    global _raised
    if _raised and phase == "start":
        if gc.get_threshold()[0] == _raised:
            gc.set_threshold(_usual)
        _raised = 0
