"""A dask cluster of two processes on this machine, whose scheduler has a process of its own: this one.

    python cluster.py ALLOWED_FAILURES [PORT]

It prints the scheduler's address, and ends when its stdin does.
"""

from __future__ import annotations

import sys

import dask
from distributed import LocalCluster

if __name__ == "__main__":
    dask.config.set({"distributed.scheduler.allowed-failures": int(sys.argv[1])})
    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        scheduler_port=int(sys.argv[2]) if sys.argv[2:] else 0,
        dashboard_address=None,
    ) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
