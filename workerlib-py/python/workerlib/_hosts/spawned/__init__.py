"""The host for workers that `spawn()` starts, in a browser or in Node."""
