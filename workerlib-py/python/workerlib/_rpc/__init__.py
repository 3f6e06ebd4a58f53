"""Calls over a connection: this side's, the other side's, and their interruption."""
