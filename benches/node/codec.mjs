// Runs benches/python/codec.py inside Pyodide under Node, and prints its JSON.
//
//     node codec.mjs PYODIDE_DIR [arguments of codec.py ...]
//
// PYODIDE_DIR's lock file knows workerlib. Measures nothing itself.
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const [pyodideDir, ...args] = process.argv.slice(2);
if (!pyodideDir) {
  console.error("usage: node codec.mjs PYODIDE_DIR [arguments of codec.py ...]");
  process.exit(64);
}
const indexURL = resolve(pyodideDir);
const { loadPyodide } = await import(pathToFileURL(join(indexURL, "pyodide.mjs")).href);
const pyodide = await loadPyodide({ indexURL, env: { HOME: "/home/pyodide", PYTHONDONTWRITEBYTECODE: "1" } });
const problems = [];
await pyodide.loadPackage("workerlib", {
  messageCallback: () => {},
  errorCallback: (text) => problems.push(text),
});
if (problems.length > 0) {
  console.error(`codec.mjs: ${indexURL}/pyodide-lock.json does not give workerlib:\n${problems.join("\n")}`);
  process.exit(1);
}
const here = dirname(fileURLToPath(import.meta.url));
pyodide.FS.mkdirTree("/bench");
pyodide.mountNodeFS("/bench", resolve(here, "../python"));
globalThis.processorSeconds = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};
pyodide.globals.set("bench_arguments", pyodide.toPy(args));
const result = await pyodide.runPythonAsync(`
import json, sys
sys.path.insert(0, "/bench")
import codec
json.dumps(codec.main(list(bench_arguments)), indent=2)
`);
console.log(result);
