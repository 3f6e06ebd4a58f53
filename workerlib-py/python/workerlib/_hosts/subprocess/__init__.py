"""The host for workers that are subprocesses, outside of a browser."""
