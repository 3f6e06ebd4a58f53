/** The errors of a worker that are not exceptions of its Python. */

/** Tells that the worker could not be started: no script, no package, no Pyodide, an error in the script. */
export class WorkerStartError extends Error {
  override name = "WorkerStartError";
  /** The Python traceback, if the script failed. */
  readonly traceback: string | undefined;

  constructor(message: string, traceback?: string) {
    super(message);
    this.traceback = traceback;
  }
}

/** Tells that the worker ended before it answered. */
export class WorkerDiedError extends Error {
  override name = "WorkerDiedError";
}

/** Tells that a pool has no worker left: each died too often, or could not be started again. */
export class PoolBrokenError extends Error {
  override name = "PoolBrokenError";
}
