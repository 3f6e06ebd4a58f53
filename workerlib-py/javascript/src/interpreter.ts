/**
 * The module that a PyScript page names as its `interpreter`, so that its Pythons start from a memory snapshot.
 *
 *     <py-config>interpreter = "/workerlib/workerlib-pyodide.mjs"</py-config>
 *
 * It loads the Pyodide of `?pyodide=FOLDER`, an address that starts from this file's own, or that of a fixed version from
 * its CDN. The first visit starts as with Pyodide's own module; afterwards a worker makes a snapshot and keeps it for the
 * Pythons that start later, in the page and in workers. This file passes on every option, and knows nothing of workerlib.
 */
import { FORM, read, type Image } from "./snapshot/image.js";
import { FRESH, importPyodide, makeSnapshot, startFromSnapshot, unknownOption, type Interpreter } from "./snapshot/python.js";
import { digest, openStore, type Store } from "./snapshot/store.js";
import { lastLine, PYODIDE_VERSION } from "./start.js";

/**
 * How many milliseconds after the start of Python the snapshot is made at the earliest, and how many times as long as the
 * start took: the page's workers start before, and a slow machine needs longer for them.
 */
const LATER = 3000;
const TIMES_LATER = 3;

/**
 * The modules of the standard library that are in the snapshot besides those of Pyodide: what workerlib imports, and what
 * would be the same in two Pythons if scripts imported it.
 */
const MODULES = [
  ...["__future__", "ast", "asyncio", "base64", "collections", "concurrent.futures", "contextlib", "copyreg", "dataclasses"],
  ...["datetime", "decimal", "enum", "fractions", "functools", "importlib.metadata", "importlib.resources", "inspect"],
  ...["io", "ipaddress", "itertools", "json", "keyword", "linecache", "logging", "math", "operator", "pathlib", "pyodide.http"],
  ...["random", "re", "string", "tempfile", "textwrap", "tomllib", "traceback", "types", "typing", "urllib.parse", "uuid"],
  ...["warnings", "weakref", "zoneinfo"],
  // Pyodide imports these when it installs its first package.
  ...["encodings.cp437", "tarfile"],
];

const here = new URL(import.meta.url);
const asked = here.searchParams.get("pyodide");
const address = asked ?? `https://cdn.jsdelivr.net/pyodide/v${PYODIDE_VERSION}/full/`;
const folder = new URL(address.replace(/\/?$/, "/"), here).href;
const pyodide = await importPyodide(folder, asked === null ? PYODIDE_VERSION : undefined);
const nothing = { install: (): Promise<void> => Promise.resolve() };

/** Pyodide's version, as its own module exports it. */
export const version: string = pyodide.version;

/** The snapshot that is kept, if there is one. */
interface Found {
  store: Store;
  key: string;
  image: Promise<Image> | undefined;
}

/** Looks for the kept snapshot, and begins to read it; undefined where none can be kept. */
async function look(): Promise<Found | undefined> {
  const store = await openStore();
  if (store === undefined) return undefined;
  const key = await keyOfSnapshot();
  const image = (await store.has(key)) ? store.read(key).then(read) : undefined;
  // The start is told of it.
  image?.catch(() => {});
  return { store, key, image };
}

/** The result for the first Python: the snapshot is read while PyScript gets ready. */
let looked: Promise<Found | undefined> | undefined = look();
looked.catch(() => {});

function startsWithout(error: unknown): undefined {
  console.warn(`workerlib: Python starts without its memory snapshot: ${lastLine(error)}`);
}

/** Loads Pyodide: from the snapshot that an earlier start has left, if it works, else as Pyodide's own module does. */
export async function loadPyodide(options: object = {}): Promise<Interpreter> {
  // PyScript takes this file's folder for that of Pyodide.
  const given = { ...options, indexURL: folder };
  if (unknownOption(given) !== undefined) return pyodide.loadPyodide(given);
  const looking = looked ?? look();
  // The page keeps no bytes of it.
  looked = undefined;
  const found = await looking.catch(startsWithout);
  if (found === undefined) return pyodide.loadPyodide(given);
  const { store, key, image } = found;
  if (image !== undefined) {
    try {
      return (await startFromSnapshot(pyodide, given, nothing, image)).loaded;
    } catch (error) {
      startsWithout(error);
      await store.remove(key).catch(() => {});
    }
  }
  const begun = performance.now();
  const loaded = await pyodide.loadPyodide(given);
  const later = Math.max(LATER, TIMES_LATER * (performance.now() - begun));
  setTimeout(() => void haveSnapshotMade(store, key), later);
  return loaded;
}

/**
 * Makes a snapshot and keeps it. The worker in which this is called can do nothing else.
 *
 * @throws Error if it cannot be made or kept
 */
export async function keepSnapshot(): Promise<void> {
  const store = await openStore();
  const content = { ...nothing, modules: [], optional: MODULES, extension: "" };
  const { bytes } = await makeSnapshot(pyodide, { indexURL: folder }, content);
  await store?.write(await keyOfSnapshot(), bytes);
}

/** Has a worker make a snapshot, unless there is one, or another page or worker has one made. */
async function haveSnapshotMade(store: Store, key: string): Promise<void> {
  const options: LockOptions = { ifAvailable: true };
  await navigator.locks.request(`workerlib ${key}`, options, async (lock) => {
    if (lock === null || (await store.has(key))) return;
    const script = `
      import(${JSON.stringify(here.href)})
        .then((module) => module.keepSnapshot())
        .then(() => postMessage(""), (error) => postMessage(String(error)));`;
    const address = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
    const worker = new Worker(address, { type: "module", name: "workerlib's snapshot" });
    const cause = await new Promise<string>((resolve) => {
      worker.onmessage = ({ data }) => resolve(String(data));
      worker.onerror = ({ message }) => resolve(message || "the worker's script could not be loaded");
    });
    worker.terminate();
    URL.revokeObjectURL(address);
    if (cause !== "") console.warn(`workerlib: no memory snapshot can be made: ${lastLine(cause)}`);
  });
}

/**
 * Names the snapshot. No lock file has a part in it: its packages are not in the snapshot, and PyScript hands over another
 * one on each visit. That Pyodide's build is the same is checked by Pyodide.
 */
async function keyOfSnapshot(): Promise<string> {
  const text = FRESH + JSON.stringify([FORM, folder, MODULES]);
  const part = await digest(new TextEncoder().encode(text));
  return `${version}-${part.slice(0, 16)}`;
}
