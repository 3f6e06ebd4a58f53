// Workers that start from a memory snapshot, spawned from Pyodide under Node: what they share, what they do not, and what
// happens where a snapshot is of no use.
//
//     node snapshot.mjs PYODIDE_DIR TESTS_DIR CACHE_DIR VISIT...
//
// PYODIDE_DIR's lock file knows workerlib. Snapshots are kept in CACHE_DIR, which is emptied. The tests are in
// snapshot_tests.py; each visit is a process of its own, so this file runs itself for each, with --visit in front of its
// name. A test's name may follow. Exits with 1 if one failed.
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [pyodideDir, testsDir, cacheDir] = process.argv.slice(2, 5).map((path) => resolve(path));
const visits = process.argv.slice(5);

if (visits[0] !== "--visit") {
  const counts = { passed: 0, FAILED: 0 };
  rmSync(cacheDir, { recursive: true, force: true });
  for (const name of visits) {
    const { status, stdout } = spawnSync(process.execPath, [process.argv[1], pyodideDir, testsDir, cacheDir, "--visit", name], {
      stdio: ["ignore", "pipe", "inherit"],
      encoding: "utf8",
      env: { ...process.env, XDG_CACHE_HOME: cacheDir },
    });
    console.log(stdout);
    for (const kind of Object.keys(counts)) counts[kind] += stdout.split("\n").filter((line) => line.startsWith(`${kind} `)).length;
    // It has ended otherwise than by a test.
    if (status !== 0 && !stdout.includes("FAILED ")) counts.FAILED += 1;
  }
  console.log(`${counts.passed} passed, ${counts.FAILED} failed in Node`);
  process.exit(counts.FAILED > 0 ? 1 : 0);
}

const [, visit, only = ""] = visits;
process.chdir(testsDir);
// A worker's warnings reach this process by its standard error, which Python cannot read.
globalThis.warnings = [];
process.stderr.write = (chunk) => (globalThis.warnings.push(String(chunk)), process.stdout.write(chunk));
// The modules that the interpreter module has in its snapshot.
const source = readFileSync(resolve(testsDir, "../workerlib-py/javascript/src/interpreter.ts"), "utf8");
globalThis.interpreterModules = [.../const MODULES = \[(.*?)\n\];/s.exec(source)[1].matchAll(/"([\w.]+)"/g)].map(([, name]) => name);
const { loadPyodide } = await import(pathToFileURL(`${pyodideDir}/pyodide.mjs`).href);
const { WORKERLIB_TEST_PACE = "1", WORKERLIB_FULL = "1" } = process.env;
const pyodide = await loadPyodide({ indexURL: pyodideDir, env: { HOME: "/home/pyodide", WORKERLIB_TEST_PACE, WORKERLIB_FULL } });
await pyodide.loadPackage("workerlib", { messageCallback() {} });
for (const [place, path] of [["/tests", testsDir], ["/cache", `${cacheDir}/workerlib`]]) {
  pyodide.FS.mkdirTree(place);
  if (visit !== "first" || place === "/tests") pyodide.mountNodeFS(place, path);
}
const failed = await pyodide.runPythonAsync(`
import sys
sys.path += ["/tests/node", "/tests/python", "/tests/shared"]
import snapshot_tests
await snapshot_tests.run(${JSON.stringify(visit)}, ${JSON.stringify(only)})
`);
process.exit(failed > 0 ? 1 : 0);
