"""Names and tools of the reference library, which programs import from `workerlib`."""
