/**
 * The workers of a pool and the tasks that wait for them: which task runs where, and what follows the death of a worker.
 *
 * Each worker runs one task at a time, so a death has one suspect. A task settles once. It knows neither Comlink nor browsers:
 * `index.ts` says how a worker is started.
 */
import { PoolBrokenError, WorkerDiedError } from "../errors.js";
import { BatchedStream, isAsyncIterable } from "../streams.js";
import type { CallOptions } from "../types.js";
import { Line } from "../line.js";

/** The milliseconds for which a death counts. */
const WINDOW = 60_000;
/** The number of milliseconds that a worker whose task was cancelled has to become idle before it is replaced. */
const GRACE = 2_000;

/** A worker, as the pool needs it. */
export interface Member {
  readonly exports: readonly string[];
  /** Resolves with the reason when the worker has ended. */
  readonly closed: Promise<string>;
  /** The error by which it ended, where one is known. */
  readonly cause?: Error | undefined;
  /** Calls an exported function. */
  call(name: string, args: unknown[], kwargs: Record<string, unknown>, options: CallOptions): Promise<unknown>;
  /** Resolves when no function runs in the worker, or the worker has ended. */
  idle(): Promise<void>;
  /** Ends the worker. */
  end(reason: string): void;
}

/** The limits and the delays of a worker's restarts. */
export interface Policy {
  size: number;
  /** The number of restarts of each worker within a minute; Infinity for any. */
  maxRestarts: number;
  /** The milliseconds before the first restart, which double, and the most. */
  backoff: readonly [number, number];
  /** The number of workers that may die of a task before it is not tried again. */
  poisonAfter: number;
}

/** The counts of a pool's work at one moment. */
export interface PoolStats {
  /** The number of workers that the pool should have. */
  size: number;
  /** Workers that wait for a task. */
  idle: number;
  /** Workers that run a task. */
  busy: number;
  /** Workers that are being started, or wait for their restart. */
  starting: number;
  /** Workers that died too often, and are not started again. */
  parked: number;
  /** Tasks that wait for a worker. */
  waiting: number;
  /** Tasks that returned or raised. */
  done: number;
  /** Tasks that ended without an answer: their worker died, their time was up, or they were aborted. */
  lost: number;
  /** Workers that were started in place of another. */
  restarts: number;
}

/** Options of a task of a pool. */
export interface TaskOptions extends CallOptions {
  /** The number of times that the task runs again if its worker dies; 0 by default. */
  retries?: number | undefined;
}

interface Task {
  name: string;
  args: unknown[];
  kwargs: Record<string, unknown>;
  options: TaskOptions;
  deaths: number;
  /** The death of the last worker that ran it. */
  fate: string;
  /** The error by which that worker ended, where one is known. */
  cause: Error | undefined;
  resolve: (value: unknown) => void;
  reject: (error: unknown) => void;
}

type State = "waiting" | "starting" | "idle" | "busy" | "condemned" | "parked";

interface Slot {
  state: State;
  member: Member | undefined;
  /** The tasks for its worker and no other. */
  pinned: Task[];
  /** The times of the deaths that count. */
  deaths: number[];
  /** Whether its worker is replaced when it is idle, and who waits for that. */
  renewals: (() => void)[];
  timer: ReturnType<typeof setTimeout> | undefined;
}

/** A call that every worker runs before anything else. */
class FirstCall {
  /** Whether it has failed on all workers: it would keep each later one from its work. */
  isDropped = false;
  /** Whether a worker that has started since has run it. */
  hasSucceeded = false;
  /** Notes the first outcome in a worker that has started since, or the error by which the pool ended. */
  tell!: (outcome: PromiseSettledResult<unknown>) => void;
  readonly told = new Promise<PromiseSettledResult<unknown>>((resolve) => (this.tell = resolve));
  /** Notes that its caller has an outcome. */
  settle!: () => void;
  readonly settled = new Promise<void>((resolve) => (this.settle = resolve));

  constructor(
    readonly name: string,
    public args: unknown[],
    public kwargs: Record<string, unknown>,
  ) {}
}

/** Stands for the result of a worker that died before its turn. */
const GONE = Symbol("gone");

/** Why a task does not run again, whatever its `retries` are. */
const ITERATOR = "; whatever its retries are, it runs once, since an argument is an iterator";
const MOVED = "; it cannot be sent again, since an argument was moved to that worker";

/** The workers of one pool. */
export class Slots {
  readonly #policy: Policy;
  readonly #start: () => Promise<Member>;
  readonly #slots: Slot[];
  readonly #queue = new Line<Task>();
  /** The tasks that have not settled, by their signals. Each signal has one listener: a map has one signal for all its items. */
  readonly #bySignal = new Map<AbortSignal, { tasks: Set<Task>; drop: () => void }>();
  /** The calls that every worker runs before anything else. */
  readonly #first: FirstCall[] = [];
  readonly #exports: string[] = [];
  /** Workers start one after the other. */
  #starting: Promise<unknown> = Promise.resolve();
  #closing: WorkerDiedError | undefined;
  #cause: unknown;
  #done = 0;
  #lost = 0;
  #restarts = 0;

  /**
   * @param policy how many workers there are, and how often they are started again
   * @param start starts one
   */
  constructor(policy: Policy, start: () => Promise<Member>) {
    this.#policy = policy;
    this.#start = start;
    this.#slots = Array.from({ length: policy.size }, () => {
      return { state: "starting", member: undefined, pinned: [], deaths: [], renewals: [], timer: undefined };
    });
  }

  /** The names that the workers export. */
  get exports(): readonly string[] {
    return this.#exports;
  }

  /** Why no task runs any more: the pool is closed, or no worker is left. Undefined as long as it works. */
  get ended(): Error | undefined {
    return this.#closing ?? this.#broken();
  }

  /** Starts the workers; resolves when the first one can run tasks, and rejects if it cannot be started. */
  async open(): Promise<void> {
    const [first, ...others] = this.#slots;
    await this.#bringUp(first!);
    // The script's own error ends the pool; a start without news is tried again, as after a death.
    while (first!.member === undefined && first!.state !== "parked" && this.#closing === undefined) {
      await new Promise<void>((resolve) => first!.renewals.push(resolve));
    }
    if (first!.member === undefined) throw (this.#cause ?? this.#closing) as Error;
    for (const slot of others) void this.#bringUp(slot);
  }

  /** Adds a task. */
  run(
    name: string,
    args: unknown[] = [],
    kwargs: Record<string, unknown> = {},
    options: TaskOptions = {},
    slot?: Slot,
  ): Promise<unknown> {
    const { signal } = options;
    if (signal?.aborted) return Promise.reject(signal.reason as Error);
    const closed = this.ended;
    if (closed !== undefined) return Promise.reject(closed);
    return new Promise((resolve, reject) => {
      const task: Task = { name, args, kwargs, options, deaths: 0, fate: "", cause: undefined, resolve, reject };
      if (signal !== undefined) this.#follow(signal, task);
      if (slot === undefined) this.#queue.push(task);
      else slot.pinned.push(task);
      this.#assign();
    });
  }

  /** Has a task dropped if its signal is aborted while it waits. A task that runs is aborted by its worker's connection. */
  #follow(signal: AbortSignal, task: Task): void {
    let followed = this.#bySignal.get(signal);
    if (followed === undefined) {
      const tasks = new Set<Task>();
      const drop = (): void => {
        for (const waiting of this.#queue.remove((one) => tasks.has(one))) this.#lose(waiting, signal.reason);
      };
      followed = { tasks, drop };
      this.#bySignal.set(signal, followed);
      signal.addEventListener("abort", drop);
    }
    const { tasks, drop } = followed;
    tasks.add(task);
    const release = (): void => {
      tasks.delete(task);
      if (tasks.size > 0) return;
      this.#bySignal.delete(signal);
      signal.removeEventListener("abort", drop);
    };
    const { resolve, reject } = task;
    task.resolve = (value) => (release(), resolve(value));
    task.reject = (error) => (release(), reject(error));
  }

  /**
   * Has every worker run a function, also those that start later, unless it fails on all.
   *
   * The result of a worker that dies before its turn is missing: the one in its place runs the function first of all. If there is
   * no other result, it is that of the first worker that starts.
   */
  async each(name: string, args: unknown[], kwargs: Record<string, unknown> = {}): Promise<unknown[]> {
    const closed = this.ended;
    if (closed !== undefined) throw closed;
    const at = args.findIndex(isIterator);
    if (at >= 0) {
      const remedy = "send an array, or an object whose Symbol.asyncIterator begins anew each time";
      throw new TypeError(`each.${name}(): args[${at}] is an iterator, which gives its items to one worker only; ${remedy}`);
    }
    const first = new FirstCall(name, args, kwargs);
    this.#first.push(first);
    try {
      const running = this.#slots.filter((slot) => slot.member !== undefined && slot.state !== "starting");
      const all = await Promise.allSettled(running.map((slot) => this.run(name, args, kwargs, {}, slot)));
      const known = all.filter((outcome) => outcome.status === "rejected" || outcome.value !== GONE);
      const outcomes = known.length > 0 ? known : [await first.told];
      const failed = outcomes.filter((outcome) => outcome.status === "rejected");
      if (failed.length > 0) {
        const isItsOwn = failed.every(({ reason }) => !(reason instanceof WorkerDiedError || reason instanceof PoolBrokenError));
        if (isItsOwn && failed.length === outcomes.length && !first.hasSucceeded) {
          Object.assign(first, { args: [], kwargs: {}, isDropped: true });
        }
        throw failed[0]!.reason;
      }
      return outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
    } finally {
      first.settle();
    }
  }

  /** Replaces every worker, those that run a task when it has ended; resolves when all have started. */
  async restart(): Promise<void> {
    const closed = this.ended;
    if (closed !== undefined) throw closed;
    const renewed = this.#slots.map((slot) => {
      const ended = new Promise<void>((resolve) => slot.renewals.push(resolve));
      if (slot.state === "idle") this.#renew(slot);
      if (slot.state === "parked") this.#revive(slot);
      return ended;
    });
    await Promise.all(renewed);
    const broken = this.ended;
    if (broken !== undefined) throw broken;
  }

  stats(): PoolStats {
    const slots = this.#closing === undefined ? this.#slots : [];
    const count = (...states: State[]): number => slots.filter(({ state }) => states.includes(state)).length;
    return {
      size: this.#slots.length,
      idle: count("idle"),
      busy: count("busy", "condemned"),
      starting: count("starting", "waiting"),
      parked: count("parked"),
      waiting: slots.reduce((count, { pinned }) => count + pinned.length, this.#queue.length),
      done: this.#done,
      lost: this.#lost,
      restarts: this.#restarts,
    };
  }

  /** Ends all workers; tasks without an answer reject with WorkerDiedError. */
  close(reason: string): void {
    if (this.#closing !== undefined) return;
    this.#closing = new WorkerDiedError(`the pool has ended: ${reason}`);
    this.#endFirst(this.#closing);
    const waiting = [...this.#queue.remove(), ...this.#slots.flatMap(({ pinned }) => pinned.splice(0))];
    for (const task of waiting) this.#lose(task, this.#closing);
    for (const slot of this.#slots) {
      clearTimeout(slot.timer);
      slot.member?.end(reason);
      this.#tellRenewed(slot);
    }
  }

  /** Resolves when all workers have ended. */
  async closed(): Promise<void> {
    await Promise.all(this.#slots.flatMap(({ member }) => (member === undefined ? [] : [member.closed])));
    await this.#starting;
  }

  #assign(): void {
    for (const slot of this.#slots) {
      if (slot.state !== "idle") continue;
      const task = slot.pinned.shift() ?? this.#queue.shift();
      if (task === undefined) continue;
      slot.state = "busy";
      void this.#execute(slot, slot.member!, task);
    }
  }

  async #execute(slot: Slot, member: Member, task: Task): Promise<void> {
    let isLate = false;
    try {
      const value = await refuseStream(task.name, await member.call(task.name, task.args, task.kwargs, task.options));
      this.#done += 1;
      task.resolve(value);
    } catch (error) {
      const reason = await settled(member.closed);
      if (reason !== undefined) {
        this.#onDeath(slot, member, reason);
        this.#blame(task, reason, member.cause);
        return;
      }
      const kind = error instanceof DOMException ? error.name : undefined;
      isLate = task.options.signal?.aborted === true || kind === "TimeoutError";
      if (isLate) this.#lose(task, error);
      else if (task.deaths > 0 && kind === "DataCloneError") this.#lose(task, died(task, MOVED));
      else {
        this.#done += 1;
        task.reject(error);
      }
    }
    if (isLate) {
      // Its function may go on: one that computes, or cleans up.
      slot.state = "condemned";
      if (!(await within(GRACE, member.idle()))) {
        this.#replace(slot, member, "the function that it ran did not end within two seconds after its cancel");
        return;
      }
    }
    if (slot.member !== member || this.#closing !== undefined) return;
    slot.state = "idle";
    if (slot.renewals.length > 0) this.#renew(slot);
    else this.#assign();
  }

  /** Settles a task of which a worker died, or lets it run again. */
  #blame(task: Task, reason: string, cause: Error | undefined): void {
    task.deaths += 1;
    task.fate = reason;
    task.cause = cause;
    if (this.#closing !== undefined) {
      this.#lose(task, this.#closing);
    } else if (task.deaths > (task.options.retries ?? 0)) {
      this.#lose(task, died(task));
    } else if (task.args.some(isIterator)) {
      this.#lose(task, died(task, ITERATOR));
    } else if (task.deaths >= this.#policy.poisonAfter) {
      const why = `each worker that ran it with these arguments died; the last one: ${reason}`;
      this.#lose(task, deadly(`${task.name}() is not tried again, since ${why}`, cause));
    } else {
      // Before tasks that have not begun.
      this.#queue.unshift(task);
      this.#assign();
    }
    this.#endIfBroken();
  }

  #lose(task: Task, error: unknown): void {
    this.#lost += 1;
    task.reject(error);
  }

  async #runFirst(member: Member, first: FirstCall): Promise<void> {
    if (first.isDropped) return;
    try {
      const value = await refuseStream(first.name, await member.call(first.name, first.args, first.kwargs, {}));
      first.hasSucceeded = true;
      first.tell({ status: "fulfilled", value });
    } catch (error) {
      if ((await settled(member.closed)) !== undefined) throw error;
      first.tell({ status: "rejected", reason: error });
      // A call that fails everywhere is its caller's mistake, and must not cost this worker.
      await first.settled;
      if (!first.isDropped) throw error;
    }
  }

  /** Starts a worker for a slot, which has run the calls for each worker before it gets a task. */
  #bringUp(slot: Slot): Promise<void> {
    slot.state = "starting";
    const started = this.#starting.then(async () => {
      if (this.#closing !== undefined) return;
      let member: Member | undefined;
      try {
        member = await this.#start();
        slot.member = member;
        for (let at = 0; at < this.#first.length; at += 1) await this.#runFirst(member, this.#first[at]!);
      } catch (error) {
        this.#cause = error;
        slot.member = undefined;
        member?.end("it could not be set up");
        // The end of the pool ends starts, too: nothing is amiss.
        if (this.#closing !== undefined) return;
        // A script that fails would fail again. A start without news, or a death, may be the machine's.
        const isMachines = error instanceof WorkerDiedError || (error instanceof DOMException && error.name === "TimeoutError");
        if (isMachines) this.#startLater(slot);
        else this.#park(slot);
        return;
      }
      if (this.#closing !== undefined) {
        member.end("the pool has ended");
        return;
      }
      for (const name of member.exports) if (!this.#exports.includes(name)) this.#exports.push(name);
      slot.state = "idle";
      const started = member;
      void started.closed.then((reason) => this.#onDeath(slot, started, reason));
      this.#tellRenewed(slot);
      this.#assign();
    });
    this.#starting = started;
    return started;
  }

  #onDeath(slot: Slot, member: Member, reason: string): void {
    if (slot.member !== member || this.#closing !== undefined) return;
    slot.member = undefined;
    this.#cause = deadly(reason, member.cause);
    this.#dropTasksOf(slot);
    this.#startLater(slot);
  }

  /** Starts a worker again after a death, or parks its slot. */
  #startLater(slot: Slot): void {
    const now = Date.now();
    slot.deaths = [...slot.deaths.filter((time) => time > now - WINDOW), now];
    const { maxRestarts, backoff } = this.#policy;
    if (slot.deaths.length > maxRestarts) {
      this.#park(slot);
      return;
    }
    slot.state = "waiting";
    const delay = Math.min(backoff[0] * 2 ** (slot.deaths.length - 1), backoff[1]);
    slot.timer = setTimeout(() => this.#revive(slot), delay);
  }

  #park(slot: Slot): void {
    slot.state = "parked";
    const left = this.#slots.filter(({ state }) => state !== "parked").length;
    // As long as others run, no call rejects because of it. A first worker that cannot be started is the pool's own error.
    if (left > 0 && this.#exports.length > 0) {
      console.warn(
        `workerlib: a pool goes on with ${left} of ${this.#slots.length} workers: one died too often, or cannot be started, and ` +
          `stays down; the last cause: ${text(this.#cause)}`,
      );
    }
    this.#dropTasksOf(slot);
    this.#tellRenewed(slot);
    this.#endIfBroken();
  }

  #revive(slot: Slot): void {
    clearTimeout(slot.timer);
    this.#restarts += 1;
    void this.#bringUp(slot);
  }

  /** Replaces a worker that is idle. It did not die, so nothing is counted. */
  #renew(slot: Slot): void {
    this.#replace(slot, slot.member!, "it was restarted");
  }

  #replace(slot: Slot, member: Member, reason: string): void {
    if (slot.member !== member || this.#closing !== undefined) return;
    slot.member = undefined;
    this.#dropTasksOf(slot);
    member.end(reason);
    this.#revive(slot);
  }

  /** Ends the calls that were for a worker which is gone. */
  #dropTasksOf(slot: Slot): void {
    for (const task of slot.pinned.splice(0)) {
      this.#lost += 1;
      task.resolve(GONE);
    }
  }

  #tellRenewed(slot: Slot): void {
    for (const resolve of slot.renewals.splice(0)) resolve();
  }

  #broken(): PoolBrokenError | undefined {
    if (this.#slots.some(({ state }) => state !== "parked")) return undefined;
    const why = `each died too often or could not be started again; the last cause: ${text(this.#cause)}`;
    return new PoolBrokenError(`the pool has no worker left: ${why}`, { cause: this.#cause });
  }

  #endIfBroken(): void {
    const broken = this.#broken();
    if (broken === undefined) return;
    this.#endFirst(broken);
    for (const task of this.#queue.remove()) this.#lose(task, broken);
  }

  /** Ends the calls for each worker that wait for one to start. */
  #endFirst(reason: Error): void {
    for (const first of this.#first) first.tell({ status: "rejected", reason });
  }
}

function text(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

/** Makes the error of a task whose worker died. */
function died({ name, fate, cause }: Task, why = ""): WorkerDiedError {
  return deadly(`the worker died while it ran ${name}(): ${fate}${why}`, cause);
}

/** Makes the error of a death; its `cause` is the error behind the death, where one is known. */
function deadly(text: string, cause: Error | undefined): WorkerDiedError {
  return new WorkerDiedError(text, cause === undefined ? undefined : { cause });
}

/** Closes a stream, and rejects in its place: its worker would be neither idle nor busy while it is read. */
async function refuseStream(name: string, value: unknown): Promise<unknown> {
  if (!(value instanceof BatchedStream)) return value;
  await value.return();
  throw new TypeError(`${name}() is a stream, which no pool runs: return an array, or call it on a single worker`);
}

/** Tells whether an argument is sent as a stream, and gives each of its items once: a generator, and not what makes one. */
function isIterator(value: unknown): boolean {
  return isAsyncIterable(value) && typeof (value as { next?: unknown }).next === "function";
}

/** Tells what a promise has resolved with; undefined if it has not yet. */
function settled<T>(promise: Promise<T>): Promise<T | undefined> {
  return Promise.race([promise, Promise.resolve(undefined)]);
}

/** Tells whether a promise resolves within a time. */
async function within(milliseconds: number, promise: Promise<unknown>): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), milliseconds);
  });
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
