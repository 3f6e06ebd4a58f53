// Starts Pyodide and ends: `cargo xtask test` measures by it how slow the machine is.
//
//     node start.mjs PYODIDE_DIR
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const indexURL = resolve(process.argv[2]);
const { loadPyodide } = await import(pathToFileURL(join(indexURL, "pyodide.mjs")).href);
const pyodide = await loadPyodide({ indexURL });
pyodide.runPython("import asyncio, json");
process.exit(0);
