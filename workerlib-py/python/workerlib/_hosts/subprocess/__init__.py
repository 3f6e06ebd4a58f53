"""A worker that is a subprocess, outside of a browser."""
