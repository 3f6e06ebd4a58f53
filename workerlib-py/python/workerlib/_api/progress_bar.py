"""`tqdm`: the progress bar of that name, over the reports of this library, without a thread.

Its module is imported when the name is used first, because it needs the package tqdm. The bar is drawn by the
page, from the reports: see `report()` of `_rpc/reports.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workerlib._rpc.reports import report

try:
    from tqdm.std import tqdm as _tqdm
except ImportError:
    _tqdm = None


class _Nowhere:
    """A stream that drops what is written."""

    def write(self, _text: str) -> int:
        return 0

    def flush(self) -> None:
        pass


class _Reporting:
    """A tqdm whose display is a report."""

    monitor_interval = 0
    n: int
    total: int | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if _tqdm is None:
            raise ImportError(
                'workerlib.tqdm needs the package tqdm (packages = ["tqdm"]); workerlib.progress(…) does not'
            )
        # The original would draw into a stream; nothing is written there.
        super().__init__(*args, **{"file": _Nowhere(), **kwargs})

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        """Reports how many items are done, and of how many."""
        report(self.n, self.total)
        return True


if TYPE_CHECKING or _tqdm is None:

    class tqdm(_Reporting):  # noqa: N801 - the name of the original
        """A tqdm whose display is a report to the caller, who draws it: `on_report(done, total)`.

        Everything else is as in the original (https://tqdm.github.io), but there is no thread that refreshes
        the display: WebAssembly has none.

        Args:
            args: The arguments of the original, of which the first is the iterable.
            kwargs: The keyword arguments of the original.

        Raises:
            ImportError: If the package tqdm is not installed.
        """

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)

        def __iter__(self) -> Any:
            """Yields the items: `tqdm.__iter__`."""

        def update(self, n: float = 1) -> bool | None:
            """Notes that items are done: `tqdm.update`."""

        def close(self) -> None:
            """Ends the bar: `tqdm.close`."""

        def __enter__(self) -> Any:
            """Returns itself: `tqdm.__enter__`."""

        def __exit__(self, *_: object) -> None:
            """Ends the bar: `tqdm.__exit__`."""

else:
    tqdm = type("tqdm", (_Reporting, _tqdm), {"__doc__": _tqdm.__doc__, "__module__": "workerlib"})
