/**
 * One worker of `spawn()` and the calls that wait for it.
 *
 * Each call settles: with its outcome, its time limit, its abort, or the worker's end. Comlink carries the calls and knows of
 * none of these. `Connection` knows nothing of the shape that a worker's functions have for the page.
 */
import * as Comlink from "comlink";

import { causeOf } from "./causes.js";
import { WorkerDiedError, WorkerStartError } from "./errors.js";
import { Interrupts } from "./interrupts.js";
import { Snapshots } from "./snapshots.js";
import type { Progress } from "./start.js";
import { Batches, BatchedStream, isAsyncIterable, iterable, type Batch } from "./streams.js";
import { terminationOf } from "./termination.js";
import type { CallOptions, SpawnOptions } from "./types.js";
import { explained } from "./unsendable.js";
import type { InitOptions, PyodideWorker, StartOptions } from "./worker.js";

/** Defined where this file itself comes out of the wheel. */
declare const WHEEL_IS_ELSEWHERE: boolean | undefined;

/** The time for each step of the start: fetching Pyodide, each package, the script. */
const START_TIMEOUT = 60_000;
/** The number of times that a worker is asked for a sign of life within the limit. */
const QUESTIONS = 4;

/** The name by which a worker reports: no function of the page has it. */
const REPORT = "workerlib.report";

/** A page's side of a worker. */
export class Connection {
  readonly name: string;
  readonly worker: Worker;
  /** Resolves with the reason when the worker has ended. */
  readonly closed: Promise<string>;
  exports: readonly string[] = [];
  readonly #options: SpawnOptions;
  readonly #remote: Comlink.Remote<PyodideWorker>;
  readonly #waiting = new Set<(error: unknown) => void>();
  /** Interrupts of the worker. Only an isolated page has them. */
  readonly #interrupts = Interrupts.make();
  /** The calls whose functions may run, also those that nobody waits for any more. */
  readonly #running = new Set<Promise<unknown>>();
  /** The functions that hear of the reports of calls, by their keys. */
  readonly #reports = new Map<number, (...values: unknown[]) => void>();
  /** Aborted when the worker has ended: what else was started for it ends then. */
  readonly #ended = new AbortController();
  #resolveClosed!: (reason: string) => void;
  #step = "loading the worker's own script";
  /** The error by which the worker's Python failed, if it could tell. */
  #cause: Error | undefined;
  #keys = 0;

  constructor(options: SpawnOptions) {
    this.#options = options;
    this.name = options.name ?? String(options.script ?? "python").split("/").at(-1)!;
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.worker = newWorker(options.worker, this.name);
    this.#remote = Comlink.wrap<PyodideWorker>(this.worker);
    this.worker.addEventListener(
      "message",
      ({ data }: MessageEvent<{ workerlib_died?: unknown; cause?: unknown } | null>) => {
        if (typeof data?.workerlib_died !== "string") return;
        this.#cause = causeOf(data.cause);
        this.end(data.workerlib_died);
      },
      { signal: this.#ended.signal },
    );
    terminationOf(this.worker).addEventListener("terminated", () => this.end("it was terminated"));
    const { signal } = options;
    signal?.addEventListener("abort", () => this.end("it was aborted", signal.reason), { signal: this.#ended.signal });
  }

  /** Throws if this page cannot do what the options ask for. */
  static check({ isolated }: SpawnOptions): void {
    if (typeof globalThis.Worker !== "function") {
      throw new WorkerStartError(
        "there is no Worker of a browser's here: call spawn() in a page, and not in a shared worker or where a server renders the page",
      );
    }
    if (isolated !== true || globalThis.crossOriginIsolated) return;
    throw new WorkerStartError(
      "the page is not cross-origin isolated: its server has to send the headers Cross-Origin-Opener-Policy: same-origin and " +
        "Cross-Origin-Embedder-Policy: require-corp",
    );
  }

  /** Starts Python in the worker, installs what is needed and runs the script. */
  async start(): Promise<void> {
    const { script, packages, indexURLs, pyodide, workerlib, heartbeat, onProgress } = this.#options;
    const timeout = this.#options.timeout ?? START_TIMEOUT;
    const wheel = workerlib ?? packagedWheel();
    const equipment: InitOptions = {
      ...pyodide,
      base: globalThis.document?.baseURI ?? globalThis.location.href,
      ...(wheel !== undefined && { workerlib: String(wheel) }),
    };
    const options: StartOptions = {
      ...equipment,
      ...(packages && { packages }),
      ...(indexURLs && { indexURLs }),
      ...(script !== undefined && { script: String(script) }),
      ...(this.#interrupts && { memory: this.#interrupts.memory }),
      ...(onProgress && { countsBytes: true }),
    };
    const snapshots = this.#options.snapshot === false ? undefined : Snapshots.of(equipment);
    let beginAnew = (): void => {};
    const report = Comlink.proxy((progress: Progress) => {
      this.#step = STEPS[progress.stage] + progress.what;
      beginAnew();
      onProgress?.(progress);
    });
    // Later on, an error that the worker does not catch is no reason to give it up.
    const loading = new AbortController();
    this.worker.addEventListener("error", (event) => this.#failToLoad(event), { signal: loading.signal });
    const started = snapshots?.begin();
    void this.closed.then(Snapshots.note(this));
    const watching = this.#watch(timeout);
    // Where the worker dies, the start itself tells of it.
    watching.catch(() => {});
    const start = async (): Promise<string[]> =>
      this.#remote.start(
        { ...options, snapshot: (await snapshots?.offer()) ?? null },
        report,
        Comlink.proxy((name: string, ...args: unknown[]) => this.#serve(name, args)),
        Object.keys(this.#options.exports ?? {}),
      );
    try {
      this.exports = await this.#settle(start, {
        timeout,
        late: () => `the worker ${this.name} did not get any further within ${timeout} ms: it was ${this.#step}`,
        renewable: (renew) => {
          beginAnew = renew;
        },
      });
      await watching;
    } catch (error) {
      if (error instanceof WorkerStartError) throw error;
      if (isNamed(error, "WorkerStartError")) throw new WorkerStartError(error.message, error.traceback, causeOf(error.cause));
      throw error instanceof WorkerDiedError ? this.#died(`${error.message}; it was ${this.#step}`) : error;
    } finally {
      loading.abort();
      started?.();
    }
    const makeWorker = (): Worker => newWorker(this.#options.worker, "workerlib's snapshot");
    void snapshots?.follow(this.#remote, makeWorker, equipment);
    if (heartbeat !== undefined) this.#expectHeartbeat(heartbeat);
  }

  /** Whether a call has no answer yet, or the function of one that nobody waits for may run. */
  get isCalling(): boolean {
    return this.#waiting.size > 0 || this.#running.size > 0;
  }

  /** Calls an exported function. */
  call(
    name: string,
    args: unknown[] = [],
    kwargs: Record<string, unknown> = {},
    options: CallOptions = {},
  ): Promise<unknown> {
    const streams: number[] = [];
    const sent = args.map((value, at) => {
      if (typeof value === "function") return Comlink.proxy(value);
      if (!isAsyncIterable(value) || Comlink.proxyMarker in value) return value;
      streams.push(at);
      return Comlink.proxy(new Batches(value));
    });
    const send = async (key: number): Promise<unknown> => {
      try {
        return this.#received(await this.#remote.apply(key, name, kwargs, streams, ...sent), key, `${name}()`, options);
      } catch (error) {
        throw explained(error, name, args, kwargs);
      }
    };
    return iterable(this.#cancellable(send, `${name}()`, options), name);
  }

  /** Resolves when no function runs in the worker, or the worker has ended: a call that was cancelled may go on for a while. */
  async idle(): Promise<void> {
    while (this.#running.size > 0 && !this.#ended.signal.aborted) {
      await Promise.race([this.closed, Promise.allSettled(this.#running)]);
    }
  }

  /** Runs Python code. */
  runPython(code: string, options: CallOptions = {}): Promise<unknown> {
    const what = "runPython()";
    const send = async (key: number): Promise<unknown> =>
      this.#received(await this.#remote.runPython(code, key), key, what, options);
    return this.#cancellable(send, what, options);
  }

  /** Installs more packages. */
  async install(packages: string | readonly string[], options: CallOptions = {}): Promise<void> {
    const indexURLs = this.#options.indexURLs ?? [];
    await this.#settle(() => this.#remote.install(packages, indexURLs), {
      ...options,
      late: () => `install() did not end within ${options.timeout} ms`,
    });
  }

  /** Ends the worker; all that waits for it is rejected. */
  end(reason: string, error?: unknown): void {
    if (this.#ended.signal.aborted) return;
    const told = `the worker ${this.name} ended: ${reason}`;
    this.#ended.abort(told);
    this.worker.terminate();
    this.#interrupts?.endAll();
    for (const reject of this.#waiting) reject(error ?? this.#died(told));
    this.#waiting.clear();
    this.#resolveClosed(reason);
  }

  /** The error by which the worker's Python failed, where the worker could tell it. */
  get cause(): Error | undefined {
    return this.#cause;
  }

  /** Makes the error of a call without an answer. */
  #died(text: string): WorkerDiedError {
    return new WorkerDiedError(text, this.#cause === undefined ? undefined : { cause: this.#cause });
  }

  /** Calls a function of the page for the worker, or hears of a report. */
  #serve(name: string, args: unknown[]): unknown {
    if (name === REPORT) {
      const [key, ...values] = args;
      this.#reports.get(key as number)?.(...values);
      return undefined;
    }
    const { exports } = this.#options;
    if (exports === undefined || !Object.hasOwn(exports, name)) throw new Error(`the page does not export ${name}`);
    const result = exports[name]!(...args);
    if (isAsyncIterable(result)) {
      throw new TypeError(`${name}() of the page returned an async iterable: pass it to the worker as an argument of a call`);
    }
    return result;
  }

  /** Makes a stream of a result that is one: a proxy of Comlink's, and the only result that is a function. */
  #received(result: unknown, key: number, what: string, options: CallOptions): unknown {
    if (typeof result !== "function") return result;
    const remote = result as unknown as Comlink.Remote<RemoteStream>;
    let asked: Promise<unknown> | undefined;
    const interrupt = (): void => {
      // The message reaches a generator that awaits, the interrupt one that computes.
      if (asked !== undefined) this.#interrupts?.begin(key);
    };
    return new BatchedStream<unknown>({
      next: () =>
        this.#settle(
          () => {
            const batch = remote.batch();
            const settled = (): void => {
              asked = undefined;
              this.#interrupts?.end(key);
            };
            asked = batch.then(settled, settled);
            return batch;
          },
          {
            ...options,
            late: () => `a step of ${what} did not end within ${options.timeout} ms`,
            cancel: () => {
              void remote.cancel();
              interrupt();
            },
          },
        ),
      close: async () => {
        const closed = this.#settle(() => remote.return(), { late: () => "" });
        interrupt();
        await closed;
      },
      forget: () => {
        // Comlink drops the answers of a proxy that is released. The worker closes a generator whose proxy is.
        void Promise.resolve(asked).then(() => remote[Comlink.releaseProxy]());
      },
    });
  }

  #cancellable<R>(call: (key: number) => Promise<R>, what: string, options: CallOptions): Promise<R> {
    const key = (this.#keys += 1);
    if (options.onReport !== undefined) this.#reports.set(key, options.onReport);
    const make = (): Promise<R> => {
      const made = call(key).finally(() => {
        this.#running.delete(made);
        this.#interrupts?.end(key);
        this.#reports.delete(key);
      });
      this.#running.add(made);
      return made;
    };
    return this.#settle(make, {
      ...options,
      late: () => `${what} did not end within ${options.timeout} ms`,
      cancel: () => {
        // The message reaches a function that awaits, the interrupt one that computes.
        void this.#remote.cancel(key);
        this.#interrupts?.begin(key);
      },
    });
  }

  /** Makes a call that ends by its outcome, its time limit, its abort, or the worker's end, whatever comes first. */
  #settle<R>(call: () => Promise<R>, { signal, timeout, late, cancel, renewable }: Limits): Promise<R> {
    if (this.#ended.signal.aborted) {
      return Promise.reject(this.#died(this.#ended.signal.reason as string));
    }
    if (signal?.aborted) return Promise.reject(signal.reason as Error);
    return new Promise<R>((resolve, reject) => {
      const settled = new AbortController();
      const release = (): void => {
        settled.abort();
        clearTimeout(timer);
        this.#waiting.delete(fail);
      };
      const fail = (error: unknown): void => {
        release();
        // An abort's reason may be of any type.
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
        reject(error);
      };
      const giveUp = (error: unknown): void => {
        fail(error);
        cancel?.();
      };
      const begin = (): ReturnType<typeof setTimeout> | undefined =>
        timeout ? setTimeout(() => giveUp(new DOMException(late(), "TimeoutError")), timeout) : undefined;
      let timer = begin();
      renewable?.(() => {
        if (settled.signal.aborted) return;
        clearTimeout(timer);
        timer = begin();
      });
      signal?.addEventListener("abort", () => giveUp(signal.reason), { signal: settled.signal });
      this.#waiting.add(fail);
      // The call itself throws, before it is sent, if a value cannot be cloned.
      new Promise<R>((sent) => sent(call())).then((result) => {
        release();
        resolve(result);
      }, fail);
    });
  }

  #failToLoad(event: ErrorEvent): void {
    const why =
      event.message ||
      "it cannot be fetched, is not a script, or the page's Content Security Policy (worker-src) does not allow it";
    this.end(why, new WorkerStartError(`the script of the worker ${this.name} failed: ${why}`));
  }

  /** Notices the worker's death by any cause: the worker holds a lock, which the page gets when the worker is gone. */
  async #watch(timeout: number): Promise<void> {
    // A page outside of a secure context has no locks. It still notices workers that it ends itself.
    if (globalThis.navigator?.locks === undefined) return;
    const name = `workerlib ${crypto.randomUUID()}`;
    try {
      await this.#settle(() => this.#remote.holdLock(name), {
        timeout,
        late: () => `the worker ${this.name} did not take its lock within ${timeout} ms`,
      });
    } catch (error) {
      // A sandboxed frame, for example, has locks that may not be requested: then nobody can watch the worker.
      if (isNamed(error, "SecurityError") || isNamed(error, "InvalidStateError")) return;
      throw error;
    }
    navigator.locks
      .request(name, { signal: this.#ended.signal }, () => this.end("it died"))
      .catch(() => {
        // Aborted, since the worker was ended from here.
      });
  }

  /** Ends a worker that gives no sign of life. Timers of a hidden page are late: silence counts by what they should take. */
  #expectHeartbeat(limit: number): void {
    let isAnswered = true;
    let silent = 0;
    const step = limit / QUESTIONS;
    const timer = setInterval(() => {
      const mayCompute = this.#waiting.size > 0 && this.#options.heartbeatInCalls !== true;
      silent = isAnswered || mayCompute ? 0 : silent + step;
      if (silent >= limit) {
        this.end(`it gave no sign of life for ${limit} ms`);
      } else if (isAnswered) {
        isAnswered = false;
        void this.#remote.ping().then(() => {
          isAnswered = true;
        });
      }
    }, step);
    this.#ended.signal.addEventListener("abort", () => clearInterval(timer));
  }
}

/** A stream as `worker.ts` offers it. */
interface RemoteStream {
  batch: () => Promise<Batch<unknown>>;
  return: () => Promise<unknown>;
  cancel: () => void;
}

interface Limits extends CallOptions {
  /** Gives the text of the error of a time limit. */
  late: () => string;
  /** Tells the worker that nobody waits any more. */
  cancel?: () => void;
  /** Is handed a function that begins the time limit anew. */
  renewable?: (renew: () => void) => void;
}

const STEPS = { download: "fetching ", install: "installing ", import: "running ", ready: "ready: " };

function newWorker(address: string | URL | undefined, name: string): Worker {
  if (address === undefined) {
    // In this form, and in no other, bundlers see the worker and take its file along.
    if (sameOrigin(import.meta.url)) return new Worker(new URL("./worker.js", import.meta.url), { type: "module", name });
    address = new URL("./worker.js", import.meta.url);
  }
  const script = new URL(address, globalThis.document?.baseURI ?? globalThis.location.href).href;
  if (sameOrigin(script)) return new Worker(script, { type: "module", name });
  // A worker's script has to be of the page's origin; what it imports has not.
  const source = `import ${JSON.stringify(script)};`;
  // A sandboxed frame has an origin of its own, and Chromium loads no module from a blob: address there.
  const made =
    globalThis.origin === "null"
      ? `data:text/javascript,${encodeURIComponent(source)}`
      : URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  let worker: Worker;
  try {
    worker = new Worker(made, { type: "module", name });
  } catch (error) {
    URL.revokeObjectURL(made);
    // WebKit refuses an address that the page's policy forbids at once; other engines tell of it by an event.
    const allowed = `${made.slice(0, made.indexOf(":"))}: workers`;
    throw new WorkerStartError(`the script of the worker ${name} was not loaded: does the page's policy allow ${allowed}? (${String(error)})`, undefined, error);
  }
  // Once the worker has loaded it, or has not, the address would only keep the text for the life of the page.
  for (const event of ["message", "error"]) worker.addEventListener(event, () => URL.revokeObjectURL(made), { once: true });
  return worker;
}

function sameOrigin(address: string): boolean {
  // In a sandboxed frame the location still has the origin of the server.
  return new URL(address).origin === globalThis.origin;
}

/** The wheel beside this file, where this is the npm package. */
function packagedWheel(): URL | undefined {
  if (typeof WHEEL_IS_ELSEWHERE === "boolean") return undefined;
  return new URL("./workerlib.whl", import.meta.url);
}

function isNamed(error: unknown, name: string): error is Error & { traceback?: string; cause?: unknown } {
  return error instanceof Error && error.name === name;
}
