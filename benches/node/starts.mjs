// Measures how workers start under Node, with and without a memory snapshot, and prints rows and goals as JSON.
//
//     node starts.mjs PYODIDE_DIR [--quick]
//
// PYODIDE_DIR's lock file knows workerlib. The functions that start workers are those of benches/browser/starts_page.py. The
// snapshot is kept in a folder of this run's own.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const [pyodideDir, ...options] = process.argv.slice(2);
const rounds = options.includes("--quick") ? 3 : 5;
const indexURL = resolve(pyodideDir);
const cache = mkdtempSync(join(tmpdir(), "workerlib-bench-"));
process.env.XDG_CACHE_HOME = cache;
// Workers find their script from here.
process.chdir(resolve(dirname(fileURLToPath(import.meta.url)), "../browser"));
const { loadPyodide } = await import(pathToFileURL(join(indexURL, "pyodide.mjs")).href);
const pyodide = await loadPyodide({ indexURL, env: { HOME: "/home/pyodide" } });
await pyodide.loadPackage("workerlib", { messageCallback() {} });
pyodide.FS.mkdirTree("/bench");
pyodide.mountNodeFS("/bench", process.cwd());
const [start, made] = ["start", "made"].map((name) =>
  pyodide.runPython(`import sys; sys.path.insert(0, "/bench"); import starts_page; starts_page.${name}`),
);

const median = (values) => values.sort((one, other) => one - other)[values.length >> 1];
const [OWN, OTHER] = ["workerlib", "without a snapshot"];

/** Has both kinds of start take turns. */
async function row(name, count) {
  const times = { [OWN]: [], [OTHER]: [] };
  for (let round = 0; round < rounds; round += 1) {
    times[OWN].push(await start(true, count));
    times[OTHER].push(await start(false, count));
  }
  const ratio = median(times[OWN].map((own, round) => own / times[OTHER][round]));
  return {
    group: "start of a worker",
    name,
    unit: "ms",
    values: { [OWN]: median([...times[OWN]]), [OTHER]: median([...times[OTHER]]) },
    ratios: { [OWN]: 1, [OTHER]: ratio },
    details: {},
    missing: {},
  };
}

await made();
const rows = [await row("a further worker", 1), await row("a pool of four", 4)];
const goals = rows.map(({ name, ratios }) => ({
  name: `${name}, times a start without a snapshot`,
  goal: "<= 0.3",
  value: ratios[OTHER],
  met: ratios[OTHER] <= 0.3,
}));
const { availableParallelism } = await import("node:os");
const about = { agent: `Node ${process.versions.node}`, cores: availableParallelism(), pyodide: pyodide.version };
console.log(JSON.stringify({ ...about, rows, goals }, null, 1));
rmSync(cache, { recursive: true });
process.exit(0);
