/**
 * Writes snapshots of Pyodide's memory, and starts Pyodide from one.
 *
 * A snapshot is made by a Pyodide that serves nothing else, since it sees JavaScript through proxies from then on. It is
 * checked before it leaves: Python is started from it once. The options `_makeSnapshot` and `_loadSnapshot` are not
 * documented by Pyodide, so that whoever calls this has to be ready to start without (`start.ts`).
 */
import { withModule } from "./compiled.js";
import fresh from "./fresh.py";
import { pack, read, unpack, type Image } from "./image.js";

/** The bytes of an image, or the module that was compiled from them, which other threads get without a copy. */
export type Kept = Uint8Array<ArrayBuffer> | WebAssembly.Module;

/** A snapshot as it is handed on: its image, and Pyodide's compiled module where it could be seen. */
export interface Snapshot {
  image: Kept;
  module?: WebAssembly.Module | undefined;
}

/** The parts of Pyodide that are used here. */
export interface Interpreter {
  pyimport(name: string): any;
  makeMemorySnapshot(): Uint8Array;
  _module: { HEAPU8: Uint8Array };
}

/** The parts of Emscripten's module that are used here. */
interface Emscripten {
  memory?: unknown;
  /** Moves the end of the memory that is in use by as many bytes, and returns where it was. */
  _sbrk?(by: number): number;
}

/** The settings of Emscripten's that are used here. */
interface Settings {
  instantiateWasm?: (imports: WebAssembly.Imports, succeed: Succeed) => object;
}

type Succeed = (instance: WebAssembly.Instance, module: WebAssembly.Module) => void;

/** Makes Emscripten's module: the export of `pyodide.asm.mjs`. */
type MakeEmscripten = (settings: Settings) => Promise<Emscripten>;

/** Pyodide's own JavaScript. */
export interface PyodideModule<P extends Interpreter = Interpreter> {
  version: string;
  loadPyodide(options: object): Promise<P>;
  /** Pyodide's larger file, where it may be handed to `loadPyodide`. */
  emscripten?: Promise<MakeEmscripten>;
}

/** The content of a snapshot besides Pyodide. */
export interface Content<P extends Interpreter = Interpreter> {
  /** Modules that have to be there. */
  modules: string[];
  /** Modules that are taken along where they are. */
  optional: string[];
  /** The extension module of which these import names, if there is one. */
  extension: string;
  /** Packages whose first file scripts run anew, by importing them; their other modules stay imported. */
  again?: string[];
  /** Puts files in place, before the import and in each Python that starts from the snapshot. */
  install(pyodide: P): Promise<void> | void;
  /** Identifies the files that are in place. The modules are forgotten in a Python in which they are others. */
  record?(pyodide: P): string;
}

/** The steps of making a snapshot. Each keeps a processor busy for some tenths of a second, the first for seconds. */
export type Step = "load" | "write" | "check" | "keep";
/** Is called before each step, which waits for it; before the last one with the snapshot, which has been checked. */
export type Before = (step: Step, snapshot?: Snapshot) => Promise<void> | void;

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
 * Fetches Pyodide's own JavaScript, and begins to fetch the larger one of its two files.
 *
 * @param folder the address of its folder
 * @param expected its version, where it is known: then the files are fetched at the same time
 * @throws Error if it cannot be fetched
 */
export async function importPyodide<P extends Interpreter>(folder: string, expected?: string): Promise<PyodideModule<P>> {
  const load = (name: string): Promise<any> => import(/* @vite-ignore */ /* webpackIgnore: true */ `${folder}${name}`);
  // Versions before 314, which are named 0.…, have a script in its place.
  const larger = (version: string | undefined): Promise<MakeEmscripten> | undefined => {
    if (version === undefined || version.startsWith("0.")) return undefined;
    const made = load("pyodide.asm.mjs").then((module) => module.default as MakeEmscripten);
    // Pyodide tells of it when it imports the file itself.
    made.catch(() => {});
    return made;
  };
  const early = larger(expected);
  const { version, loadPyodide } = await load("pyodide.mjs");
  const emscripten = early ?? larger(version);
  return { version, loadPyodide, ...(emscripten && { emscripten }) };
}

/**
 * Makes a snapshot, and checks it by starting from it.
 *
 * @param compiled Pyodide's compiled module, where there is one
 * @param before is called before each step but the first and the last one, which are the caller's
 * @returns the image's bytes, and the snapshot as it is handed on
 * @throws Error if it cannot be made, or does not start
 */
export async function makeSnapshot<P extends Interpreter>(
  pyodide: PyodideModule<P>,
  options: object,
  content: Content<P>,
  compiled?: WebAssembly.Module,
  before: Before = () => {},
): Promise<{ bytes: Uint8Array<ArrayBuffer>; snapshot: Snapshot }> {
  const { loaded, module } = await withModule(compiled, () => pyodide.loadPyodide({ ...options, _makeSnapshot: true }));
  await before("write");
  await content.install(loaded);
  const { modules, optional, extension, again = [] } = content;
  const record = content.record?.(loaded) ?? "";
  define(loaded);
  call(loaded, "keep", { version: pyodide.version, modules, optional, extension, again, record });
  const written = loaded.makeMemorySnapshot();
  const bytes = pack(written, written.length - loaded._module.HEAPU8.length);
  const image = await shareable(bytes);
  await before("check");
  const check = await startFromSnapshot(pyodide, options, content, Promise.resolve(read(image)), module);
  for (const name of again) check.loaded.pyimport(name).destroy();
  return { bytes, snapshot: { image, module } };
}

/** Compiles an image, so that it can be handed to other threads without a copy; gives its bytes where that is refused. */
export async function shareable(image: Uint8Array<ArrayBuffer>): Promise<Kept> {
  return WebAssembly.compile(image).catch(() => image);
}

/**
 * Starts Pyodide from a snapshot and makes it as new as any other.
 *
 * @param image the snapshot's image, which Pyodide's own code does not have to wait for
 * @param module Pyodide's compiled module, where there is one
 * @param onCompiled is called before the image is written, with that module where it could be seen; not by every Pyodide
 * @returns the Python, Pyodide's compiled module where it could be seen, and whether the snapshot's modules are of the files
 *   that are in place
 * @throws Error if it does not start, or does not work
 */
export async function startFromSnapshot<P extends Interpreter>(
  pyodide: PyodideModule<P>,
  options: object,
  content: Pick<Content<P>, "install" | "record">,
  image: Promise<Image>,
  module?: WebAssembly.Module | Promise<WebAssembly.Module | undefined>,
  onCompiled?: (module: WebAssembly.Module | undefined) => void,
): Promise<{ loaded: P; module: WebAssembly.Module | undefined; isSame: boolean }> {
  const { env = {}, args = null } = options as { env?: Record<string, string>; args?: string[] | null };
  // Pyodide may fail before it asks for it.
  image.catch(() => {});
  const { emscripten } = pyodide;
  const own = emscripten ? written(emscripten, image, onCompiled) : { _loadSnapshot: image.then(unpack) };
  const load = (): Promise<P> => pyodide.loadPyodide({ ...options, ...own });
  // A page runs other code at the same time.
  const started = globalThis.document === undefined ? await withModule(module, load) : { loaded: await load(), module: undefined };
  const environment = { ...language(), ...env };
  call(started.loaded, "renew", { version: pyodide.version, environment, arguments: args });
  await content.install(started.loaded);
  const record = content.record?.(started.loaded) ?? "";
  return { ...started, isSame: call(started.loaded, "complete", { record }) === true };
}

/**
 * Returns options of `loadPyodide` by which an image writes itself into Pyodide's memory. Pyodide gets a snapshot that ends
 * with its header, and copies nothing; it could only copy the whole, zeros and all, from another copy of the whole.
 */
function written(
  emscripten: Promise<MakeEmscripten>,
  image: Promise<Image>,
  onCompiled: ((module: WebAssembly.Module | undefined) => void) | undefined,
): object {
  // Pyodide keeps its options, and with them all that the function below refers to. The image has 15 MB.
  let needed: { image: Promise<Image>; onCompiled: typeof onCompiled } | undefined = { image, onCompiled };
  let head = new Uint8Array();
  const snapshot = new Uint8Array();
  // Pyodide asks for a snapshot before it makes its module, and reads it after that, when the image is there.
  const late = ["buffer", "byteOffset", "byteLength", "length", "subarray"] as const;
  for (const name of late) {
    const get = (): unknown => (name === "subarray" ? head.subarray.bind(head) : head[name]);
    Object.defineProperty(snapshot, name, { get });
  }
  return {
    _loadSnapshot: snapshot,
    async createPyodideModule(settings: Settings): Promise<Emscripten> {
      const { image: coming, onCompiled: tell } = needed!;
      needed = undefined;
      const make = await emscripten;
      const { instantiateWasm } = settings;
      let compiled: WebAssembly.Module | undefined;
      if (tell && instantiateWasm) {
        settings.instantiateWasm = (imports, succeed) =>
          instantiateWasm(imports, (instance, module) => {
            compiled = module;
            succeed(instance, module);
          });
      }
      const [module, ready] = await Promise.all([make(settings), coming]);
      // Writing the image keeps the page busy.
      tell?.(compiled);
      const { memory } = module;
      if (!(memory instanceof WebAssembly.Memory)) throw new Error("this Pyodide does not show its memory");
      const size = memory.buffer.byteLength;
      ready.write(memory, module._sbrk?.(0) ?? size);
      head = ready.head;
      return module;
    },
  };
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

/** Calls a function of `fresh.py`, which gets a text and returns a plain value: no object of JavaScript's may stay. */
function call(pyodide: Interpreter, name: string, told: object): unknown {
  const module = pyodide.pyimport(MODULE);
  try {
    return module[name](JSON.stringify(told));
  } finally {
    module.destroy();
  }
}

/** The variable in which Emscripten tells the visitor's language, which may be another by now. */
function language(): Record<string, string> {
  const name = globalThis.document === undefined && typeof self === "undefined" ? undefined : navigator.language;
  return name === undefined ? {} : { LANG: `${name.replace("-", "_")}.UTF-8` };
}
