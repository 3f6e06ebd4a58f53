/**
 * The results of a function for each item, in order or as they come: what `pool.map()` returns.
 *
 * Items are read as far as there are workers for them. The end of the loop, also by `break`, ends the map: items that wait are
 * dropped, those that run are cancelled.
 */
import { Line } from "../line.js";
import type { TaskOptions } from "./slots.js";

/** The options of a map. */
export interface MapOptions extends Omit<TaskOptions, "onReport"> {
  /** Whether results come in the order of their items, which is so by default; otherwise as they are ready. */
  ordered?: boolean | undefined;
  /** "throw", which is the default, to throw the first error and end the map; "yield" to yield errors in place of results. */
  errors?: "throw" | "yield" | undefined;
  /** The number of items that may have been read without their results having been taken; by default four for each worker. */
  ahead?: number | undefined;
  /** Is called with the number of items that have ended, and the number of all if it is known; what it throws ends the map. */
  onProgress?: ((done: number, total: number | undefined) => void) | undefined;
}

// TypeScript before 5.6 knows one type argument of `AsyncIterableIterator`.
/** The results of a map: for `for await`. */
export interface PoolMap<R> extends AsyncIterableIterator<R> {
  /** Takes the next result. */
  next(): Promise<IteratorResult<R, void>>;
  /** Ends the map, also while a result is being waited for, which is then the last one. */
  return(): Promise<IteratorResult<R, void>>;
}

type Outcome = { value: unknown } | { error: unknown };

/** An item that has been read and whose result has not been taken. */
interface Item {
  /** Undefined as long as it waits or runs. */
  outcome: Outcome | undefined;
}

type Step = IteratorResult<unknown, void>;

/** A map that runs. Its items are read from the first `next()` on. */
export class ItemMap implements PoolMap<unknown> {
  readonly #run: (item: unknown, options: TaskOptions) => Promise<unknown>;
  readonly #options: MapOptions & { ahead: number };
  readonly #ended: () => Error | undefined;
  readonly #source: Iterator<unknown> | AsyncIterator<unknown>;
  /** Aborted when the map has ended. */
  readonly #end = new AbortController();
  readonly #results: AsyncGenerator<unknown, void, undefined>;
  /** The items in the order in which their results are taken: that of their reading, or that in which they have ended. */
  readonly #line = new Line<Item>();
  /** The number of items that have been read and whose results have not been taken. */
  #untaken = 0;
  #total: number | undefined;
  #read = 0;
  #done = 0;
  #isReading = false;
  /** Whether the source has no more items. */
  #hasEnded = false;
  #failure: { error: unknown } | undefined;
  #isOver = false;
  #wake = (): void => {};

  /**
   * @param run runs the function for one item
   * @param items the items, which may be endless
   * @param options how
   * @param ended tells why nothing runs any more, once that is so
   * @throws RangeError if an option is out of its range
   */
  constructor(
    run: (item: unknown, options: TaskOptions) => Promise<unknown>,
    items: Iterable<unknown> | AsyncIterable<unknown>,
    options: MapOptions & { ahead: number },
    ended: () => Error | undefined = () => undefined,
  ) {
    const { ahead, errors = "throw" } = options;
    if (!(ahead >= 1)) throw new RangeError(`ahead: ${ahead}: write a number of items, from 1 on`);
    if (!["throw", "yield"].includes(errors)) throw new RangeError(`errors: ${errors}: write "throw" or "yield"`);
    this.#run = run;
    this.#options = options;
    this.#ended = ended;
    this.#source = iteratorOf(items);
    this.#total = lengthOf(items);
    this.#results = this.#give();
    if (options.signal?.aborted) this.#abort();
    options.signal?.addEventListener("abort", this.#abort);
  }

  async next(): Promise<Step> {
    let isLast = true;
    try {
      const step = await this.#results.next();
      isLast = step.done === true;
      return step;
    } finally {
      if (isLast) await this.#close();
    }
  }

  async return(): Promise<Step> {
    // A generator's own method would wait until the step that runs has ended.
    await this.#close();
    return this.#results.return();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  readonly #abort = (): void => {
    this.#end.abort(this.#options.signal!.reason);
    this.#wake();
  };

  async *#give(): AsyncGenerator<unknown, void, undefined> {
    const { errors = "throw" } = this.#options;
    for (;;) {
      if (this.#isOver) return;
      this.#end.signal.throwIfAborted();
      void this.#fill();
      const outcome = this.#line.first?.outcome;
      if (outcome === undefined) {
        if (this.#hasEnded && this.#untaken === 0) {
          // The error of the items' own iterator comes after the results of those before it.
          if (this.#failure !== undefined) throw this.#failure.error;
          return;
        }
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      this.#line.shift();
      this.#untaken -= 1;
      if ("error" in outcome) {
        // Endless items would give endless errors.
        const ended = this.#ended();
        if (ended !== undefined) throw ended;
        if (errors === "throw") throw outcome.error;
      }
      yield "error" in outcome ? outcome.error : outcome.value;
    }
  }

  /** Reads items as far as there is room for them. */
  async #fill(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    try {
      while (!this.#hasEnded && this.#untaken < this.#options.ahead && !this.#end.signal.aborted) {
        const next = await this.#source.next();
        if (next.done === true) {
          this.#hasEnded = true;
          this.#total = this.#read;
        } else if (!this.#end.signal.aborted) {
          this.#read += 1;
          this.#begin(next.value);
        }
      }
    } catch (error) {
      this.#hasEnded = true;
      this.#failure = { error };
    } finally {
      this.#isReading = false;
      this.#wake();
    }
  }

  #begin(value: unknown): void {
    const { ordered = true, timeout, retries } = this.#options;
    const item: Item = { outcome: undefined };
    this.#untaken += 1;
    if (ordered) this.#line.push(item);
    const end = (outcome: Outcome): void => {
      if (this.#end.signal.aborted) return;
      item.outcome = outcome;
      if (!ordered) this.#line.push(item);
      this.#done += 1;
      this.#tellProgress();
      this.#wake();
    };
    const options = { signal: this.#end.signal, ...(timeout && { timeout }), ...(retries && { retries }) };
    this.#run(value, options).then(
      (value) => end({ value }),
      (error: unknown) => end({ error }),
    );
  }

  #tellProgress(): void {
    // The page's error ends its map. Here nobody else would hear of it.
    const fail = (error: unknown): void => {
      // An async one may fail when the results have all been taken.
      if (this.#isOver) console.error("workerlib: onProgress failed after the end of its map:", error);
      this.#end.abort(error);
      this.#wake();
    };
    try {
      const told: unknown = this.#options.onProgress?.(this.#done, this.#hasEnded ? this.#read : this.#total);
      // An async function is taken for one without a result.
      if (told instanceof Promise) told.catch(fail);
    } catch (error) {
      fail(error);
    }
  }

  /** Drops items that wait, and cancels those that run. */
  async #close(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#options.signal?.removeEventListener("abort", this.#abort);
    this.#end.abort(new DOMException("the map has ended", "AbortError"));
    this.#wake();
    if (this.#hasEnded) return;
    const returned = this.#source.return?.();
    // An async generator ends with its next item, which may never come.
    if (!this.#isReading) await returned;
    else Promise.resolve(returned).catch(() => {});
  }
}

function lengthOf(items: object): number | undefined {
  if (Array.isArray(items) || ArrayBuffer.isView(items)) return (items as ArrayLike<unknown>).length;
  return items instanceof Set || items instanceof Map ? items.size : undefined;
}

function iteratorOf(items: Iterable<unknown> | AsyncIterable<unknown>): Iterator<unknown> | AsyncIterator<unknown> {
  // A string has no `in`.
  const isAsync = Symbol.asyncIterator in Object(items);
  return isAsync ? (items as AsyncIterable<unknown>)[Symbol.asyncIterator]() : (items as Iterable<unknown>)[Symbol.iterator]();
}
