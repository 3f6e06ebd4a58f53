"""Python's objects as values that travel, and as objects again."""
