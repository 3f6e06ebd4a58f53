"""Makes connections that trace, and shows their calls where the host has a place for them.

It is imported by every host, and imports what traces only where a configuration says `trace = true`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workerlib._rpc.tracing import TracedConnection


def traced_connection() -> type[TracedConnection]:
    """Returns the class of connections that trace, and shows each call of theirs that ends from now on.

    In a browser and in Node the performance timeline shows them, elsewhere OpenTelemetry if it is installed.
    """
    from workerlib._rpc.tracing import TracedConnection

    if sys.platform == "emscripten":
        from workerlib._hosts.browser.performance_spans import show_traces

        show_traces()
    else:
        from workerlib._hosts.open_telemetry import export_traces

        export_traces()
    return TracedConnection
