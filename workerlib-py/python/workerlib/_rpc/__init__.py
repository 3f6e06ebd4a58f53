"""Calls over a connection: those of this side, those of the other side, and how calls are interrupted."""
