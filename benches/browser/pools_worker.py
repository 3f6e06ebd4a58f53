"""The script of the workers of pools whose tasks are measured."""

import time

import workerlib


@workerlib.export
def spin(seconds):
    """Computes for so long."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


@workerlib.export
def echo(value):
    return value
