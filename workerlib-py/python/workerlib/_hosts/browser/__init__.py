"""The browser's own means that several hosts use: Web Workers, Web Locks, shared memory."""
