// Puts the modules of an unpacked wheel into two files, with the bytecode of one Pyodide's Python (bundle_modules.py).
//
//     node bundle_modules.mjs PYODIDE PACKAGE
//
// PYODIDE is the folder of that Pyodide, PACKAGE the package's folder.
import { readFileSync } from "node:fs";
import { basename, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [pyodideDir, packageDir] = process.argv.slice(2).map((path) => resolve(path));
const { loadPyodide } = await import(pathToFileURL(`${pyodideDir}/pyodide.mjs`).href);
// No columns, and no seed of this run's, in the bytecode.
const env = { PYTHONNODEBUGRANGES: "1", PYTHONHASHSEED: "0" };
const pyodide = await loadPyodide({ indexURL: pyodideDir, env });
const place = `/tree/${basename(packageDir)}`;
pyodide.FS.mkdirTree(place);
pyodide.mountNodeFS(place, packageDir);
pyodide.runPython(readFileSync(new URL("./bundle_modules.py", import.meta.url), "utf8"));
const bundle = pyodide.globals.get("bundle");
const count = bundle(pyodide.pyimport("pathlib").Path(place));
if (!(count > 0)) throw new Error(`${packageDir} has no modules`);
console.log(`${count} modules`);
process.exit(0);
