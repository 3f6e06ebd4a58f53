"""workerlib as a worker's whole script: `import workerlib.worker` exports what the configuration names.

The section `[exports]` of the worker's configuration lists modules and their functions, which stay as they
are. That is all that such a worker needs::

    <script type="py" worker name="stats" config="./worker.toml">import workerlib.worker</script>

What this Python runs on is printed to the console, as by the pure-Python library.
"""

from workerlib._hosts import configured_worker

configured_worker.start()
