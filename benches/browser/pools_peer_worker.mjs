// A worker of pools_peer.mjs: runs a pickled call in a Pyodide, and answers with the pickled result or exception.
import { loadPyodide } from "../pyodide/pyodide.mjs";

const starting = loadPyodide();
const loaded = new Set();
let run;

self.onmessage = async ({ data: { payload, packages } }) => {
  const pyodide = await starting;
  const missing = ["cloudpickle", ...packages].filter((name) => !loaded.has(name));
  if (missing.length > 0) {
    await pyodide.loadPackage(missing, { messageCallback() {} });
    for (const name of missing) loaded.add(name);
  }
  run ??= pyodide.runPython(`
import inspect

import cloudpickle
from pyodide.ffi import to_js


async def run(payload):
    function, args, kwargs = cloudpickle.loads(payload.to_bytes())
    try:
        result = function(*args, **kwargs)
        if inspect.isawaitable(result):
            result = await result
        return to_js(["value", cloudpickle.dumps(result)])
    except BaseException as error:
        return to_js(["error", cloudpickle.dumps(error)])

run
`);
  const [outcome, bytes] = await run(new Uint8Array(payload));
  const { buffer } = bytes.slice();
  self.postMessage([outcome, buffer], [buffer]);
};
