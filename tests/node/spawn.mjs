// Runs the shared suite over a worker that is spawned from Pyodide under Node, which is a worker thread, and what
// configurations say of such workers.
//
//     node spawn.mjs PYODIDE_DIR TESTS_DIR
//
// PYODIDE_DIR's lock file knows workerlib. The working directory becomes TESTS_DIR, where relative addresses start. Exits
// with 1 if a test failed. Chooses no tests and judges none: that is the suite's work (tests/shared/suite.py).
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [pyodideDir, testsDir] = process.argv.slice(2).map((path) => resolve(path));
process.chdir(testsDir);
const { loadPyodide } = await import(pathToFileURL(`${pyodideDir}/pyodide.mjs`).href);
const pyodide = await loadPyodide({ indexURL: pyodideDir });
await pyodide.loadPackage("workerlib", { messageCallback() {} });
pyodide.FS.mkdirTree("/tests");
pyodide.mountNodeFS("/tests", testsDir);

const failed = await pyodide.runPythonAsync(`
import asyncio, sys, traceback
sys.path += ["/tests/python", "/tests/shared"]
import suite, workerlib

def connect(**options):
    return workerlib.spawn("./shared/worker.py", name="bench", **options)

failed = 0
async with connect() as worker:
    for name in suite.TESTS:
        try:
            async with asyncio.timeout(60):
                await suite.run(name, worker, connect)
        except BaseException:
            failed += 1
            print(f"FAILED {name}")
            traceback.print_exc(file=sys.stdout)

import configured
configurations = [name for name in vars(configured) if name.startswith("test_")]
for name in configurations:
    try:
        async with asyncio.timeout(120):
            await getattr(configured, name)("./shared/")
    except BaseException:
        failed += 1
        print(f"FAILED {name}")
        traceback.print_exc(file=sys.stdout)

mishaps = {
    "a missing script": (dict(script="./shared/nowhere.py"), workerlib.WorkerStartError, "nowhere.py"),
    "an unknown package": (dict(packages=["no-such-package-at-all"]), workerlib.WorkerStartError, "no-such-package"),
    "too little time": (dict(timeout=0.001), workerlib.ConnectTimeoutError, "within 0.001 seconds"),
}
for name, (options, expected, message) in mishaps.items():
    try:
        await workerlib.spawn(**{"script": "./shared/worker.py", **options})
        text = "nothing was raised"
    except expected as error:
        text = str(error)
    if message not in text:
        failed += 1
        print(f"FAILED {name}: {text}")
print(f"{len(suite.TESTS) + len(configurations) + len(mishaps) - failed} passed, {failed} failed in Node")
failed
`);
process.exit(failed > 0 ? 1 : 0);
