/**
 * Python in a Web Worker for pages in JavaScript: `spawn()` starts a worker whose methods are the functions that its Python
 * script exports.
 *
 *     const worker = await spawn({ script: "./worker.py" });
 *     console.log(await worker.mean([1, 2.5]));
 *
 * The worker speaks Comlink. What is added to it here: a worker that cannot be started, dies or hangs rejects every call
 * that waits for it; a call can be aborted and can have a time limit.
 */
import * as Comlink from "comlink";

import { Connection } from "./connection.js";
import { WorkerStartError } from "./errors.js";
import type { AnyFunctions, CallOptions, PythonWorker, SpawnOptions } from "./types.js";

export { Comlink };
export { WorkerDiedError, WorkerStartError } from "./errors.js";
export type { Progress, PyodideSource, Stage } from "./start.js";
export type * from "./types.js";
export type { InitOptions, PyodideWorker } from "./worker.js";

/**
 * Starts a worker and returns it when its script has run.
 *
 * @throws WorkerStartError if Pyodide, a package or the script cannot be fetched, or the script fails
 * @throws DOMException "TimeoutError" if it takes too long, "AbortError" if it was aborted
 */
export async function spawn<T = AnyFunctions>(options: SpawnOptions = {}): Promise<PythonWorker<T>> {
  options.signal?.throwIfAborted();
  if (options.isolated && !globalThis.crossOriginIsolated) {
    throw new WorkerStartError(
      "the page is not cross-origin isolated: its server has to send the headers Cross-Origin-Opener-Policy: same-origin and " +
        "Cross-Origin-Embedder-Policy: require-corp",
    );
  }
  const connection = new Connection(options);
  try {
    await connection.start();
  } catch (error) {
    connection.end("it could not be started");
    throw error;
  }
  return handle<T>(connection);
}

/** What makes a worker's exported functions its methods. */
function handle<T>(connection: Connection): PythonWorker<T> {
  const own: Record<PropertyKey, unknown> = {
    name: connection.name,
    exports: connection.exports,
    worker: connection.worker,
    closed: connection.closed,
    call: (name: string, args?: unknown[], kwargs?: Record<string, unknown>, options?: CallOptions) =>
      connection.call(name, args, kwargs, options),
    with: (options: CallOptions) => methods(connection, {}, options),
    runPython: (code: string, options?: CallOptions) => connection.runPython(code, options),
    install: (packages: string | string[], options?: CallOptions) => connection.install(packages, options),
    terminate: () => connection.end("it was terminated"),
  };
  return methods(connection, own, {}) as unknown as PythonWorker<T>;
}

/** An object with these properties, all others of which are functions of the worker. */
function methods(connection: Connection, own: Record<PropertyKey, unknown>, options: CallOptions): object {
  return new Proxy<Record<PropertyKey, unknown>>(own, {
    get(target, name) {
      // `await` asks every object for `then`.
      if (name in target || typeof name !== "string" || name === "then") return target[name];
      return (...args: unknown[]) => connection.call(name, args, {}, options);
    },
  });
}
