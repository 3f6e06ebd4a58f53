"""Python's objects as values of a frame, and objects made of such values."""
