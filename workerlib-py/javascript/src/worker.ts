/**
 * The script of a worker that runs Python for a page in JavaScript: it speaks Comlink.
 *
 * A page may do what Comlink's users know, `Comlink.wrap(new Worker(…))`, then `init()`, `install()`, `runPython()`, and call
 * exported functions by their names; `spawn()` of `index.ts` does the same and adds what Comlink lacks. The conversion of
 * values is Python's work (`_javascript/values.py`); what Python raises arrives as an `Error` with name, message and traceback.
 */
import * as Comlink from "comlink";

import { Beginnings } from "./beginnings.js";
import { describeCause } from "./causes.js";
import { watchFatal } from "./fatal_errors.js";
import { install, startFrom } from "./relative.js";
import {
  fetchText,
  fetchWheel,
  installPackages,
  installWorkerlib,
  lockedFiles,
  makeSnapshotOf,
  StartError,
  startPython,
  tellIfAwaited,
  type Offer,
  type Plan,
  type Progress,
  type Pyodide,
  type PyodideSource,
} from "./start.js";
import { countDownloads, type Downloads } from "./downloads.js";
import type { Before, Snapshot } from "./snapshot/python.js";
import { digest } from "./snapshot/store.js";
import type { Batch, Batches } from "./streams.js";

/** The module of workerlib's that this script calls. */
const ENTRY = "workerlib._javascript.comlink";
/** The module by which an isolated page interrupts what computes. */
const INTERRUPTS = "workerlib._hosts.browser.shared_memory_interrupts";

/** Defined where this file itself comes out of the wheel. */
declare const WHEEL_IS_ELSEWHERE: boolean | undefined;

/** The options of `init`; each can also stand in the query of the worker's address. */
export interface InitOptions extends PyodideSource {
  /** The address from which relative addresses start; by default that of this file. */
  base?: string;
  /** The address of workerlib's wheel. */
  workerlib?: string;
  /** The page's memory snapshot, from which Python starts faster, or its wish for one; null for none. */
  snapshot?: Offer | null;
  /** Memory that an isolated page shares with this worker, to interrupt a function that computes (`interrupts.ts`). */
  memory?: SharedArrayBuffer;
}

/** The options of `start`. */
export interface StartOptions extends InitOptions {
  /** The address of the worker's script. */
  script?: string;
  /** The packages that it needs: names, or addresses of wheels. */
  packages?: readonly string[];
  /** Package indexes that are asked instead of PyPI. */
  indexURLs?: readonly string[];
  /** Whether the page is told how many bytes have arrived. */
  countsBytes?: boolean;
}

/** Calls a function of the page by its name. */
export type PageCall = (name: string, ...args: unknown[]) => unknown;

interface Script {
  file: string;
  source: string;
}

/** An exception of Python's, as `Comlink` sends it: its own fields reach any page. */
class PythonError extends Error {
  constructor(
    override name: string,
    message: string,
    readonly traceback: string,
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.stack = traceback;
  }
}

type Outcome = ["value", unknown, ArrayBuffer[]] | ["stream", number] | ["error", string, string, string];

/** A stream that a call returned: the producer's end of `streams.ts`, and an iterator for pages that use Comlink alone. */
class PythonStream {
  readonly #python: any;
  readonly #number: number;
  #items: unknown[] = [];
  #isLast = false;

  constructor(python: unknown, number: number) {
    this.#python = python;
    this.#number = number;
  }

  /** Returns the next items, and whether they are the last ones. */
  async batch(): Promise<Batch<unknown>> {
    return settle(await awaited(this.#python.next_batch(this.#number))) as Batch<unknown>;
  }

  /** Takes the next item. */
  async next(): Promise<IteratorResult<unknown>> {
    while (this.#items.length === 0) {
      if (this.#isLast) return { done: true, value: undefined };
      [this.#items, this.#isLast] = await this.batch();
    }
    return { done: false, value: this.#items.shift() };
  }

  /** Closes the generator, and waits until it has cleaned up. */
  async return(): Promise<IteratorResult<unknown>> {
    this.#isLast = true;
    this.#items = [];
    settle(await awaited(this.#python.close_stream(this.#number)));
    return { done: true, value: undefined };
  }

  /** Cancels the step that nobody waits for any more. */
  cancel(): void {
    this.#python.cancel_stream(this.#number);
  }

  /** Comlink calls it when the page has no more reference to the stream. */
  [Comlink.finalizer](): void {
    this.return().catch((error: unknown) => console.error(error));
  }
}

/** An async iterable of the page among the arguments of a call, as Python takes its items. Its tag tells Python so. */
class PageIterable {
  readonly [Symbol.toStringTag] = "WorkerlibPageIterable";
  readonly #proxy: Comlink.Remote<Batches>;

  constructor(proxy: unknown) {
    this.#proxy = proxy as Comlink.Remote<Batches>;
  }

  /** Asks for the next items. */
  batch(): Promise<Batch<unknown>> {
    return this.#proxy.batch();
  }

  /** Closes the iterator, and waits until it has cleaned up. */
  async close(): Promise<void> {
    try {
      await this.#proxy.close();
    } finally {
      this.release();
    }
  }

  /** Closes the iterator, which nobody has any more. */
  drop(): void {
    this.close().catch((error: unknown) => console.error(error));
  }

  /** Frees what stands for an iterator that has ended. */
  release(): void {
    this.#proxy[Comlink.releaseProxy]();
  }
}

/** Python in this worker, for a page. */
export class PyodideWorker {
  readonly #beginnings = new Beginnings(() => this.#turn());
  #starting: Promise<Pyodide> | undefined;
  #python: any;
  #base = self.location.href;
  #report: (progress: Progress) => void = () => {};
  #expects: ((addresses: string[]) => void) | undefined;
  #found: Promise<Snapshot> | undefined;
  #failure: string | undefined;
  #compiled: WebAssembly.Module | undefined;

  /** Loads Pyodide and workerlib; called again, it waits for the same. */
  async init(options: InitOptions = {}, onProgress?: (progress: Progress) => void): Promise<void> {
    this.#report = onProgress ?? this.#report;
    this.#starting ??= this.#start({ ...fromQuery(), ...options });
    await this.#starting;
  }

  /** Installs packages by their names or addresses; `indexURLs` are asked instead of PyPI. */
  async install(packages: string | readonly string[], indexURLs: readonly string[] = []): Promise<void> {
    const names = typeof packages === "string" ? [packages] : packages;
    await installPackages(await this.#pyodide(), names, indexURLs, this.#base, this.#report);
  }

  /** Runs Python code and returns the value of its last expression. */
  async runPython(code: string, key = 0): Promise<unknown> {
    return this.#outcome(key, () => this.#python.run_python(code, key));
  }

  /** Runs a script as the worker's own: the functions that it exports can be called from then on. */
  async runScript(address: string): Promise<void> {
    const script = this.#fetchScript(address);
    await this.#pyodide();
    await this.#run(await script);
  }

  /** Does all of it, from Pyodide to the script, and tells what the script exports; a missing script fails at once. */
  async start(
    { script, packages = [], indexURLs = [], countsBytes = false, ...options }: StartOptions,
    onProgress?: (progress: Progress) => void,
    page?: PageCall,
    names: string[] = [],
  ): Promise<string[]> {
    this.#base = options.base ?? this.#base;
    const downloads = countsBytes ? this.#countDownloads(packages, { ...fromQuery(), ...options }) : undefined;
    const fetched = script === undefined ? undefined : this.#fetchScript(script);
    try {
      const started = this.init(options, onProgress);
      const told = started.then(() => fetched && tellIfAwaited(fetched, script!, this.#report));
      await Promise.all([fetched, told]);
      await this.install(packages, indexURLs);
    } finally {
      downloads?.end();
    }
    if (page !== undefined) this.#meet(page, names);
    if (fetched !== undefined) await this.#run(await fetched);
    this.#report({ stage: "ready", what: script ?? "Python" });
    return this.exports();
  }

  /**
   * Gives the memory snapshot away that Python started from if the page did not have it, or says why it was of no use. After
   * a start without a snapshot there is Pyodide's compiled module.
   */
  async takeSnapshot(): Promise<{ found?: Snapshot; failure?: string; compiled?: WebAssembly.Module }> {
    const [found, failure, compiled] = [await this.#found, this.#failure, this.#compiled];
    this.#found = this.#compiled = undefined;
    return { ...(found && { found }), ...(failure !== undefined && { failure }), ...(compiled && { compiled }) };
  }

  /**
   * Makes a memory snapshot from which workers with the same options can start. This worker can do nothing else afterwards.
   *
   * @param compiled Pyodide's compiled module, where there is one
   * @param before is called before each step, which waits for it
   */
  async makeSnapshot(
    options: Omit<InitOptions, "snapshot">,
    compiled?: WebAssembly.Module,
    before?: Before,
  ): Promise<Snapshot> {
    return makeSnapshotOf(this.#plan(options), compiled, before ?? (() => {}));
  }

  /** Calls an exported function. */
  async call(name: string, args: unknown[] = [], kwargs: Record<string, unknown> = {}, key = 0): Promise<unknown> {
    return this.#outcome(key, () => this.#python.call(name, args.map(callable), kwargs, key));
  }

  /** Calls an exported function with arguments of which each may be a proxy of Comlink's, some of them for async iterables. */
  async apply(
    key: number,
    name: string,
    kwargs: Record<string, unknown>,
    streams: number[],
    ...args: unknown[]
  ): Promise<unknown> {
    for (const at of streams) args[at] = new PageIterable(args[at]);
    return this.call(name, args, kwargs, key);
  }

  /** Ends a call that was given this key, a positive integer, by a CancelledError at its await. */
  cancel(key: number): void {
    if (!this.#beginnings.cancel(key)) this.#python?.cancel(key);
  }

  /** Lists the exported names. */
  async exports(): Promise<string[]> {
    await this.#pyodide();
    return this.#python.exported();
  }

  /** Has Ctrl-C's place taken by a byte of shared memory: 2 interrupts the running Python. */
  async interruptBy(buffer: SharedArrayBuffer): Promise<void> {
    (await this.#pyodide()).setInterruptBuffer(new Uint8Array(buffer));
  }

  /** Answers out of Python's event loop: while the worker lives, and its loop turns. */
  async ping(): Promise<void> {
    await this.#pyodide();
    await this.#turn();
  }

  /** Holds a lock while the worker lives: who gets it next knows that the worker is gone. */
  async holdLock(name: string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      navigator.locks
        .request(name, () => {
          resolve();
          return new Promise(() => {});
        })
        .catch(reject);
    });
  }

  /** Makes a call when it may begin. The coroutine that `make` makes gives its outcome. */
  async #outcome(key: number, make: () => PromiseLike<Outcome> & { destroy(): void }): Promise<unknown> {
    await this.#pyodide();
    return this.#beginnings.run(key, async (isCancelled) => {
      const coroutine = make();
      // Python knows the call now, and does not begin it.
      if (isCancelled) this.#python.cancel(key);
      return settle(await awaited(coroutine), this.#python);
    });
  }

  /** Resolves after a turn of Python's event loop: it runs the callbacks in their order. */
  async #turn(): Promise<void> {
    await awaited(this.#python.ping());
  }

  /** Gives Python the page's functions; a proxy of Comlink's itself answers to every name that Pyodide would look for. */
  #meet(page: PageCall, names: string[]): void {
    const tell = (name: string, ...args: unknown[]): void => {
      Promise.resolve(page(name, ...args)).catch((error: unknown) => console.error(error));
    };
    const call = (name: string, ...args: unknown[]): unknown => answered(page(name, ...args), `${name}() of the page`);
    this.#python.meet_page(call, tell, names);
  }

  /** Counts what is fetched until the script can run. All files are announced that can be named. */
  #countDownloads(packages: readonly string[], options: InitOptions): Downloads {
    const wheel = this.#wheel(options.workerlib);
    const names = wheel === undefined ? ["workerlib", ...packages] : packages;
    // Asked before the count begins: Pyodide fetches the lock file again, out of the browser's cache.
    const locked = lockedFiles(names, options, this.#base);
    const downloads = countDownloads((what, downloaded) => this.#report({ stage: "download", what, ...downloaded }));
    downloads.expect(locked);
    // A snapshot that the page hands over has workerlib in it.
    if (wheel !== undefined && !options.snapshot?.snapshot) downloads.expect(Promise.resolve([wheel]));
    downloads.expect(new Promise((resolve) => (this.#expects = resolve)));
    return downloads;
  }

  async #start({ snapshot = null, memory, ...options }: InitOptions): Promise<Pyodide> {
    const { pyodide, found, failure, module } = await startPython(this.#plan(options), snapshot, this.#report);
    // Comlink passes over what is not its own.
    watchFatal(pyodide._api).listen((reason, error) => self.postMessage({ workerlib_died: reason, cause: describeCause(error) }));
    this.#found = found;
    this.#failure = failure;
    this.#compiled = module;
    this.#python = pyodide.pyimport(ENTRY);
    if (memory !== undefined) {
      const interrupts = pyodide.pyimport(INTERRUPTS);
      this.#python.guard_by(interrupts.MemoryGuard(memory));
    }
    return pyodide;
  }

  #plan({ base, workerlib, ...source }: Omit<InitOptions, "snapshot">): Plan {
    this.#base = base ?? this.#base;
    const address = this.#wheel(workerlib);
    let wheel: Promise<ArrayBuffer> | undefined;
    const wheelOf = (address: string): Promise<ArrayBuffer> => (wheel ??= fetchWheel(address, "workerlib's wheel"));
    return {
      source,
      base: this.#base,
      entry: ENTRY,
      install: (pyodide) =>
        installWorkerlib(pyodide, address === undefined ? undefined : () => wheelOf(address), this.#report),
      ...(this.#expects && { expects: this.#expects }),
      // Without a wheel of its own it is the lock file's, which is in the key.
      build: async () => (address === undefined ? "" : digest(new Uint8Array(await wheelOf(address)))),
    };
  }

  #wheel(given: string | undefined): string | undefined {
    if (given !== undefined) return new URL(given, this.#base).href;
    return typeof WHEEL_IS_ELSEWHERE === "boolean" ? undefined : new URL("./workerlib.whl", self.location.href).href;
  }

  async #pyodide(): Promise<Pyodide> {
    if (this.#starting === undefined) throw new StartError("Python has not been started: call init() first");
    return this.#starting;
  }

  async #fetchScript(address: string): Promise<Script> {
    const file = new URL(address, this.#base).href;
    return { file, source: await fetchText(file, "the worker's script") };
  }

  async #run({ file, source }: Script): Promise<void> {
    this.#report({ stage: "import", what: file });
    startFrom(file);
    const outcome = await awaited<Outcome>(this.#python.run_script(source, file));
    if (outcome[0] === "error") {
      const [, type, message, traceback] = outcome;
      const remedy = type === "ModuleNotFoundError" ? "; a module must be in a package that stands in `packages`" : "";
      const told = `the worker's script, ${file}, failed: ${type}: ${message}${remedy}`;
      throw new PythonError("WorkerStartError", told, traceback, new PythonError(type, message, traceback));
    }
  }
}

/** Options may stand in the query of the worker's address: `worker.js?indexURL=/pyodide/`. */
function fromQuery(): InitOptions {
  const query = new URLSearchParams(self.location.search);
  const names = ["indexURL", "version", "base", "workerlib"] as const;
  return Object.fromEntries(names.flatMap((name) => (query.has(name) ? [[name, query.get(name)]] : [])));
}

/** Waits for a coroutine of Python's, and frees it. */
async function awaited<R>(coroutine: PromiseLike<R> & { destroy(): void }): Promise<R> {
  try {
    return await coroutine;
  } finally {
    coroutine.destroy();
  }
}

function settle(outcome: Outcome, python?: unknown): unknown {
  if (outcome[0] === "error") throw new PythonError(outcome[1], outcome[2], outcome[3]);
  if (outcome[0] === "stream") return Comlink.proxy(new PythonStream(python, outcome[1]));
  const [, value, buffers] = outcome;
  return typeof value === "object" && value !== null ? Comlink.transfer(value, buffers) : value;
}

/** A function as Python can hold it: a proxy of Comlink's answers to every name that Pyodide would look for. */
function callable(value: unknown): unknown {
  return typeof value === "function" ? (...args: unknown[]) => answered(value(...args), "the callback") : value;
}

/** Comlink's message for any answer that cannot be cloned. */
const NO_ANSWER = "Unserializable return value";

/** Waits for the answer of a function of the page; an error says which function gave one that cannot be sent. */
async function answered(answer: unknown, what: string): Promise<unknown> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof Error) || error.message !== NO_ANSWER) throw error;
    throw new TypeError(
      `${what} returned something that cannot be sent, such as an element or a function; ` +
        "return a plain value, or nothing: (value) => { … }",
    );
  }
}

// Comlink sends an error's name, message and stack. This addition reaches pages that know nothing of it, too.
const throwing = Comlink.transferHandlers.get("throw")!;
Comlink.transferHandlers.set("throw", {
  ...throwing,
  serialize(thrown) {
    const [sent, transferables] = throwing.serialize(thrown) as [{ value: object }, Transferable[]];
    const { value } = thrown as { value: unknown };
    if (value instanceof PythonError) Object.assign(sent.value, { traceback: value.traceback });
    // The cause of an error of a start. A call's error is an exception of the user's: its traceback tells the cause.
    const isOfStart = value instanceof Error && value.name === "WorkerStartError";
    const cause = isOfStart ? describeCause(value.cause) : undefined;
    if (cause !== undefined) Object.assign(sent.value, { cause });
    return [sent, transferables];
  },
});

install();
const worker = new PyodideWorker();
Comlink.expose(
  new Proxy(worker, {
    get(target, name) {
      const own: unknown = Reflect.get(target, name);
      if (typeof own === "function") return own.bind(target);
      return typeof name === "string" ? (...args: unknown[]) => target.call(name, args) : own;
    },
  }),
);
