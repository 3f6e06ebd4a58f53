/**
 * The script of a worker that Python starts, by `workerlib.spawn()` (`_api/spawn.py`): it loads the Pyodide of its caller, with the
 * caller's own copy of workerlib, and hands a port to Python (`_hosts/spawned/worker.py`).
 *
 * It says on the worker's own channel how far it is; the calls themselves go over the port or, unseen by this script, over
 * that channel too. It runs in browsers and, as a worker thread, in Node.
 */
import { describeCause, type DescribedCause } from "./causes.js";
import { watchFatal } from "./fatal_errors.js";
import { install, startFrom } from "./relative.js";
import {
  fetchFile,
  fetchText,
  installPackages,
  lastLine,
  makeSnapshotOf,
  StartError,
  startPython,
  tellIfAwaited,
  text,
  type Offer,
  type Plan,
  type Pyodide,
  type PyodideSource,
} from "./start.js";
import type { Kept, Snapshot } from "./snapshot/python.js";
import { digest } from "./snapshot/store.js";

/** Which Python: what a worker and a maker of snapshots are both told. */
interface Equipment {
  pyodide: PyodideSource;
  /** The address from which relative addresses start. */
  base: string;
  /** The files of workerlib: path and content. */
  files: [string, Uint8Array<ArrayBuffer>][];
}

/** Asks for a snapshot instead of a worker. */
interface SnapshotOrder extends Equipment {
  makeSnapshot: true;
  /** Pyodide's compiled module, where there is one. */
  compiled: WebAssembly.Module | undefined;
}

/** The message that `_api/spawn.py` sends, once. */
interface Order extends Equipment {
  /** The caller's snapshot, or its wish for one; null where it wants none. */
  snapshot: Offer | null;
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
  /** Memory shared with the caller, by which it interrupts a function that computes (`_hosts/browser/shared_memory_interrupts.py`). */
  memory: SharedArrayBuffer | null | undefined;
}

/** The messages that are sent back; `_api/spawn.py` has a function for each. */
type Told =
  | ["progress", stage: string, what: string, done: number | undefined, total: number | undefined]
  | ["failed", message: string, description: Uint8Array | null, cause?: DescribedCause | undefined]
  | ["locked"]
  | ["died", reason: string, cause: DescribedCause | undefined]
  | ["ready"]
  | ["almost"]
  | ["turn"]
  | ["compiled", module: WebAssembly.Module]
  | ["snapshot", image: Kept, module: WebAssembly.Module | undefined]
  | ["done"]
  | ["no_snapshot", cause: string];

interface Host {
  postMessage(message: Told, options?: { transfer: Transferable[] }): void;
  addEventListener(type: "message", listener: (event: { data: Order | SnapshotOrder | null }) => void): void;
}

/** The module of workerlib's that runs the worker's script. */
const ENTRY = "workerlib._hosts.spawned.worker";

function planOf({ pyodide, base, files }: Equipment): Plan {
  return {
    source: pyodide,
    base,
    entry: ENTRY,
    install: (python) => Promise.resolve(write(python, files)),
    async build() {
      // Metadata tells who has installed the package: micropip on PyScript's first visit, Pyodide on later ones.
      const modules = files.filter(([path]) => !path.includes(".dist-info/"));
      const digests = await Promise.all(modules.map(async ([path, content]) => `${path} ${await digest(content)}`));
      return digest(new TextEncoder().encode(digests.join("\n")));
    },
  };
}

function write({ FS }: Pyodide, files: [string, Uint8Array][]): void {
  for (const [path, content] of files) {
    FS.mkdirTree(path.slice(0, path.lastIndexOf("/") + 1));
    FS.writeFile(path, content);
  }
}

async function start(order: Order, host: Host): Promise<void> {
  const { base, packages, indexURLs } = order;
  const tell = (...told: Told): void => host.postMessage(told);
  const script = new URL(order.script, base).href;
  const what = order.source === null ? script : order.script;
  // A script that is not a file of the server's has the base of its caller.
  const relativeTo = order.source === null ? script : base;
  startFrom(relativeTo);
  const report = ({ stage, what, done, total }: { stage: string; what: string; done?: number; total?: number }): void =>
    tell("progress", stage, what, done, total);
  const fetched = order.source ?? fetchText(script, "the worker's script");
  const files = Promise.all(order.filesToFetch.map((file) => fetchContent(file, base)));
  const fetchedAll = Promise.all([fetched, files]);
  const started = startPython(planOf(order), order.snapshot, report);
  const told = started.then(() => tellIfAwaited(fetchedAll, what, report));
  const [[source, more], { pyodide, found, failure, module }] = await Promise.all([fetchedAll, started, told]);
  watchFatal(pyodide._api).listen((reason, error) => tell("died", reason, describeCause(error)));
  if (failure !== undefined) tell("no_snapshot", failure);
  if (module !== undefined) tell("compiled", module);
  const given = found?.then(({ image, module }) => tell("snapshot", image, module));
  report({ stage: "install", what: "workerlib" });
  write(pyodide, more);
  await installPackages(pyodide, packages, indexURLs, base, report);
  report({ stage: "import", what });
  const python = pyodide.pyimport(ENTRY);
  const error = await python.start(source, script, relativeTo, order);
  await given;
  if (error) tell("failed", `the worker's script, ${what}, failed`, error);
  else tell("ready");
}

async function fetchContent([address, path]: [string, string], base: string): Promise<[string, Uint8Array]> {
  const response = await fetchFile(new URL(address, base).href, "the file");
  return [path, new Uint8Array(await response.arrayBuffer())];
}

/** Goes on with making a snapshot, while the caller's turn is awaited. */
let goOn: (() => void) | undefined;

/**
 * Makes a snapshot, and sends it as soon as it can be used. Each step waits for the caller, which has it wait for calls that are in
 * flight.
 */
async function make(order: SnapshotOrder, host: Host): Promise<void> {
  let isSent = false;
  const send = ({ image, module }: Snapshot): void => {
    if (!isSent) host.postMessage(["snapshot", image, module]);
    isSent = true;
  };
  const made = await makeSnapshotOf(planOf(order), order.compiled, (step, snapshot) => {
    if (step === "write") host.postMessage(["almost"]);
    if (snapshot !== undefined) send(snapshot);
    host.postMessage(["turn"]);
    return new Promise((resolve) => (goOn = resolve));
  });
  // A snapshot that another page has made comes without steps.
  send(made);
  host.postMessage(["done"]);
}

function listen(host: Host): void {
  const tell = (...told: Told): void => host.postMessage(told);
  let isOrdered = false;
  host.addEventListener("message", ({ data }) => {
    goOn?.();
    // The first message is the order. All others are the script's own, or a connection's.
    if (isOrdered || typeof data !== "object" || data === null || !Array.isArray(data.files)) return;
    isOrdered = true;
    if ("makeSnapshot" in data) {
      make(data, host).catch((error: unknown) => tell("no_snapshot", lastLine(error)));
      return;
    }
    // Where the browser refuses locks, as in a sandboxed frame, nobody can watch this worker.
    globalThis.navigator?.locks
      ?.request(data.lock, () => {
        tell("locked");
        return new Promise(() => {});
      })
      .catch(() => {});
    start(data, host).catch((error: unknown) => {
      // The text of a StartError tells of its cause. Any other error is the cause itself.
      tell("failed", text(error), null, describeCause(error instanceof StartError ? error.cause : error));
    });
  });
}

install();
if (typeof self === "undefined") {
  const node = "node:worker_threads";
  void import(/* @vite-ignore */ node).then((threads: { parentPort: Host }) => listen(threads.parentPort));
} else {
  listen(self);
}
