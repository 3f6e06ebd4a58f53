"""Makes the suite callable from JavaScript: for people's buttons, and for `cargo xtask bench`."""

import json

import js
import peers
from pyodide.ffi import create_proxy
from suite import FULL, QUICK, Suite

connected = await peers.connect()


async def run(quick, only):
    """Measures, and returns the results as JSON."""
    suite = Suite(connected, QUICK if quick else FULL, js.bench.tell)
    return json.dumps(await suite.run(only.split(",") if only else ()))


js.bench.ready(create_proxy(run))
