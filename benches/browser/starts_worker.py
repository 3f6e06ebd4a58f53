"""The script of the workers whose start is measured."""

import workerlib


@workerlib.export
def echo(value):
    return value
