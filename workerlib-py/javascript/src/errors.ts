/** The errors of a worker that are not exceptions of its Python. */

/** Tells that the worker could not be started: no script, no package, no Pyodide, an error in the script. */
export class WorkerStartError extends Error {
  override name = "WorkerStartError";
  /** The Python traceback, if the script failed. */
  readonly traceback: string | undefined;

  /**
   * Makes the error.
   *
   * @param message the text, which names the thing that failed
   * @param traceback the Python traceback, if the script failed
   * @param cause the error for which the worker could not be started, where there is one
   */
  constructor(message: string, traceback?: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.traceback = traceback;
  }
}

/** Tells that the worker ended before it answered; `cause` is the error by which its Python failed, where the worker could tell it. */
export class WorkerDiedError extends Error {
  override name = "WorkerDiedError";
}

/** Tells that a pool has no worker left: each died too often, or could not be started again. */
export class PoolBrokenError extends Error {
  override name = "PoolBrokenError";
}
