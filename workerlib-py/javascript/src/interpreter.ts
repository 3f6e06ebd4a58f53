/**
 * The module that a PyScript page names as its `interpreter`, so that its Pythons start from a memory snapshot.
 *
 *     <py-config>interpreter = "/workerlib/workerlib-pyodide.mjs"</py-config>
 *
 * `?pyodide=` names the folder of a Pyodide, or the pyodide.mjs in it; a relative address starts from this file's own. By default
 * a fixed version comes from its CDN. The first visit starts as with Pyodide's own module; afterwards a worker makes a snapshot and
 * keeps it for the Pythons that start later, in the page and in workers. This file passes on every option.
 *
 * If workerlib is installed, the snapshot has its modules in it, and a script's `import workerlib` runs the package's first file
 * only. A Python that has no workerlib, or another one, forgets these modules.
 */
import { Giver, hasWorkers, receive } from "./snapshot/handover.js";
import { FORM, read, type Image } from "./snapshot/image.js";
import {
  FRESH,
  importPyodide,
  makeSnapshot,
  shareable,
  startFromSnapshot,
  unknownOption,
  type Interpreter,
} from "./snapshot/python.js";
import { digest, openStore, placeOf, type Key, type Store } from "./snapshot/store.js";
import { EXTENSION, lastLine, PYODIDE_VERSION } from "./start.js";

/**
 * The milliseconds from the start of Python to the snapshot, at the least, and how many times as long as the
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
  // Pyodide imports these when it installs its first package, and PyScript's own modules import this, whose tables are large.
  ...["encodings.cp437", "tarfile"],
  "html",
];

const here = new URL(import.meta.url);
const asked = here.searchParams.get("pyodide");
const address = asked ?? `https://cdn.jsdelivr.net/pyodide/v${PYODIDE_VERSION}/full/`;
const named = new URL(address, here);
// PyScript resolves an address of the configuration only if it ends like a module's.
const folder = named.pathname.endsWith(".mjs") ? new URL("./", named).href : named.href.replace(/\/?$/, "/");
const pyodide = await importPyodide<Python>(folder, asked === null ? PYODIDE_VERSION : undefined);

/** The package whose modules are in the snapshot, and the module that has PyScript's Pythons need the others. */
const PACKAGE = "workerlib";
const ENTRY = "workerlib._hosts.pyscript.worker";

/** The parts of Pyodide that are used here. */
interface Python extends Interpreter {
  FS: {
    readdir(path: string): string[];
    readFile(path: string): Uint8Array<ArrayBuffer>;
    writeFile(path: string, data: Uint8Array): void;
    mkdirTree(path: string): void;
    analyzePath(path: string): { exists: boolean };
  };
  /** With the folder that packages are installed in. */
  _api: { sitepackages: string };
}

/** A package that is installed: its files, and the list of them with their digests that its wheel has. */
interface Installed {
  files: [path: string, content: Uint8Array<ArrayBuffer>][];
  record: string;
}

/** Pyodide's version, as its own module exports it. */
export const version: string = pyodide.version;

/** The snapshot that is kept, if there is one. */
interface Found {
  store: Store;
  kept?: Kept;
}

interface Kept {
  key: string;
  image: Promise<Image>;
  /** Pyodide's compiled module, if this is a worker whose page hands it over. */
  module?: Promise<WebAssembly.Module | undefined>;
  /** Hands the snapshot over to the workers of this page, when the page has Pyodide's compiled module. Only a page has one. */
  giver?: Giver;
  onCompiled?: (module: WebAssembly.Module | undefined) => void;
}

/** Looks for a kept snapshot, and begins to read it. @throws Error where none can be kept */
async function look(): Promise<Found> {
  const store = await openStore();
  const start = await startOfKeys();
  const keys = await keysOf(store, start);
  // The newest with workerlib in it: a page with another workerlib may have kept one, too.
  const key = keys.filter((one) => one !== start).at(-1) ?? keys.at(-1);
  if (key === undefined) return { store };
  const kept = hasWorkers() && pyodide.emscripten ? keptForAll(store, key) : keptForOne(store, key);
  // The start is told of it.
  kept.image.catch(() => {});
  return { store, kept };
}

/** Reads a snapshot for this Python; in a worker, unless the page hands it over. */
function keptForOne(store: Store, key: string): Kept {
  // Pages with an older Pyodide hand nothing over.
  if (globalThis.document !== undefined || !pyodide.emscripten) return { key, image: store.read(key).then(read) };
  const handed = receive(key);
  return {
    key,
    image: handed.then(async (handed) => read(handed?.image ?? (await store.read(key)))),
    module: handed.then((handed) => handed?.module),
  };
}

/** Reads a snapshot for this page and its workers. */
function keptForAll(store: Store, key: string): Kept {
  const giver = new Giver(key);
  let shared: WebAssembly.Module | undefined;
  const image = store.read(key).then(async (bytes) => {
    const compiled = await shareable(bytes);
    if (compiled instanceof WebAssembly.Module) shared = compiled;
    // Browsers make no instance of a module of this size in a page's own thread.
    return read(bytes);
  });
  return {
    key,
    image,
    giver,
    onCompiled(module) {
      if (module === undefined || shared === undefined) giver.close();
      else giver.give({ module, image: shared });
    },
  };
}

/** The result for the first Python: the snapshot is read while PyScript gets ready. */
let looked: Promise<Found> | undefined = look();
looked.catch(() => {});

function startsWithout(error: unknown): undefined {
  console.warn(`workerlib: Python starts without its memory snapshot: ${lastLine(error)}`);
}

/** Loads Pyodide: from the snapshot that an earlier start has left, if it works, else as Pyodide's own module does. */
export async function loadPyodide(options: object = {}): Promise<Interpreter> {
  // PyScript takes this file's folder for that of Pyodide.
  const given = { ...options, indexURL: folder };
  const looking = looked ?? look();
  // The page keeps no bytes of it.
  looked = undefined;
  const isPlain = unknownOption(given) !== undefined;
  const found = await looking.catch(isPlain ? () => undefined : startsWithout);
  if (isPlain) found?.kept?.giver?.close();
  if (isPlain || found === undefined) return pyodide.loadPyodide(given);
  const { store, kept } = found;
  const begun = performance.now();
  const later = (): number => Math.max(LATER, TIMES_LATER * (performance.now() - begun));
  if (kept !== undefined) {
    try {
      const { image, module, giver, onCompiled } = kept;
      const content = { install() {}, record: recordOf };
      const { loaded, isSame } = await startFromSnapshot(pyodide, given, content, image, module, onCompiled);
      // Workers that start with the page have asked by then.
      if (giver) setTimeout(() => giver.close(), later());
      // Without the package there is nothing to gain by another snapshot.
      if (!isSame && recordOf(loaded) !== "") haveSnapshotMade(store, loaded, later());
      return loaded;
    } catch (error) {
      startsWithout(error);
      kept.giver?.close();
      await store.remove(kept.key).catch(() => {});
    }
  }
  const loaded = await pyodide.loadPyodide(given);
  haveSnapshotMade(store, loaded, later());
  return loaded;
}

/** Returns the list of the package's files, with their digests; an empty text if it is not installed. */
function recordOf({ FS, _api }: Python): string {
  const folder = _api.sitepackages;
  const lists = FS.readdir(folder).map((name) => `${folder}/${name}/RECORD`);
  // The package's folder of metadata may have any name, since the distribution may.
  const records = lists.filter((path) => path.includes(".dist-info/") && FS.analyzePath(path).exists).map((path) => textOf(FS, path));
  return records.find((record) => record.includes(`${PACKAGE}/_native.pyi,`)) ?? "";
}

function textOf(FS: Python["FS"], path: string): string {
  return new TextDecoder().decode(FS.readFile(path));
}

/** Returns the package as it is installed in a Python. */
export function installedIn(python: Python): Installed {
  const { FS, _api } = python;
  const record = recordOf(python);
  const paths = record.split("\n").map((line) => `${_api.sitepackages}/${line.slice(0, line.indexOf(","))}`);
  const present = paths.filter((path) => !path.endsWith("/") && FS.analyzePath(path).exists);
  return { record, files: present.map((path) => [path, FS.readFile(path)]) };
}

/**
 * Makes a snapshot and keeps it. The worker in which this is called can do nothing else.
 *
 * @param installed the package whose modules are in the snapshot, if it has files
 * @throws Error if it cannot be made or kept
 */
export async function keepSnapshot({ files, record }: Installed): Promise<void> {
  const store = await openStore();
  const content = {
    optional: MODULES,
    record: () => record,
    install({ FS }: Python) {
      for (const [path, bytes] of files) {
        FS.mkdirTree(path.slice(0, path.lastIndexOf("/")));
        FS.writeFile(path, bytes);
      }
    },
    // The package's first file looks for PyScript's bridge, and calls what the script's configuration names.
    ...(record === "" ? { modules: [], extension: "" } : { modules: [ENTRY], extension: EXTENSION, again: [PACKAGE] }),
  };
  const { bytes } = await makeSnapshot(pyodide, { indexURL: folder }, content);
  await store.write(await keyWith(record), bytes);
}

/** Has a worker make a snapshot after some milliseconds, unless there is one, or another page or worker makes it. */
function haveSnapshotMade(store: Store, python: Python, later: number): void {
  const make = async (): Promise<void> => {
    const key = await keyWith(recordOf(python));
    // The lock makes snapshots one after the other, also those of other versions of workerlib: each keeps a processor busy.
    await navigator.locks.request(`workerlib ${key.start}`, async () => {
      const keys = await keysOf(store, key.text);
      // A Python without workerlib starts from a snapshot with it, too.
      if (keys.length === 0) {
        await store.checkRoom(key);
        await makeInWorker(installedIn(python));
      } else if (recordOf(python) !== "" && (await keysOf(store, key.start)).at(-1) !== key.text) {
        // Another workerlib's has been kept since, such as that of a version that was taken back. The newest one is used.
        await store.write(key, await store.read(key.text));
      }
    });
  };
  const tell = (error: unknown): void => console.warn(`workerlib: no memory snapshot can be made: ${lastLine(error)}`);
  setTimeout(() => void make().catch(tell), later);
}

/** Makes and keeps a snapshot in a worker. @throws Error if it cannot */
async function makeInWorker(installed: Installed): Promise<void> {
  const script = `
    onmessage = ({ data }) =>
      import(${JSON.stringify(here.href)})
        .then((module) => module.keepSnapshot(data))
        .then(() => postMessage(""), (error) => postMessage(String(error)));`;
  const address = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  const worker = new Worker(address, { type: "module", name: "workerlib's snapshot" });
  const cause = await new Promise<string>((resolve) => {
    worker.onmessage = ({ data }) => resolve(String(data));
    worker.onerror = ({ message }) => resolve(message || "the worker's script could not be loaded");
    worker.postMessage(
      installed,
      installed.files.map(([, { buffer }]) => buffer),
    );
  });
  worker.terminate();
  URL.revokeObjectURL(address);
  if (cause !== "") throw new Error(cause);
}

/**
 * Tells how the keys of this file's snapshots begin. No lock file has a part in it: its packages are not in the snapshot, and
 * PyScript hands over another one on each visit. That Pyodide's build is the same is checked by Pyodide.
 */
async function startOfKeys(): Promise<string> {
  const text = FRESH + JSON.stringify([FORM, placeOf(folder), MODULES, ENTRY]);
  return `page-${version}-${await shortDigest(text)}`;
}

/** Names the snapshot that has the modules of an installed package in it, by the list of its files. */
async function keyWith(record: string): Promise<Key> {
  const start = await startOfKeys();
  return { start, text: record === "" ? start : `${start}-${await shortDigest(record)}` };
}

/** Lists the keys that are a text, or begin with it and a hyphen; those that were written last at the end. */
async function keysOf(store: Store, text: string): Promise<string[]> {
  return (await store.keys()).filter((key) => key === text || key.startsWith(`${text}-`));
}

async function shortDigest(text: string): Promise<string> {
  return (await digest(new TextEncoder().encode(text))).slice(0, 16);
}
