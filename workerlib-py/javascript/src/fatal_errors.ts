/**
 * Tells of the end of a Pyodide: a fatal error (a WebAssembly trap, an overflow of the native stack, an abort or an exit), or a
 * worker that closes itself.
 *
 * Pyodide reports such an error to the console and goes on, with an interpreter whose memory nobody can trust. Here the end is
 * told once, to all listeners, before anything else happens; then a worker closes itself. The workers' scripts install the watch
 * when Pyodide has started. Python evaluates the same file where PyScript has started it (`_channels/fatal_errors.py`). It
 * knows no channels: a listener tells the other side.
 */

/** The parts of Pyodide's internal API that are used here. */
export interface FatalApi {
  fatal_error(error: unknown): void;
  workerlib_fatal?: FatalWatch;
}

/** Hears why a Pyodide has ended, and by which error, if by one. */
export type OnFatal = (reason: string, error?: unknown) => void;

/** Watches one Pyodide. */
export class FatalWatch {
  /** Why Pyodide has ended; undefined while it lives. */
  reason: string | undefined;
  #error: unknown;
  readonly #listeners = new Set<OnFatal>();
  readonly #close: () => void;

  constructor(api: FatalApi) {
    this.#close = closing();
    if ("WorkerGlobalScope" in globalThis) {
      globalThis.close = () => {
        this.#fail("it closed itself");
      };
    }
    const original = api.fatal_error.bind(api);
    api.fatal_error = (error) => {
      if (!isHarmless(error)) this.#fail(reasonOf(error), error);
      // It throws an error of its own.
      original(error);
    };
  }

  /** Has a function called when Pyodide ends, or at once if it has; returns what ends that. */
  listen(listener: OnFatal): () => void {
    this.#listeners.add(listener);
    if (this.reason !== undefined) this.#tell(this.reason);
    return () => this.#listeners.delete(listener);
  }

  /** Has the reason posted when Pyodide ends, in an object with this mark. */
  post(port: { postMessage(message: unknown): void }, mark: string): void {
    this.listen((reason) => port.postMessage({ mark, reason }));
  }

  /** Has the last message of a connection's channel posted when Pyodide ends (docs/wire-format.md, section 2). */
  endChannel(port: { postMessage(message: unknown): void }): () => void {
    return this.listen((reason, error) => {
      const { name, message } = Object(error) as { name?: unknown; message?: unknown };
      const isNamed = typeof name === "string" && typeof message === "string";
      port.postMessage([true, reason, ...(isNamed ? [name, message] : [])]);
    });
  }

  #fail(reason: string, error?: unknown): void {
    if (this.reason === undefined) [this.reason, this.#error] = [reason, error];
    // Again for the listeners that could not be told: the stack of an overflow has no room until outer functions have ended.
    this.#tell(this.reason);
    // Pyodide's own report still goes to the console: a worker that closes itself ends with the current event.
    this.#close();
  }

  #tell(reason: string): void {
    for (const listener of this.#listeners) {
      try {
        listener(reason, this.#error);
        this.#listeners.delete(listener);
      } catch (error) {
        console.error("workerlib: the end of Pyodide could not be told:", error);
      }
    }
  }
}

/** Returns the watch of a Pyodide, which is installed once. */
export function watchFatal(api: FatalApi): FatalWatch {
  return (api.workerlib_fatal ??= new FatalWatch(api));
}

/** Returns a function that ends this worker; on a page, and in the main thread of Node, it does nothing. */
function closing(): () => void {
  if ("WorkerGlobalScope" in globalThis) return globalThis.close.bind(globalThis);
  const { process } = globalThis as unknown as { process?: NodeProcess };
  if (process?.getBuiltinModule?.("node:worker_threads").isMainThread !== false) return () => {};
  // In a later event, so that messages leave before.
  return () => void setTimeout(() => process.exit(1));
}

interface NodeProcess {
  exit(code: number): never;
  getBuiltinModule?(name: string): { isMainThread: boolean };
}

/** Tells whether an error is one that Pyodide survives: a proxy that is called while JavaScript waits for Python. */
function isHarmless(error: unknown): boolean {
  return (error as Error | undefined)?.name === "NoGilError";
}

function reasonOf(error: unknown): string {
  const { name, message, status } = (error ?? {}) as { name?: string; message?: string; status?: number };
  if (name === "Exit" || name === "ExitStatus") return `its Python has exited${status === undefined ? "" : ` with code ${status}`}`;
  return `its Python has failed fatally (${message ? `${name}: ${message}` : String(error)})`;
}
