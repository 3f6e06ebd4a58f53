// Spawns workers in a sandboxed frame, whose origin is opaque: in Python, and in JavaScript. Posts to the page what it saw.
import { loadPyodide } from "/workerlib/workerlib-pyodide.mjs?pyodide=/pyodide";
import { spawn } from "/workerlib/workerlib.js";

async function inPython() {
  const pyodide = await loadPyodide();
  await pyodide.loadPackage("workerlib", { messageCallback() {} });
  const source = await (await fetch("./sandboxed_frame.py")).text();
  return JSON.parse(await pyodide.runPythonAsync(`${source}\nawait see()`));
}

async function inJavaScript() {
  const worker = await spawn({ script: "./fresh_worker.py", pyodide: { indexURL: "/pyodide/" } });
  const doubled = await worker.double([1, 2]);
  const waiting = worker.wait().catch((error) => error.name);
  await worker.close_itself().catch(() => {});
  return { close_itself: [doubled, await waiting] };
}

const told = { origin: self.origin };
for (const [name, see] of Object.entries({ inPython, inJavaScript })) {
  told[name] = await see().catch((error) => ({ error: String(error) }));
}
parent.postMessage(told, "*");
