/**
 * `spawnPool()`: several workers that run the same script; each call runs on whichever worker is free.
 *
 *     const pool = await spawnPool({ script: "./worker.py", size: 4 });
 *     for await (const small of pool.map("resize", pictures)) show(small);
 *
 * It makes the object that the page holds. `slots.ts` has the workers and the tasks, `mapping.ts` the maps.
 */
import { Connection } from "../connection.js";
import { WorkerDiedError } from "../errors.js";
import { hiddenBy, methodsOf } from "../members.js";
import { checkMap, checkName, checkPoolOptions, checkTaskOptions } from "../options.js";
import { iterable } from "../streams.js";
import type { AnyFunctions, Remote, SpawnOptions } from "../types.js";
import { ItemMap, type MapOptions, type PoolMap } from "./mapping.js";
import { Slots, type PoolStats, type TaskOptions } from "./slots.js";

export type { MapOptions, PoolMap } from "./mapping.js";
export type { PoolStats, TaskOptions } from "./slots.js";

const LARGEST_DEFAULT = 4;

/** The options by which a pool is started: `spawn()`'s options hold for each worker. */
export interface PoolOptions extends SpawnOptions {
  /** The number of workers; by default that of the machine's cores, and 4 at most. */
  size?: number | undefined;
  /** The number of times that a worker that died is started again within a minute; 3 by default, Infinity for any number. */
  maxRestarts?: number | undefined;
  /** The milliseconds before the first restart, which double with each further death, and the most: [100, 5000] by default. */
  backoff?: readonly [first: number, longest: number] | undefined;
  /** The number of workers that may die of a task before it is not tried again; 2 by default. */
  poisonAfter?: number | undefined;
}

/** A task of a pool that can be cancelled. */
export interface PoolTask<R> extends Promise<R> {
  /** Drops the task if it waits, cancels it if it runs; it rejects with an AbortError. */
  cancel(): void;
}

type Arguments<T, K extends keyof T> = T[K] extends (...args: infer A) => unknown ? A : never;
type Result<T, K extends keyof T> = T[K] extends (...args: never[]) => infer R ? Awaited<R> : never;

/** The functions that a pool runs: those of a worker, but for streams. */
type Runnable<T> = { [K in keyof T as IsStream<T[K]> extends true ? never : K]: T[K] };

// A result of the type `any` may be a stream or not: its function stays.
type IsStream<F> = F extends (...args: never[]) => infer R ? (unknown extends R ? false : R extends AsyncIterable<unknown> ? true : false) : false;

/** The functions of all workers of a pool: each returns an array of the results. */
export type Each<T> = {
  [K in keyof Runnable<T>]: Runnable<T>[K] extends (...args: infer A) => infer R ? (...args: A) => Promise<Awaited<R>[]> : never;
};

/** The members that every pool has besides the exported functions; `call` reaches an export of the same name. */
export interface PoolHandle<T> {
  /** The names that the script exports. */
  readonly exports: readonly string[];
  /** Calls an exported function with keyword arguments and options. */
  call<K extends keyof Runnable<T> & string>(
    name: K,
    args?: Partial<Arguments<Runnable<T>, K>>,
    kwargs?: Record<string, unknown>,
    options?: TaskOptions,
  ): Promise<Result<Runnable<T>, K>>;
  /** The same pool for calls with these options: `pool.with({ timeout: 500, retries: 1 }).mean(…)`. */
  with(options: TaskOptions): Remote<Runnable<T>>;
  /** Calls an exported function, and returns a promise with `cancel()`. */
  submit<K extends keyof Runnable<T> & string>(name: K, ...args: Arguments<Runnable<T>, K>): PoolTask<Result<Runnable<T>, K>>;
  /**
   * Calls an exported function for each item: `for await (const result of pool.map("f", items))`.
   *
   * @throws TypeError or RangeError at once, if the name, the items or an option cannot be meant
   */
  map<K extends keyof Runnable<T> & string>(
    name: K,
    items: Iterable<Arguments<Runnable<T>, K>[0]> | AsyncIterable<Arguments<Runnable<T>, K>[0]>,
    options: MapOptions & { errors: "yield" },
  ): PoolMap<Result<Runnable<T>, K> | Error>;
  map<K extends keyof Runnable<T> & string>(
    name: K,
    items: Iterable<Arguments<Runnable<T>, K>[0]> | AsyncIterable<Arguments<Runnable<T>, K>[0]>,
    options?: MapOptions,
  ): PoolMap<Result<Runnable<T>, K>>;
  /** Runs a function on every worker; workers that start later run it first. */
  readonly each: Each<T>;
  /** The number of workers that are idle, busy, starting and parked, and how many tasks wait and have ended. */
  stats(): PoolStats;
  /** Replaces every worker, a busy one when its task has ended; resolves when all have started. */
  restart(): Promise<void>;
  /** Ends all workers; tasks without an answer reject with WorkerDiedError. */
  close(): Promise<void>;
  /** Ends all workers at the end of the block of `await using pool = await spawnPool(…)`, where the browser has it. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Workers whose exported functions are methods, each call of which runs on whichever worker is free. */
export type WorkerPool<T = AnyFunctions> = PoolHandle<T> & Omit<Remote<Runnable<T>>, keyof PoolHandle<T>>;

/**
 * Starts workers that run the same script, one after the other, and returns the pool when the first one can be called.
 *
 * @throws WorkerStartError if the first worker cannot be started: see `spawn()`
 * @throws TypeError if `PoolOptions` has no such option, or its type is another one
 * @throws RangeError if a number is out of its range
 */
export async function spawnPool<T = AnyFunctions>(options: PoolOptions = {}): Promise<WorkerPool<T>> {
  checkPoolOptions(options);
  const { size = defaultSize(), maxRestarts = 3, backoff = [100, 5000], poisonAfter = 2, signal, ...each } = options;
  if (!Number.isInteger(size) || size < 1) throw new RangeError(`size: ${size}: a pool has at least one worker`);
  if (!(maxRestarts >= 0)) throw new RangeError(`maxRestarts: ${maxRestarts}: write the number of restarts in a minute`);
  if (!(backoff[0] >= 0 && backoff[1] >= backoff[0])) {
    throw new RangeError(`backoff: [${backoff.join(", ")}]: write the first and the longest delay in milliseconds`);
  }
  if (!(poisonAfter >= 1)) throw new RangeError(`poisonAfter: ${poisonAfter}: write a number from 1 on`);
  signal?.throwIfAborted();
  Connection.check(each);
  const name = each.name ?? String(each.script ?? "python").split("/").at(-1)!;
  let count = 0;
  // Aborted when the pool has ended: a worker that is being started then ends, too.
  const ended = new AbortController();
  const slots = new Slots({ size, maxRestarts, backoff, poisonAfter }, async () => {
    const connection = new Connection({ ...each, name: `${name} ${(count += 1)}`, signal: ended.signal });
    try {
      await connection.start();
    } catch (error) {
      connection.end("it could not be started");
      throw error;
    }
    return connection;
  });
  const end = (reason: string): void => {
    signal?.removeEventListener("abort", abort);
    slots.close(reason);
    ended.abort(new WorkerDiedError(`the pool has ended: ${reason}`));
  };
  const abort = (): void => end("it was aborted");
  signal?.addEventListener("abort", abort);
  try {
    await slots.open();
  } catch (error) {
    end("its first worker could not be started");
    throw signal?.aborted === true ? signal.reason : error;
  }
  return handle<T>(slots, name, size, end);
}

function handle<T>(slots: Slots, name: string, size: number, end: (reason: string) => void): WorkerPool<T> {
  const { exports } = slots;
  const close = async (): Promise<void> => {
    end("it was closed");
    await slots.closed();
  };
  // Where the call of a stream is iterated over, that throws the error which says that no pool runs it.
  const run = (name: string, args: unknown[], options?: TaskOptions): Promise<unknown> => iterable(slots.run(name, args, {}, options), name);
  const call = async (name: string, args?: unknown[], kwargs?: Record<string, unknown>, options: TaskOptions = {}): Promise<unknown> => {
    checkName(name, "call", ", args");
    checkTaskOptions(options, "call");
    return slots.run(name, args, kwargs, options);
  };
  // A function that gives a promise tells of a slip by that, as those of a worker do.
  const submit = async (name: string, args: unknown[], signal: AbortSignal): Promise<unknown> => {
    checkName(name, "submit", ", …args");
    return slots.run(name, args, {}, { signal });
  };
  const members: Record<PropertyKey, unknown> = {
    exports,
    call: (...given: Parameters<typeof call>) => iterable(call(...given), given[0]),
    with: (options: TaskOptions) => {
      checkTaskOptions(options, "with");
      return methodsOf({}, exports, (name, args) => run(name, args, options));
    },
    submit: (name: string, ...args: unknown[]) => {
      const abort = new AbortController();
      const cancel = (): void => abort.abort(new DOMException(`${name}() was cancelled`, "AbortError"));
      return Object.assign(submit(name, args, abort.signal), { cancel });
    },
    map: (name: string, items: Iterable<unknown> | AsyncIterable<unknown>, options: MapOptions = {}) => {
      checkMap(name, items, options);
      return new ItemMap(
        (item, rest) => slots.run(name, [item], {}, rest),
        items,
        { ...options, ahead: options.ahead ?? 4 * size },
        () => slots.ended,
      );
    },
    each: methodsOf({}, exports, (name, args) => slots.each(name, args)),
    stats: () => slots.stats(),
    restart: () => slots.restart(),
    close,
    [Symbol.toStringTag]: "WorkerPool",
    [Symbol.toPrimitive]: () => `[WorkerPool ${name}]`,
  };
  // Not every browser has it.
  if ("asyncDispose" in Symbol) members[Symbol.asyncDispose] = close;
  for (const hidden of hiddenBy(members, exports)) {
    console.warn(
      `workerlib: the workers of the pool ${name} export ${hidden}, which is a member of every pool; ` +
        `call the function by pool.call(${JSON.stringify(hidden)}, args), or export it by another name`,
    );
  }
  return methodsOf(members, exports, (name, args) => run(name, args)) as WorkerPool<T>;
}

function defaultSize(): number {
  return Math.max(1, Math.min(LARGEST_DEFAULT, globalThis.navigator?.hardwareConcurrency ?? 1));
}
