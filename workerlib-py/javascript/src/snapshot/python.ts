/**
 * Writes snapshots of Pyodide's memory, and starts Pyodide from one.
 *
 * A snapshot is made by a Pyodide that serves nothing else, since it sees JavaScript through proxies from then on. It is
 * checked before it leaves: Python is started from it once. The options `_makeSnapshot` and `_loadSnapshot` are not
 * documented by Pyodide, so that whoever calls this has to be ready to start without (`start.ts`).
 */
import { withModule } from "./compiled.js";
import fresh from "./fresh.py";
import { pack, unpack } from "./image.js";

/** A snapshot as it is handed on: its image, and Pyodide's compiled module where it could be seen. */
export interface Snapshot {
  image: Uint8Array;
  module?: WebAssembly.Module | undefined;
}

/** The parts of Pyodide that are used here. */
export interface Interpreter {
  pyimport(name: string): any;
  makeMemorySnapshot(): Uint8Array;
}

/** The exports of `pyodide.mjs`. */
export interface PyodideModule<P extends Interpreter = Interpreter> {
  version: string;
  loadPyodide(options: object): Promise<P>;
}

/** The content of a snapshot besides Pyodide. */
export interface Content<P extends Interpreter = Interpreter> {
  /** Modules that have to be there. */
  modules: string[];
  /** Modules that are taken along where they are. */
  optional: string[];
  /** The extension module of which these import names, if there is one. */
  extension: string;
  /** Puts files in place, before the import and in each Python that starts from the snapshot. */
  install(pyodide: P): Promise<void>;
}

const MODULE = "_workerlib_snapshot";
/** Identifies the code that is in a snapshot with it. */
export const FRESH: string = fresh;

/** Options of `loadPyodide` that are as good after a snapshot: `env` and `args` by `renew`, the others by Pyodide. */
const KNOWN = new Set([
  ...["indexURL", "lockFileURL", "lockFileContents", "packageBaseUrl", "packageCacheDir", "packages"],
  ...["stdin", "stdout", "stderr", "env", "args", "fsInit", "checkAPIVersion", "enableRunUntilComplete"],
]);

/** Names an option with which Pyodide has to start by itself; undefined if there is none. */
export function unknownOption(options: object): string | undefined {
  const { env = {} } = options as { env?: Record<string, string> };
  // Python reads its own variables when it starts.
  const variable = Object.keys(env).find((name) => name.startsWith("PYTHON") || /^(LC_|LANG$)/.test(name));
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return given.map(([name]) => name).find((name) => !KNOWN.has(name)) ?? variable;
}

/**
 * Makes a snapshot, and checks it by starting from it.
 *
 * @param almost is called when Pyodide has started, which is most of the work
 * @throws Error if it cannot be made, or does not start
 */
export async function makeSnapshot<P extends Interpreter>(
  pyodide: PyodideModule<P>,
  options: object,
  content: Content<P>,
  almost: () => void = () => {},
): Promise<Snapshot> {
  const { loaded, module } = await withModule(undefined, () => pyodide.loadPyodide({ ...options, _makeSnapshot: true }));
  almost();
  await content.install(loaded);
  const { modules, optional, extension } = content;
  define(loaded);
  call(loaded, "keep", { version: pyodide.version, modules, optional, extension });
  const snapshot = { image: pack(loaded.makeMemorySnapshot()), module };
  await startFromSnapshot(pyodide, options, content, snapshot);
  return snapshot;
}

/**
 * Starts Pyodide from a snapshot and makes it as new as any other.
 *
 * @throws Error if it does not start, or does not work
 */
export async function startFromSnapshot<P extends Interpreter>(
  pyodide: PyodideModule<P>,
  options: object,
  content: Pick<Content<P>, "install">,
  { image, module }: Snapshot,
): Promise<{ loaded: P; module: WebAssembly.Module | undefined }> {
  const { env = {}, args = null } = options as { env?: Record<string, string>; args?: string[] | null };
  const _loadSnapshot = unpack(image);
  const load = (): Promise<P> => pyodide.loadPyodide({ ...options, _loadSnapshot });
  // A page runs other code at the same time.
  const started = globalThis.document === undefined ? await withModule(module, load) : { loaded: await load(), module };
  const environment = { ...language(), ...env };
  call(started.loaded, "renew", { version: pyodide.version, environment, arguments: args });
  await content.install(started.loaded);
  call(started.loaded, "complete");
  return started;
}

/** Puts `fresh.py` into a Python as a module. */
function define(pyodide: Interpreter): void {
  const [types, builtins, sys] = ["types", "builtins", "sys"].map((name) => pyodide.pyimport(name));
  const made = types.ModuleType(MODULE);
  const { __dict__: namespace, } = made;
  builtins.exec(fresh, namespace);
  sys.modules.set(MODULE, made);
  for (const proxy of [namespace, made, types, builtins, sys]) proxy.destroy();
}

/** Calls a function of `fresh.py`, which gets and returns nothing but texts: no object of JavaScript's may stay. */
function call(pyodide: Interpreter, name: string, told?: object): void {
  const module = pyodide.pyimport(MODULE);
  try {
    if (told === undefined) module[name]();
    else module[name](JSON.stringify(told));
  } finally {
    module.destroy();
  }
}

/** The variable in which Emscripten tells the visitor's language, which may be another by now. */
function language(): Record<string, string> {
  const name = globalThis.document === undefined && typeof self === "undefined" ? undefined : navigator.language;
  return name === undefined ? {} : { LANG: `${name.replace("-", "_")}.UTF-8` };
}
