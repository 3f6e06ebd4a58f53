"""A worker's script that fails."""


def prepare():
    raise OSError(28, "no space left")


prepare()
