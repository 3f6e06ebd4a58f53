/**
 * Lets few calls of a page begin at a time; the others wait in a line, in their order.
 *
 * The first steps of a call are callbacks of Pyodide's event loop. Its queue takes a time for each of them that grows with the
 * queue's length, so tens of thousands of calls at once would take minutes. Any number of functions may be suspended: a call
 * counts only until the loop has had the turn in which the function begins, or until it has its outcome.
 */
import { Line } from "./line.js";

/** The number of calls that may be about to begin: the window of a connection, too (ADR 17). */
const MOST = 64;

/** A call in the line. */
interface Waiting {
  begin: () => void;
  isCancelled: boolean;
}

/** The calls that are about to begin, and those that wait. */
export class Beginnings {
  readonly #turn: () => Promise<unknown>;
  readonly #line = new Line<Waiting>();
  /** The calls of the line that can be cancelled, by their keys. */
  readonly #byKey = new Map<number, Waiting>();
  /** The number of calls that may have begun in this turn, and the turn's own number. */
  #begun = 0;
  #turns = 0;
  #isTurning = false;

  /** @param turn resolves when all functions have begun whose calls were made before */
  constructor(turn: () => Promise<unknown>) {
    this.#turn = turn;
  }

  /**
   * Makes a call when it may begin, and resolves with its outcome.
   *
   * @param key the call's number, or 0
   * @param call makes the call; it is told whether the call was cancelled while it waited
   */
  async run<R>(key: number, call: (isCancelled: boolean) => Promise<R>): Promise<R> {
    let isCancelled = false;
    if (this.#isTurning || this.#begun === MOST) isCancelled = await this.#wait(key);
    else this.#begun += 1;
    const turn = this.#turns;
    try {
      return await call(isCancelled);
    } finally {
      if (turn === this.#turns && !this.#isTurning) this.#begun -= 1;
    }
  }

  /** Notes that a call is cancelled if it waits, and tells whether it does. */
  cancel(key: number): boolean {
    const waiting = this.#byKey.get(key);
    if (waiting !== undefined) waiting.isCancelled = true;
    return waiting !== undefined;
  }

  #wait(key: number): Promise<boolean> {
    return new Promise((resolve) => {
      const waiting = {
        isCancelled: false,
        begin: () => {
          this.#byKey.delete(key);
          resolve(waiting.isCancelled);
        },
      };
      this.#line.push(waiting);
      if (key !== 0) this.#byKey.set(key, waiting);
      void this.#goOn();
    });
  }

  /** Has the calls of the line begin, turn by turn. */
  async #goOn(): Promise<void> {
    if (this.#isTurning) return;
    this.#isTurning = true;
    while (this.#line.length > 0) {
      // A Python that has failed fatally has no turns: then each call says so itself.
      await this.#turn().catch(() => {});
      this.#turns += 1;
      for (this.#begun = 0; this.#begun < MOST && this.#line.length > 0; this.#begun += 1) this.#line.shift()!.begin();
      // They make their calls in the next microtasks, and the next turn has to come after these.
      await Promise.resolve();
    }
    this.#isTurning = false;
  }
}
