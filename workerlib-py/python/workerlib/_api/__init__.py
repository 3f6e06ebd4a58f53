"""What users call: `connect()`, `spawn()`, the `Worker` that they return, and its interface."""
