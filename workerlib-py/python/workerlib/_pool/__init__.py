"""Many workers that run the same script: the pool behind `workerlib.pool()`."""
