"""Endpoints: each carries frames and buffers between two Pythons."""
