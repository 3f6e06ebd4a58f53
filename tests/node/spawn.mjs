// Runs the shared suite over a worker that is spawned from Pyodide under Node, which is a worker thread, and what
// configurations say of such workers.
//
//     node spawn.mjs PYODIDE_DIR TESTS_DIR RECORDS_DIR [arguments ...]
//
// PYODIDE_DIR's lock file knows workerlib. The working directory becomes TESTS_DIR, where relative addresses start. In Pyodide's
// file system, which the arguments speak of, TESTS_DIR is /tests and RECORDS_DIR is /records. Exits with pytest's codes. Chooses no
// tests and judges none: that is the work of spawned.py and of the suite (tests/shared/suite.py).
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [pyodideDir, testsDir, recordsDir] = process.argv.slice(2, 5).map((path) => resolve(path));
if (!recordsDir) {
  console.error("usage: node spawn.mjs PYODIDE_DIR TESTS_DIR RECORDS_DIR [arguments ...]");
  process.exit(64);
}
process.chdir(testsDir);
const { WORKERLIB_TEST_PACE = "1", WORKERLIB_FULL = "1" } = process.env;
const { loadPyodide } = await import(pathToFileURL(`${pyodideDir}/pyodide.mjs`).href);
const env = { HOME: "/home/pyodide", WORKERLIB_TEST_PACE, WORKERLIB_FULL };
const pyodide = await loadPyodide({ indexURL: pyodideDir, env });
await pyodide.loadPackage("workerlib", { messageCallback() {} });
for (const [place, folder] of Object.entries({ "/tests": testsDir, "/records": recordsDir })) {
  pyodide.FS.mkdirTree(place);
  pyodide.mountNodeFS(place, folder);
}
pyodide.globals.set("arguments", pyodide.toPy(process.argv.slice(5)));
const code = await pyodide.runPythonAsync(`
import sys
sys.dont_write_bytecode = True
sys.path += ["/tests/python", "/tests/shared", "/tests/node"]
import spawned

await spawned.main(list(arguments))
`);
process.exit(code);
