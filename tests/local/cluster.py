"""A dask cluster of two workers on this machine, whose scheduler has a process of its own: this one.

    python cluster.py ALLOWED_FAILURES PORT WORKERS

The workers are "processes", or "threads" of this one: a process imports distributed for a second. It prints the
scheduler's address, and ends when its stdin does.
"""

from __future__ import annotations

import sys

import dask
from distributed import LocalCluster

if __name__ == "__main__":
    dask.config.set(
        {
            "distributed.scheduler.allowed-failures": int(sys.argv[1]),
            # A cluster gives up a worker that died and is not there again after 15 s by default. On a busy machine
            # a process starts for longer, and every later test would miss its worker.
            "distributed.deploy.lost-worker-timeout": "1 hour",
        }
    )
    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=sys.argv[3] == "processes",
        host="127.0.0.1",
        protocol="tcp://",
        scheduler_port=int(sys.argv[2]),
        dashboard_address=None,
    ) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
