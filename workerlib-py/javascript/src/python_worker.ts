/**
 * The script of a worker that Python starts, by `workerlib.spawn()` (`_api/spawn.py`): it loads the Pyodide of its caller, with the
 * caller's own copy of workerlib, and hands a port to Python (`_hosts/spawned/worker.py`).
 *
 * It says on the worker's own channel how far it is; the calls themselves go over the port or, unseen by this script, over
 * that channel too. It runs in browsers and, as a worker thread, in Node.
 */
import { fetchFile, installPackages, loadPyodide, text, type PyodideSource } from "./start.js";

/** What `_api/spawn.py` sends, once. */
interface Order {
  pyodide: PyodideSource;
  /** Where relative addresses start from. */
  base: string;
  /** The files of workerlib: path and content. */
  files: [string, Uint8Array][];
  packages: string[];
  indexURLs: string[];
  /** Files for the script: address, and path in the worker's own file system. */
  filesToFetch: [string, string][];
  /** The script's address, and its text where it has none that could be fetched. */
  script: string;
  source: string | null;
  name: string;
  /** The configuration, as JSON. */
  config: string;
  /** The name of the lock that this worker holds while it lives, which also marks the calls on its own channel. */
  lock: string;
  /** For the calls, where they do not go over that. */
  port?: MessagePort;
  /** What the caller shares with this worker, to interrupt what computes in it (`_hosts/browser/shared_memory_interrupts.py`). */
  memory: SharedArrayBuffer | null | undefined;
}

/** What is sent back; `_api/spawn.py` has a function for each. */
type Told =
  | ["progress", stage: string, what: string, done: number | undefined, total: number | undefined]
  | ["failed", message: string, description: Uint8Array | null]
  | ["locked"]
  | ["ready"]
  | ["pong"];

interface Host {
  postMessage(message: Told): void;
  addEventListener(type: "message", listener: (event: { data: Order | "ping" }) => void): void;
}

async function start(order: Order, tell: (...told: Told) => void): Promise<void> {
  const { base, files, packages, indexURLs } = order;
  const script = new URL(order.script, base).href;
  const what = order.source === null ? script : order.script;
  const report = ({ stage, what, done, total }: { stage: string; what: string; done?: number; total?: number }): void =>
    tell("progress", stage, what, done, total);
  const fetched =
    order.source ?? fetchFile(script, "the worker's script").then((response) => response.text());
  const fetchedFiles = Promise.all(order.filesToFetch.map((file) => fetchContent(file, base)));
  const [source, pyodide, more] = await Promise.all([fetched, loadPyodide(order.pyodide, base, report), fetchedFiles]);
  report({ stage: "install", what: "workerlib" });
  for (const [path, content] of [...files, ...more]) {
    pyodide.FS.mkdirTree(path.slice(0, path.lastIndexOf("/") + 1));
    pyodide.FS.writeFile(path, content);
  }
  await installPackages(pyodide, packages, indexURLs, base, report);
  report({ stage: "import", what });
  const python = pyodide.pyimport("workerlib._hosts.spawned.worker");
  const failure = await python.start(source, script, order);
  if (failure) tell("failed", `the worker's script, ${what}, failed`, failure);
  else tell("ready");
}

async function fetchContent([address, path]: [string, string], base: string): Promise<[string, Uint8Array]> {
  const response = await fetchFile(new URL(address, base).href, "the file");
  return [path, new Uint8Array(await response.arrayBuffer())];
}

function listen(host: Host): void {
  const tell = (...told: Told): void => host.postMessage(told);
  host.addEventListener("message", ({ data }) => {
    if (data === "ping") {
      tell("pong");
      return;
    }
    void globalThis.navigator?.locks?.request(data.lock, () => {
      tell("locked");
      return new Promise(() => {});
    });
    start(data, tell).catch((error: unknown) => tell("failed", text(error), null));
  });
}

if (typeof self === "undefined") {
  const node = "node:worker_threads";
  void import(/* @vite-ignore */ node).then((threads: { parentPort: Host }) => listen(threads.parentPort));
} else {
  listen(self);
}
