/// <reference lib="esnext.disposable" preserve="true" />
/** The types of the package: how a worker is started, and what it looks like to the page. */
import type { Progress, PyodideSource } from "./start.js";
import type { StreamCall } from "./streams.js";

/** An exception of Python's: `name` is its class, `traceback` the worker's own. */
export interface PythonError extends Error {
  traceback: string;
}

/** A numpy array, or a memoryview of several dimensions. */
export interface NDArray<Data extends ArrayBufferView = ArrayBufferView> {
  data: Data;
  shape: number[];
  /** The name of its dtype, such as "float64"; memoryviews have none. */
  dtype?: string;
}

/** The options by which a worker is started. */
export interface SpawnOptions {
  /** The worker's Python script; relative addresses start at the page. */
  script?: string | URL | undefined;
  /** The packages that the script needs: names, or addresses of wheels. */
  packages?: readonly string[] | undefined;
  /** Package indexes that are asked instead of PyPI. */
  indexURLs?: readonly string[] | undefined;
  /** Which Pyodide, and from where; by default a fixed version from its CDN. */
  pyodide?: PyodideSource | undefined;
  /** The worker's name, for error messages and developer tools. */
  name?: string | undefined;
  /** Is told what the worker is doing until it is ready. */
  onProgress?: ((progress: Progress) => void) | undefined;
  /** After how many milliseconds to give up the start; 0 for never. */
  timeout?: number | undefined;
  /** Ends the start, or the worker later on. */
  signal?: AbortSignal | undefined;
  /** The number of milliseconds that the worker may go without a sign of life while no call is in flight: then it is ended. */
  heartbeat?: number | undefined;
  /** Whether the time in which calls are in flight counts too, so that a function that computes for longer ends its worker. */
  heartbeatInCalls?: boolean | undefined;
  /**
   * Whether the page has to be cross-origin isolated, because the script shares memory: then spawn() rejects where it is not.
   * By default it may be or not.
   */
  isolated?: boolean | undefined;
  /** Whether the worker may start from a memory snapshot of Pyodide, which takes a fraction of the time; by default yes. */
  snapshot?: boolean | undefined;
  /** The page's functions that the worker calls, by `workerlib.page()`. They may be async. */
  exports?: Record<string, (...args: any[]) => unknown> | undefined;
  /** The address of workerlib's wheel, where it is not beside this file. */
  workerlib?: string | URL | undefined;
  /** The address of `worker.js`, where it is not beside this file. */
  worker?: string | URL | undefined;
}

/** The options of a call. */
export interface CallOptions {
  /** Rejects the call with the signal's reason, and cancels it in the worker. */
  signal?: AbortSignal | undefined;
  /**
   * After how many milliseconds the call is rejected with a TimeoutError, and cancelled in the worker. On an isolated page
   * that interrupts a function that computes.
   */
  timeout?: number | undefined;
  /** Is called with the arguments of each `workerlib.report(…)` of the running function. */
  onReport?: ((...values: any[]) => void) | undefined;
}

/** A function of the page as an argument: it arrives in Python as something to await. */
type Sent<T> = T extends (...args: infer A) => infer R ? (...args: A) => R | Promise<Awaited<R>> : T;


/** An interface of the worker's functions as the page sees them: every result is a promise, or a stream. */
export type Remote<T> = {
  [K in keyof T]: T[K] extends (...args: infer A) => infer R
    ? (...args: { [I in keyof A]: Sent<A[I]> }) => Result<R>
    : never;
};

/** The result of a call: a promise. If the function has a `yield`, `for await` can iterate over it as well. */
export type Result<R> = R extends AsyncIterable<infer Item> ? StreamCall<Item> : Promise<Awaited<R>>;

/** The members of every worker besides its exported functions; `call` reaches an export of the same name. */
export interface WorkerHandle<T> {
  /** The worker's name. */
  readonly name: string;
  /** The names that the script exports. */
  readonly exports: readonly string[];
  /** The browser's own object. */
  readonly worker: Worker;
  /** Resolves with the reason when the worker has ended. */
  readonly closed: Promise<string>;
  /** Calls an exported function with keyword arguments and options. */
  call<K extends keyof T & string>(
    name: K,
    args?: T[K] extends (...args: infer A) => unknown ? Partial<A> : never,
    kwargs?: Record<string, unknown>,
    options?: CallOptions,
  ): T[K] extends (...args: never[]) => infer R ? Result<R> : never;
  /** The same worker for calls with these options: `worker.with({ timeout: 500 }).mean(…)`. */
  with(options: CallOptions): Remote<T>;
  /** Runs Python code in the worker and returns the value of its last expression. */
  runPython(code: string, options?: CallOptions): Promise<unknown>;
  /** Installs more packages. */
  install(packages: string | readonly string[], options?: CallOptions): Promise<void>;
  /** Ends the worker; calls that wait for it reject with WorkerDiedError. */
  terminate(): void;
  /** Ends the worker at the end of the block of `using worker = await spawn(…)`, where the browser has `Symbol.dispose`. */
  [Symbol.dispose](): void;
  /** Ends the worker at the end of the block of `await using`, and waits for its end. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Any function that a script may export. */
export type AnyFunctions = Record<string, (...args: any[]) => any>;

/** A worker whose methods are the functions that its script exports. */
export type PythonWorker<T = AnyFunctions> = WorkerHandle<T> & Omit<Remote<T>, keyof WorkerHandle<T>>;
