/**
 * Python in a Web Worker for pages in JavaScript: `spawn()` starts a worker whose methods are the functions that its Python
 * script exports.
 *
 *     const worker = await spawn({ script: "./worker.py" });
 *     console.log(await worker.mean([1, 2.5]));
 *
 * The worker speaks Comlink. This package adds to it: a worker that cannot be started, dies or hangs rejects every call
 * that waits for it; a call can be aborted and can have a time limit; `using worker = await spawn(…)` ends it.
 */
import * as Comlink from "comlink";

import { Connection } from "./connection.js";
import { hiddenBy, methodsOf } from "./members.js";
import { checkCallOptions, checkOptions } from "./options.js";
import { iterable } from "./streams.js";
import type { AnyFunctions, CallOptions, PythonWorker, SpawnOptions } from "./types.js";

export { Comlink };
export { PoolBrokenError, WorkerDiedError, WorkerStartError } from "./errors.js";
export { spawnPool } from "./pool/index.js";
export type * from "./pool/index.js";
export type { Progress, PyodideSource, Stage } from "./start.js";
export { BatchedStream, type StreamCall } from "./streams.js";
export type * from "./types.js";
export type { InitOptions, PyodideWorker } from "./worker.js";

/**
 * Starts a worker and returns it when its script has run.
 *
 * @throws WorkerStartError if Pyodide, a package or the script cannot be fetched, or the script fails
 * @throws TypeError if `SpawnOptions` has no such option, or its type is another one
 * @throws DOMException "TimeoutError" if it takes too long, "AbortError" if it was aborted
 */
export async function spawn<T = AnyFunctions>(options: SpawnOptions = {}): Promise<PythonWorker<T>> {
  checkOptions(options);
  options.signal?.throwIfAborted();
  Connection.check(options);
  const connection = new Connection(options);
  try {
    await connection.start();
  } catch (error) {
    connection.end("it could not be started");
    throw error;
  }
  return handle<T>(connection);
}

/** Makes the object that the page holds; an export that a member hides is told on the console. */
function handle<T>(connection: Connection): PythonWorker<T> {
  const { name, exports, worker, closed } = connection;
  const call = (name: string, args?: unknown[], kwargs?: Record<string, unknown>, options?: CallOptions): Promise<unknown> =>
    checked(options, "call", () => connection.call(name, args, kwargs, options));
  const terminate = (): void => connection.end("it was terminated");
  const members: Record<PropertyKey, unknown> = {
    name,
    exports,
    worker,
    closed,
    call,
    with: (options: CallOptions) => {
      checkCallOptions(options, "with");
      return methodsOf({}, exports, (name, args) => connection.call(name, args, {}, options));
    },
    runPython: (code: string, options?: CallOptions) =>
      checked(options, "runPython", () => connection.runPython(code, options)),
    install: (packages: string | readonly string[], options?: CallOptions) =>
      checked(options, "install", () => connection.install(packages, options)),
    terminate,
    [Symbol.toStringTag]: "PythonWorker",
    [Symbol.toPrimitive]: () => `[PythonWorker ${name}]`,
  };
  // Not every browser has them.
  if ("dispose" in Symbol) members[Symbol.dispose] = terminate;
  if ("asyncDispose" in Symbol) {
    members[Symbol.asyncDispose] = async () => {
      terminate();
      await closed;
    };
  }
  for (const hidden of hiddenBy(members, exports)) {
    console.warn(
      `workerlib: the worker ${name} exports ${hidden}, which is a member of every worker; ` +
        `call the function by worker.call(${JSON.stringify(hidden)}, args), or export it by another name`,
    );
  }
  return methodsOf(members, exports, call) as PythonWorker<T>;
}

/** Begins a call unless its options are wrong: then it rejects, also where it is iterated over. */
function checked<R>(options: CallOptions | undefined, name: string, begin: () => Promise<R>): Promise<R> {
  try {
    if (options !== undefined) checkCallOptions(options, name);
  } catch (error) {
    return iterable(Promise.reject(error as TypeError), name);
  }
  return begin();
}
