// Runs benches/python/calls.py inside Pyodide under Node, and prints its JSON.
//
//     node calls.mjs PYODIDE_DIR [arguments of calls.py ...]
//
// PYODIDE_DIR's lock file knows workerlib. Measures nothing itself.
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const [pyodideDir, ...args] = process.argv.slice(2);
if (!pyodideDir) {
  console.error("usage: node calls.mjs PYODIDE_DIR [arguments of calls.py ...]");
  process.exit(64);
}
const indexURL = resolve(pyodideDir);
const { loadPyodide } = await import(pathToFileURL(join(indexURL, "pyodide.mjs")).href);
const pyodide = await loadPyodide({ indexURL, env: { HOME: "/home/pyodide", PYTHONDONTWRITEBYTECODE: "1" } });
const overlay = process.env.WORKERLIB_OVERLAY;
if (overlay) {
  // A folder that holds the package, for a comparison without a build.
  pyodide.FS.mkdirTree("/overlay");
  pyodide.mountNodeFS("/overlay", resolve(overlay));
  pyodide.runPython("import sys; sys.path.insert(0, '/overlay')");
} else {
  await pyodide.loadPackage("workerlib", { messageCallback: () => {} });
}
pyodide.FS.mkdirTree("/bench");
pyodide.mountNodeFS("/bench", resolve(dirname(fileURLToPath(import.meta.url)), "../python"));
globalThis.processorSeconds = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};
pyodide.globals.set("bench_arguments", pyodide.toPy(args));
console.log(
  await pyodide.runPythonAsync(`
import sys
sys.path.insert(0, "/bench")
import calls
await calls.main(list(bench_arguments))
`),
);
process.exit(0);
