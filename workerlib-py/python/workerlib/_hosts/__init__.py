"""Hosts: each finds or starts the other Python, and opens a channel to it."""
