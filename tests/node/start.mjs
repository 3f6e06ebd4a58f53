// Starts Pyodide, writes how many seconds of processor time that took, and ends: `cargo xtask test` measures by it how slow the
// machine is.
//
//     node start.mjs PYODIDE_DIR
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const indexURL = resolve(process.argv[2]);
const { loadPyodide } = await import(pathToFileURL(join(indexURL, "pyodide.mjs")).href);
const pyodide = await loadPyodide({ indexURL });
pyodide.runPython("import asyncio, json");
const { user, system } = process.cpuUsage();
console.log((user + system) / 1e6);
process.exit(0);
