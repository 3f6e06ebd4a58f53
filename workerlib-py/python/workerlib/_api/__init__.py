"""The functions that users call: `connect()`, `spawn()`, and the `Worker` that they return."""
