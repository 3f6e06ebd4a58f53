/**
 * Streams over Comlink, in both directions: the side that consumes asks for batches of items, one after the other.
 *
 * `BatchedStream` is the consumer's end, an async iterator. `Batches` is the producer's end for async iterables of JavaScript;
 * that of generators of Python is in `worker.ts`. How a batch is asked for, and what ends the wait for it, is the caller's
 * business.
 */

/** Items, and whether they are the last ones. */
export type Batch<T> = [items: T[], isLast: boolean];

/** The producer's end of a stream, as its consumer asks for it. */
export interface Source<T> {
  /** Asks for the next items. */
  next: () => Promise<Batch<T>>;
  /** Has the generator closed; resolves when it has cleaned up. It may be called after the end. */
  close: () => Promise<void>;
  /** Hears that nothing is asked for any more. A step may still be under way. */
  forget: () => void;
}

const DONE = Object.freeze({ done: true, value: undefined }) as IteratorReturnResult<undefined>;

/** The items of a stream, one by one: `for await (const item of stream)`. `break` and `return()` close its generator. */
export class BatchedStream<T> implements AsyncIterableIterator<T> {
  readonly #source: Source<T>;
  #items: T[] = [];
  #position = 0;
  #hasEnded = false;
  /** The number of steps that have begun and not ended, and the last of them: they are taken one after the other. */
  #pending = 0;
  #last: Promise<void> = Promise.resolve();
  /** Closes the generator at the end of the block of `await using stream = await worker.rows()`, where the browser has it. */
  declare [Symbol.asyncDispose]: () => Promise<void>;

  /** @param source the producer's end */
  constructor(source: Source<T>) {
    this.#source = source;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Takes the next item; rejects with what the generator raised, after the items before. */
  next(): Promise<IteratorResult<T, undefined>> {
    if (this.#pending === 0 && this.#position < this.#items.length) return Promise.resolve(this.#take());
    // At once, so that what comes after this call finds a step under way.
    const step = this.#pending === 0 ? this.#next() : this.#last.then(() => this.#next());
    this.#pending += 1;
    const settled = (): void => {
      this.#pending -= 1;
    };
    this.#last = step.then(settled, settled);
    return step;
  }

  /** Closes the generator, and waits until its `finally` has run; `break` calls it. Rejects with what that raised. */
  async return(): Promise<IteratorResult<T, undefined>> {
    this.#items = [];
    this.#position = 0;
    if (!this.#hasEnded) {
      this.#hasEnded = true;
      try {
        await this.#source.close();
      } finally {
        this.#source.forget();
      }
    }
    return DONE;
  }

  #take(): IteratorResult<T, undefined> {
    this.#position += 1;
    return { done: false, value: this.#items[this.#position - 1]! };
  }

  async #next(): Promise<IteratorResult<T, undefined>> {
    while (this.#position === this.#items.length) {
      if (this.#hasEnded) return DONE;
      let batch: Batch<T>;
      try {
        batch = await this.#source.next();
      } catch (error) {
        this.#end();
        throw error;
      }
      // Meanwhile, `return()` may have been called.
      if (this.#hasEnded) return DONE;
      const [items, isLast] = batch;
      this.#items = items;
      this.#position = 0;
      if (isLast) this.#end();
    }
    return this.#take();
  }

  #end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#source.forget();
  }
}

// Not every browser has it.
if ("asyncDispose" in Symbol) {
  BatchedStream.prototype[Symbol.asyncDispose] = async function (this: BatchedStream<unknown>) {
    await this.return();
  };
}

/** A call, which may be awaited for its result or, if that is a stream, iterated over. */
export type StreamCall<T> = Promise<BatchedStream<T>> & AsyncIterable<T>;

/**
 * Adds an iterator to the promise of a call, for functions that return a stream.
 *
 * @param call the call
 * @param name the function's name, for messages
 */
export function iterable<R>(call: Promise<R>, name: string): Promise<R> {
  return Object.assign(call, { [Symbol.asyncIterator]: () => new CallIterator(call, name) });
}

/** Iterates over the stream that a call returns. */
class CallIterator implements AsyncIterator<unknown> {
  #stream: BatchedStream<unknown> | undefined;

  constructor(
    readonly call: Promise<unknown>,
    readonly name: string,
  ) {}

  next(): Promise<IteratorResult<unknown, undefined>> {
    return this.#stream?.next() ?? this.#begin();
  }

  async return(): Promise<IteratorResult<unknown, undefined>> {
    const stream = this.#stream ?? (await this.call);
    return stream instanceof BatchedStream ? stream.return() : DONE;
  }

  async #begin(): Promise<IteratorResult<unknown, undefined>> {
    const result = await this.call;
    if (!(result instanceof BatchedStream)) {
      throw new TypeError(`${this.name}() returned no stream: only a function with a yield can be iterated over; await the others`);
    }
    this.#stream = result;
    return result.next();
  }
}

/** The number of items that a batch has at most, and how many milliseconds the items wait for further ones. */
const MOST = 256;
const MILLISECONDS = 4;

/** The producer's end of an async iterable of JavaScript. */
export class Batches {
  readonly #iterator: AsyncIterator<unknown>;
  /** A step of the iterator that has begun and has not been taken. */
  #pending: Promise<IteratorResult<unknown>> | undefined;
  #most = 1;

  /** @param source the iterable; nothing of it runs before the first batch is asked for */
  constructor(source: AsyncIterable<unknown>) {
    this.#iterator = source[Symbol.asyncIterator]();
  }

  /** Takes the next items. They are together what the iterator gave within a few milliseconds, and one to begin with. */
  async batch(): Promise<Batch<unknown>> {
    const items: unknown[] = [];
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isLate = false;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => {
        isLate = true;
        resolve(undefined);
      }, MILLISECONDS);
    });
    try {
      do {
        this.#pending ??= Promise.resolve(this.#iterator.next());
        const step = items.length === 0 ? await this.#pending : await Promise.race([this.#pending, late]);
        if (step === undefined) break;
        this.#pending = undefined;
        if (step.done) return [items, true];
        items.push(step.value);
      } while (items.length < this.#most && !isLate);
    } catch (error) {
      // An error comes in its place, after the items before it: then the step that failed is still there.
      if (items.length === 0) throw error;
    } finally {
      clearTimeout(timer);
    }
    this.#most = Math.min(this.#most * 2, MOST);
    return [items, false];
  }

  /** Closes the iterator, as `break` would. */
  async close(): Promise<void> {
    const pending = this.#pending;
    this.#pending = undefined;
    // Nobody waits for it any more.
    pending?.catch(() => {});
    await this.#iterator.return?.();
  }
}

/**
 * Tells whether an argument is sent as a stream: an async iterable. The browser's own streams are not, since
 * `Comlink.transfer` moves them.
 *
 * @param value the argument
 */
export function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  if (typeof value !== "object" || value === null || !(Symbol.asyncIterator in value)) return false;
  return Object.prototype.toString.call(value) !== "[object ReadableStream]";
}
