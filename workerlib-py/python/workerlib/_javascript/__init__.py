"""Python for pages in JavaScript: the worker's side, and the values of both languages."""
