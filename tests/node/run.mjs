// Runs the pytest suite of tests/python inside Pyodide under Node.
//
//     node run.mjs PYODIDE_DIR WHEELS_DIRS TESTS_DIR RECORDS_DIR [pytest arguments ...]
//
// PYODIDE_DIR's lock file knows workerlib; WHEELS_DIRS, as a PATH is written, hold the wheels that the suite needs
// (pytest and what it imports). In Pyodide's file system, which the arguments for pytest speak of, TESTS_DIR is /tests/python and
// RECORDS_DIR is /records. Two runs: the canary (tests that must fail, to show that async tests are really awaited), then the suite.
// Exits with pytest's code, with 70 if the canary did not fail as it must, or with 71 if the suite did not end. Chooses no tests and
// judges none: that is driver.py's and pytest's work. Who starts it ends it if it is stuck: it names each test before it runs it.
import { readdirSync } from "node:fs";
import { basename, delimiter, dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const CANARY_PASSED = 70;
const STUCK = 71;

// Node would print the whole of Pyodide's minified source line above the message.
process.on("uncaughtException", (error) => {
  console.error(`run.mjs: ${error.stack ?? error}`);
  process.exit(1);
});

const [pyodideDir, wheelsDirs, testsDir, recordsDir, ...pytestArgs] = process.argv.slice(2);
if (!recordsDir) {
  console.error("usage: node run.mjs PYODIDE_DIR WHEELS_DIRS TESTS_DIR RECORDS_DIR [pytest arguments ...]");
  process.exit(64);
}

const here = dirname(fileURLToPath(import.meta.url));
const indexURL = resolve(pyodideDir);
const { WORKERLIB_TEST_PACE = "1", WORKERLIB_FULL = "1" } = process.env;
const env = { HOME: "/home/pyodide", PYTHONDONTWRITEBYTECODE: "1", WORKERLIB_TEST_PACE, WORKERLIB_FULL };
const { loadPyodide } = await import(pathToFileURL(join(indexURL, "pyodide.mjs")).href);
const pyodide = await loadPyodide({ indexURL, env });

// The tests read ../vectors and ../../docs, so these stand as they do in the repository.
const folders = {
  "/tests": resolve(testsDir, ".."),
  "/docs": resolve(testsDir, "../../docs"),
  "/runner": here,
  "/records": resolve(recordsDir),
  ...Object.fromEntries(wheelsDirs.split(delimiter).map((folder) => [`/wheels/${basename(folder)}`, resolve(folder)])),
};
for (const [place, folder] of Object.entries(folders)) {
  pyodide.FS.mkdirTree(place);
  pyodide.mountNodeFS(place, folder);
}

const problems = [];
await pyodide.loadPackage("workerlib", {
  messageCallback: () => {},
  errorCallback: (text) => problems.push(text),
});
if (problems.length > 0) {
  console.error(`run.mjs: ${indexURL}/pyodide-lock.json does not give workerlib:\n${problems.join("\n")}`);
  process.exit(1);
}

const wheels = Object.entries(folders)
  .filter(([place]) => place.startsWith("/wheels/"))
  .flatMap(([place, folder]) => readdirSync(folder).map((name) => `${place}/${name}`))
  .filter((path) => path.endsWith(".whl"));
pyodide.globals.set("wheels", pyodide.toPy(wheels));
await pyodide.runPythonAsync(`
import site, sys, zipfile
for wheel in wheels:
    zipfile.ZipFile(wheel).extractall(site.getsitepackages()[0])
del wheels
sys.path.insert(0, "/runner")
import driver
`);

async function pytest(args) {
  pyodide.globals.set("pytest_args", pyodide.toPy(args));
  return pyodide.runPythonAsync("await driver.main(list(pytest_args))");
}

const version = `Pyodide ${pyodide.version} under Node ${process.versions.node}`;
const canaryHolds = await pyodide.runPythonAsync('await driver.canary_fails("/tests/python/canary")');
if (!canaryHolds) {
  console.error(`run.mjs: ${version}: the canary did not fail as it must, so a passing suite would prove nothing`);
  process.exit(CANARY_PASSED);
}
console.log(`${version}: the canary failed as it must`);
// Node ends by itself, and well, when a test waits for something that cannot come.
process.exitCode = STUCK;
const code = await pytest(pytestArgs);
process.exit(code);
