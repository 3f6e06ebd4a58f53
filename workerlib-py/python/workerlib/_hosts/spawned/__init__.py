"""A worker that `spawn()` starts, in a browser or in Node."""
