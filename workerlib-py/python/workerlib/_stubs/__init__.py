"""Reads workers' scripts and writes their interfaces: the parts of `workerlib.stubs`."""
