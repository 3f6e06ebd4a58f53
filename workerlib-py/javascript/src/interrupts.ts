/**
 * The page's end of interrupts over shared memory: they end a function that computes in the worker.
 *
 * The worker's end, the meaning of the memory and the reasons are in `_hosts/browser/shared_memory_interrupts.py`; the page's
 * end for Python is there, too. A page without cross-origin isolation has no shared memory, and no interrupts.
 */

/** The bytes of one worker: Pyodide's flag, then two 32-bit ints. */
const SIZE = 12;
const SIGINT = 2;
/** Indices of 32-bit ints: the call that runs; the call that is to be interrupted, with the number of its cancels. */
const RUNNING = 1;
const WANTED = 2;
const BITS_OF_CANCELS = 6;
const TOKENS = (1 << (31 - BITS_OF_CANCELS)) - 1;

/** The worker may be in a call into C, or in other work: it is interrupted again until the call has ended. */
const PATIENCE = 20;
const TIMES = 25;
const LONGEST_PAUSE = 1000;

/** Interrupts the calls of one worker. */
export class Interrupts {
  readonly #flag: Uint8Array;
  readonly #ints: Int32Array;
  readonly #timers = new Map<number, ReturnType<typeof setTimeout>>();

  /** @param memory what the worker is given, too */
  constructor(readonly memory: SharedArrayBuffer) {
    this.#flag = new Uint8Array(memory);
    this.#ints = new Int32Array(memory);
  }

  /** Makes them, where memory can be shared. */
  static make(): Interrupts | undefined {
    return globalThis.crossOriginIsolated ? new Interrupts(new SharedArrayBuffer(SIZE)) : undefined;
  }

  /** Interrupts a call as soon as its code runs, until `end` is called for it. */
  begin(call: number): void {
    let times = 0;
    let pause = PATIENCE;
    const insist = (): void => {
      this.#interrupt(call);
      times += 1;
      if (times > TIMES) pause = Math.min(pause * 2, LONGEST_PAUSE);
      this.#timers.set(call, setTimeout(insist, pause));
    };
    this.end(call);
    this.#timers.set(call, setTimeout(insist, pause));
  }

  /** Leaves a call alone: it has ended. */
  end(call: number): void {
    clearTimeout(this.#timers.get(call));
    this.#timers.delete(call);
  }

  /** Leaves all calls alone: the worker has ended. */
  endAll(): void {
    for (const call of [...this.#timers.keys()]) this.end(call);
  }

  #interrupt(call: number): void {
    const token = (call % TOKENS) + 1;
    if (Atomics.load(this.#ints, RUNNING) !== token) return;
    Atomics.store(this.#ints, WANTED, (token << BITS_OF_CANCELS) | 1);
    Atomics.store(this.#flag, 0, SIGINT);
  }
}
