/**
 * The items of a stream as a page in JavaScript takes them: `for await (const row of worker.rows(…))`.
 *
 * The page asks for batches, one after the other; the worker produces nothing before it is asked. How a batch is asked for, and
 * what ends the wait for it, is the connection's business.
 */

/** Items, and whether they are the last ones. */
export type Batch<T> = [items: T[], isLast: boolean];

/** What a stream asks its worker for. */
export interface Source<T> {
  /** Asks for the next items. */
  next: () => Promise<Batch<T>>;
  /** Has the generator closed; resolves when it has cleaned up. */
  close: () => Promise<void>;
}

/** A stream of a worker's function. It is closed by `break`, by `return()`, and when the page has no more reference to it. */
export class PythonStream<T> implements AsyncIterableIterator<T> {
  readonly #source: Source<T>;
  #items: T[] = [];
  #position = 0;
  #hasEnded = false;

  constructor(source: Source<T>) {
    this.#source = source;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Takes the next item; rejects with what the generator raised, after the items before. */
  async next(): Promise<IteratorResult<T, undefined>> {
    while (this.#position === this.#items.length) {
      if (this.#hasEnded) return { done: true, value: undefined };
      try {
        [this.#items, this.#hasEnded] = await this.#source.next();
        this.#position = 0;
      } catch (error) {
        this.#hasEnded = true;
        throw error;
      }
    }
    this.#position += 1;
    return { done: false, value: this.#items[this.#position - 1]! };
  }

  /** Closes the generator, and waits until its `finally` has run; `break` calls it. */
  async return(): Promise<IteratorResult<T, undefined>> {
    this.#items = [];
    this.#position = 0;
    if (!this.#hasEnded) {
      this.#hasEnded = true;
      await this.#source.close();
    }
    return { done: true, value: undefined };
  }
}

/** A call, which may be awaited for its result or, if that is a stream, iterated over. */
export type StreamCall<T> = Promise<PythonStream<T>> & AsyncIterable<T>;

/** Adds to the promise of a call what iterates over its result. */
export function iterable<R>(call: Promise<R>, name: string): Promise<R> {
  const iterate = async function* (): AsyncGenerator<unknown, void> {
    const result: unknown = await call;
    if (!(result instanceof PythonStream)) throw new TypeError(`${name}() returned no stream: it is not a function with a yield`);
    yield* result;
  };
  return Object.assign(call, { [Symbol.asyncIterator]: iterate });
}
