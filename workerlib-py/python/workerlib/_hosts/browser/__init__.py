"""The browser's own means, for every worker in it: workers, locks, shared memory."""
