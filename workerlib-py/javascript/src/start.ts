/**
 * Starts Python in a worker: loads Pyodide, installs workerlib and packages, and says at each step what it does.
 *
 * A failure is a `StartError` that names the thing, its address and the cause. This file knows no messages: `worker.ts` and
 * `python_worker.ts` tell the page.
 */

import type { FatalApi } from "./fatal_errors.js";
import { readFile } from "./relative.js";
import { withModule } from "./snapshot/compiled.js";
import { FORM, read } from "./snapshot/image.js";
import {
  FRESH,
  importPyodide,
  makeSnapshot,
  shareable,
  startFromSnapshot,
  type Before,
  type PyodideModule,
  type Snapshot,
} from "./snapshot/python.js";
import { digest, openStore, placeOf, type Key, type Store } from "./snapshot/store.js";

/** The Pyodide that is loaded where nobody says which. */
export const PYODIDE_VERSION = "314.0.7";

/** Files of Pyodide: its compiled module, and its lock file. */
const COMPILED = "pyodide.asm.wasm";
const LOCK = "pyodide-lock.json";

/** The worker's stage: fetching, unpacking, running the script; at last it is ready. */
export type Stage = "download" | "install" | "import" | "ready";

/** A step on the way to a worker that can be called. */
export interface Progress {
  stage: Stage;
  /** The thing that is fetched, installed or run: Pyodide, a package, the script. */
  what: string;
  /** Of how many packages how many have come this far, where packages are loaded. */
  done?: number;
  total?: number;
  /** The number of bytes that have arrived since the start, while files are fetched, and how many there are in all files if servers tell. */
  loadedBytes?: number;
  totalBytes?: number;
}

export type Report = (progress: Progress) => void;

/** Which Pyodide, and from where. */
export interface PyodideSource {
  /** The folder of Pyodide's files; by default that of `version` on Pyodide's own CDN. */
  indexURL?: string | undefined;
  /** A version such as "314.0.7". */
  version?: string | undefined;
  /** The lock file's content, where it is not that of the folder. */
  lockFileContents?: string | undefined;
  /** The address of the packages of that lock file. */
  packageBaseUrl?: string | undefined;
}

/** The parts of Pyodide that are used here. */
export interface Pyodide {
  version: string;
  _api: FatalApi;
  FS: { writeFile(path: string, data: Uint8Array): void; mkdirTree(path: string): void };
  lockfile: { packages: Record<string, unknown> };
  loadedPackages: Record<string, string>;
  loadPackage(names: readonly string[], options: object): Promise<{ name: string }[]>;
  unpackArchive(buffer: ArrayBuffer, format: string): void;
  pyimport(name: string): any;
  setInterruptBuffer(buffer: Uint8Array): void;
  makeMemorySnapshot(): Uint8Array;
  _module: { HEAPU8: Uint8Array };
}

/** Says why the worker could not be started. */
export class StartError extends Error {
  override name = "WorkerStartError";
}

/** Pyodide's own module, and how it is to be started. */
interface Imported {
  module: PyodideModule<Pyodide>;
  folder: string;
  options: object;
}

/** Fetches Pyodide's own JavaScript, and says how it is to be started. */
async function prepare(source: PyodideSource, base: string): Promise<Imported> {
  const folder = new URL(folderOf(source), base).href;
  let module: PyodideModule<Pyodide>;
  try {
    module = await importPyodide(folder, source.version);
  } catch (error) {
    // Pyodide 314 says so when it is imported.
    const remedy = /classic/i.test(text(error)) ? '; make the worker by new Worker(address, { type: "module" })' : "";
    throw new StartError(`Pyodide cannot be fetched from ${folder}pyodide.mjs: ${text(error)}${remedy}`, { cause: error });
  }
  const { lockFileContents, packageBaseUrl } = source;
  const options = {
    // Node knows paths where browsers know addresses.
    indexURL: folder.startsWith("file:") ? decodeURIComponent(new URL(folder).pathname) : folder,
    ...(lockFileContents === undefined ? {} : { lockFileContents }),
    ...(packageBaseUrl === undefined ? {} : { packageBaseUrl }),
    // A thread of Node's has no file descriptors to print to, which is what Pyodide takes there.
    ...(typeof self === "undefined" ? { stdout: console.log, stderr: console.error } : {}),
  };
  return { module, folder, options };
}

/** The start of Python in a worker: which Pyodide, and what is in it before packages are installed. */
export interface Plan {
  source: PyodideSource;
  /** The address from which relative addresses start. */
  base: string;
  /** The module of workerlib's that the worker calls. */
  entry: string;
  /** Puts workerlib's files in place. */
  install: (pyodide: Pyodide) => Promise<void>;
  /** Identifies these files. */
  build: () => Promise<string>;
  /** Is told which of Pyodide's own files will be fetched. */
  expects?: (addresses: string[]) => void;
}

/** The caller's snapshot, or its wish for one; null where it wants none. */
export interface Offer {
  snapshot?: Snapshot | null;
}

/** A Python that has started. */
export interface Started {
  pyodide: Pyodide;
  /** The snapshot that it started from, if that was found in the store: the other workers' starts can use it. */
  found?: Promise<Snapshot>;
  /** Why it started without the snapshot that it was offered. */
  failure?: string;
  /** Pyodide's compiled module, if it started without a snapshot: whoever makes one need not compile it again. */
  module?: WebAssembly.Module | undefined;
}

/** The extension module of which workerlib's modules import names. */
export const EXTENSION = "workerlib._native";
/** Modules of the standard library that scripts import and that would be the same in two workers: `fresh.py` renews them. */
const OPTIONAL = ["random", "tempfile", "uuid"];

/** Starts Pyodide with workerlib in it: from a snapshot if there is one that works, else by itself. */
export async function startPython(plan: Plan, offer: Offer | null, report: Report): Promise<Started> {
  const { source, base } = plan;
  const folder = new URL(folderOf(source), base).href;
  report({ stage: "download", what: `Pyodide from ${folder}` });
  const imported = await prepare(source, base);
  let failure: string | undefined;
  if (offer !== null) {
    try {
      const started = await startFromAny(imported, plan, offer, () =>
        report({ stage: "download", what: `Pyodide from a snapshot of ${folder}` }),
      );
      if (started !== undefined) return started;
    } catch (error) {
      const cause = lastLine(error);
      console.warn(`workerlib: Python starts without its memory snapshot: ${cause}`);
      // A kept one has been removed, and concerns nobody else.
      if (offer.snapshot) failure = cause;
    }
  }
  let pyodide: Pyodide;
  let module: WebAssembly.Module | undefined;
  const files = [COMPILED, "python_stdlib.zip", ...(source.lockFileContents === undefined ? [LOCK] : [])];
  plan.expects?.(files.map((file) => folder + file));
  try {
    ({ loaded: pyodide, module } = await withModule(undefined, () => imported.module.loadPyodide(imported.options)));
  } catch (error) {
    throw new StartError(`Pyodide from ${folder} cannot be started: ${await reasonOf(error, folder, files)}`, { cause: error });
  }
  await plan.install(pyodide);
  return { pyodide, module, ...(failure !== undefined && { failure }) };
}

/** Gives the reason of a start that failed. Pyodide names no file: a file that the server does not have is looked for. */
async function reasonOf(error: unknown, folder: string, files: readonly string[]): Promise<string> {
  const missing = files.filter((file) => file !== COMPILED).map((file) => fetchText(folder + file, "Pyodide's file"));
  return Promise.all(missing).then(() => text(error), text);
}

/** Starts Pyodide from the snapshot that is offered, or from a kept one; undefined if there is none. */
async function startFromAny(
  imported: Imported,
  plan: Plan,
  { snapshot }: Offer,
  begin: () => void,
): Promise<Started | undefined> {
  const wasm = imported.folder + COMPILED;
  if (snapshot) {
    begin();
    plan.expects?.(snapshot.module === undefined ? [wasm] : []);
    const image = Promise.resolve(read(snapshot.image));
    return { pyodide: (await startFromSnapshot(imported.module, imported.options, plan, image, snapshot.module)).loaded };
  }
  // The maker of the snapshot says in the log why it cannot be kept.
  const store = await openStore().catch(() => undefined);
  if (store === undefined) return undefined;
  const key = (await keyOf(imported, plan)).text;
  if (!(await store.keys()).includes(key)) return undefined;
  begin();
  plan.expects?.([wasm]);
  try {
    const bytes = store.read(key);
    const { loaded, module } = await startFromSnapshot(imported.module, imported.options, plan, bytes.then(read));
    const found = bytes.then(async (image) => ({ image: await shareable(image), module }));
    return { pyodide: loaded, found };
  } catch (error) {
    await store.remove(key).catch(() => {});
    throw error;
  }
}

/** Where a snapshot is kept, and its name there. */
interface Place {
  store: Store;
  key: Key;
}

/** For how many milliseconds the maker of a snapshot waits for one that makes the same for another page. */
const LONGEST_MAKING = 20_000;

/**
 * Makes the snapshot from which workers of this plan can start, and keeps it for the next visit where that is possible. If
 * another page makes or has made the same meanwhile, its snapshot is taken.
 *
 * @param compiled Pyodide's compiled module, where there is one
 * @param before is called before each step; before the last one, the snapshot can be used already
 */
export async function makeSnapshotOf(
  plan: Plan,
  compiled: WebAssembly.Module | undefined,
  before: Before,
): Promise<Snapshot> {
  await before("load");
  const imported = await prepare(plan.source, plan.base);
  let place: Place | undefined;
  let cause: unknown;
  try {
    // Without a store there may be no digests either, of which a key is made.
    place = { store: await openStore(), key: await keyOf(imported, plan) };
  } catch (error) {
    cause = error;
  }
  const make = async (): Promise<Snapshot> => {
    const kept = place && (await readIfKept(place));
    if (kept !== undefined) return { image: await shareable(kept), module: compiled };
    const content = { modules: [plan.entry], optional: OPTIONAL, extension: EXTENSION, install: plan.install };
    const { bytes, snapshot } = await makeSnapshot(imported.module, imported.options, content, compiled, before);
    await before("keep", snapshot);
    try {
      if (place === undefined) throw cause;
      await place.store.write(place.key, bytes);
    } catch (error) {
      console.warn(`workerlib: the memory snapshot is not kept for the next visit: ${text(error)}`);
    }
    return snapshot;
  };
  return place === undefined ? make() : alone(`workerlib ${place.key.text}`, make);
}

/** Reads an image if there is one that is whole. */
async function readIfKept({ store, key }: Place): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    return (await store.keys()).includes(key.text) ? await store.read(key.text) : undefined;
  } catch {
    return undefined;
  }
}

/** Does something that pages of a site do one after the other, for some seconds; at once where there are no locks. */
async function alone<T>(name: string, action: () => Promise<T>): Promise<T> {
  let done: Promise<T> | undefined;
  const signal = AbortSignal.timeout(LONGEST_MAKING);
  await globalThis.navigator?.locks?.request(name, { signal }, () => (done = action()).catch(() => {})).catch(() => {});
  // Sandboxed frames and older versions of Node have no locks, and a page of another tab may stand still.
  return done ?? action();
}

/**
 * Names the snapshot of a plan: by Pyodide's version and platform, and workerlib's build.
 *
 * No package of the lock file is in a snapshot but workerlib, if it comes from there. The rest of the lock file has no part in the
 * key: PyScript hands over another one on the second visit, in which micropip has frozen what it has installed.
 */
async function keyOf({ module, folder }: Imported, plan: Plan): Promise<Key> {
  const [build, lock] = await Promise.all([plan.build(), lockFile(plan.source, folder)]);
  const { info, packages } = JSON.parse(lock) as { info?: object; packages?: Record<string, object> };
  const locked = build === "" ? packages?.["workerlib"] : undefined;
  const start = ["spawn", module.version, await shortDigest(JSON.stringify([build, locked]))];
  const rest = FRESH + JSON.stringify([FORM, plan.entry, OPTIONAL, EXTENSION, placeOf(folder), sorted(info)]);
  return { start: start.join("-"), text: [...start, await shortDigest(rest)].join("-") };
}

/** Gives the entries of an object in the order of their names. */
function sorted(object: object = {}): [string, unknown][] {
  return Object.entries(object).sort(([one], [other]) => (one < other ? -1 : 1));
}

async function shortDigest(content: string): Promise<string> {
  return (await digest(new TextEncoder().encode(content))).slice(0, 16);
}

/** Gives the text of the lock file: the caller's own, or that of the folder. */
async function lockFile({ lockFileContents }: PyodideSource, folder: string): Promise<string> {
  return lockFileContents ?? (await (await fetchFile(folder + LOCK, "Pyodide's lock file")).text());
}

function folderOf({ indexURL, version = PYODIDE_VERSION }: PyodideSource): string {
  return (indexURL ?? `https://cdn.jsdelivr.net/pyodide/v${version}/full/`).replace(/\/?$/, "/");
}

/**
 * Installs workerlib: from a wheel, else that of the lock file. PyPI's is somebody else's.
 *
 * @param wheel fetches the wheel, where there is one
 */
export async function installWorkerlib(
  pyodide: Pyodide,
  wheel: (() => Promise<ArrayBuffer>) | undefined,
  report: Report,
): Promise<void> {
  if (wheel === undefined) {
    if (!("workerlib" in pyodide.lockfile.packages)) {
      throw new StartError("workerlib is not in Pyodide's lock file: say where its wheel is, by the option `workerlib`");
    }
    await loadLocked(pyodide, ["workerlib"], report);
    return;
  }
  report({ stage: "download", what: "workerlib" });
  const content = await wheel();
  report({ stage: "install", what: "workerlib" });
  // By its content and not by its address: bundlers rename files, and a wheel's name says what it is for.
  pyodide.unpackArchive(content, "wheel");
}

/**
 * Installs packages: those of Pyodide's lock file by it, others by micropip.
 *
 * @param names names of packages, with or without versions, or addresses of wheels
 * @param indexURLs where micropip looks for them, if not on PyPI
 * @param base where relative addresses start
 */
export async function installPackages(
  pyodide: Pyodide,
  names: readonly string[],
  indexURLs: readonly string[],
  base: string,
  report: Report,
): Promise<void> {
  const locked = names.filter((name) => normalised(name) in pyodide.lockfile.packages);
  const others = names.filter((name) => !locked.includes(name)).map((name) => absolute(name, base));
  const indexes = indexURLs.map((address) => absolute(address, base));
  await loadLocked(pyodide, locked, report);
  if (others.length === 0) return;
  if (!("micropip" in pyodide.lockfile.packages)) {
    throw new StartError(
      `the package ${others.join(", ")} is not in Pyodide's lock file, nor is micropip, which could look elsewhere`,
    );
  }
  await loadLocked(pyodide, ["micropip"], () => {});
  const micropip = pyodide.pyimport("micropip");
  try {
    for (const [done, what] of others.entries()) {
      report({ stage: "download", what, done, total: others.length });
      // An index is asked by its address; without one it is PyPI, as micropip's own default says.
      const options = indexes.length > 0 ? { index_urls: indexes } : {};
      try {
        await micropip.install.callKwargs(what, options);
      } catch (error) {
        const where = indexes.length > 0 ? ` from ${indexes.join(", ")}` : "";
        throw new StartError(`the package ${what} cannot be installed${where}: ${lastLine(error)}`, { cause: error });
      }
      report({ stage: "install", what, done: done + 1, total: others.length });
    }
  } finally {
    micropip.destroy();
  }
}

/** Makes the address of a name that begins with `/`, `./` or `../`, because micropip cannot resolve it in a worker. */
function absolute(name: string, base: string): string {
  if (!/^\.{0,2}\//.test(name)) return name;
  // An index may have the place of the package's name in braces, which an address has in another form.
  return new URL(name, base).href.replaceAll("%7B", "{").replaceAll("%7D", "}");
}

async function loadLocked(pyodide: Pyodide, names: readonly string[], report: Report): Promise<void> {
  if (names.length === 0) return;
  const problems: string[] = [];
  for (const [done, what] of names.entries()) report({ stage: "download", what, done, total: names.length });
  try {
    await pyodide.loadPackage(names, {
      messageCallback: () => {},
      errorCallback: (message: string) => problems.push(message),
    });
  } catch (error) {
    problems.push(text(error));
  }
  const missing = names.filter((name) => !(normalised(name) in loadedByNormalisedName(pyodide)));
  if (missing.length > 0 || problems.length > 0) {
    throw new StartError(`the package ${(missing.length > 0 ? missing : names).join(", ")} cannot be loaded: ${problems.join("; ")}`);
  }
  for (const [done, what] of names.entries()) report({ stage: "install", what, done: done + 1, total: names.length });
}

/**
 * Names the files of packages: those that the lock file has, with all that they depend on.
 *
 * @returns undefined if the lock file lacks one of the packages
 */
export async function lockedFiles(names: readonly string[], source: PyodideSource, base: string): Promise<string[] | undefined> {
  if (names.length === 0) return [];
  const folder = new URL(folderOf(source), base).href;
  const { packages } = JSON.parse(await lockFile(source, folder)) as { packages: Record<string, { file_name: string; depends: string[] }> };
  const needed = new Set(names.map(normalised));
  const files: string[] = [];
  // A set that grows meanwhile is walked to its new end.
  for (const name of needed) {
    const entry = packages[name];
    if (entry === undefined) return undefined;
    files.push(new URL(entry.file_name, source.packageBaseUrl ?? folder).href);
    for (const other of entry.depends) needed.add(normalised(other));
  }
  return files;
}

function loadedByNormalisedName(pyodide: Pyodide): Record<string, string> {
  return Object.fromEntries(Object.entries(pyodide.loadedPackages).map(([name, from]) => [normalised(name), from]));
}

/** A package's name as lock files write it: PEP 503. */
function normalised(name: string): string {
  return name.toLowerCase().replace(/[-_.]+/g, "-");
}

/** Fetches a file; what there is instead of it is an error that names it. */
export async function fetchFile(address: string, what: string): Promise<Response> {
  let response: Response;
  try {
    response = await (address.startsWith("file:") ? readFile(address) : fetch(address));
  } catch (error) {
    throw new StartError(`${what}, ${address}, cannot be fetched: ${text(error)}`, { cause: error });
  }
  if (!response.ok) throw new StartError(`${what}, ${address}, cannot be fetched: HTTP ${response.status}`);
  return response;
}

/** Fetches a text; a page that a server sends for a file that it does not have is an error, too. */
export async function fetchText(address: string, what: string): Promise<string> {
  const content = await (await fetchFile(address, what)).text();
  if (isPage(content)) throw pageInstead(address, what);
  return content;
}

/** Fetches a wheel; what a server sends in its place is an error. */
export async function fetchWheel(address: string, what: string): Promise<ArrayBuffer> {
  const content = await (await fetchFile(address, what)).arrayBuffer();
  const beginning = new TextDecoder().decode(content.slice(0, 100));
  if (beginning.startsWith("PK")) return content;
  if (isPage(beginning)) throw pageInstead(address, what);
  throw new StartError(`${what}, ${address}, is not a wheel; check the address`);
}

function isPage(content: string): boolean {
  return /^[\ufeff\s]*<(!doctype\s+html|html)\b/i.test(content);
}

function pageInstead(address: string, what: string): StartError {
  return new StartError(
    `${what}, ${address}, cannot be fetched: the server sent a page (HTML) in its place, as servers of single-page ` +
      "applications do for files that do not exist; check the address",
  );
}

/** Tells that a file is awaited when all else is there, so that the worker's step is not one that has ended. */
export async function tellIfAwaited(file: Promise<unknown>, what: string, report: Report): Promise<void> {
  const late = Symbol("late");
  if ((await Promise.race([file, Promise.resolve(late)])) === late) report({ stage: "download", what });
}

/** Gives an error's message, without its place. */
export function text(error: unknown): string {
  // The error by which an Emscripten program exits has a message, and is no Error.
  const { message } = Object(error) as { message?: unknown };
  return typeof message === "string" ? message : String(error);
}

/** Gives the last line of a Python error: Pyodide's message is the whole traceback. */
export function lastLine(error: unknown): string {
  return text(error).trimEnd().split("\n").at(-1) ?? "";
}
