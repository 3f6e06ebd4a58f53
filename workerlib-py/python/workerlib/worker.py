"""workerlib as a worker's whole script: `import workerlib.worker` exports what the configuration names.

The section `[exports]` of the worker's configuration lists modules and their functions, which need no change.
Such a worker needs nothing else::

    <script type="py" worker name="stats" config="./worker.toml">import workerlib.worker</script>

It prints the platform of this Python to the console, as the reference library does.
"""

from workerlib._hosts import configured_worker

configured_worker.start()
