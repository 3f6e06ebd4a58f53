"""Support for pages in JavaScript: the worker's side, and the conversion of values."""
