/**
 * Knows the memory snapshots from which the page's workers start, and has them made.
 *
 * The first worker of its kind starts Pyodide anew. When no worker has been starting for a moment, another worker makes a
 * snapshot, hands it over and ends; its start and each of its steps wait for calls that are in flight. If one has been kept
 * since an earlier visit, the first worker finds it and hands it over. How a snapshot is made and used is the workers' business
 * (`start.ts`).
 */
import * as Comlink from "comlink";

import type { Before, Snapshot } from "./snapshot/python.js";
import type { Offer } from "./start.js";
import type { InitOptions, PyodideWorker } from "./worker.js";

/** After how many milliseconds without a start of a worker the snapshot is made. */
const QUIET = 500;
/**
 * After how many starts without a snapshot no such moment is waited for: workers die and start again all the time. A pool of
 * the size that nobody gave has one start fewer.
 */
const MANY = 5;
/** For how many milliseconds a worker waits for a snapshot that is nearly made. */
const PATIENCE = 5000;
/** For how many milliseconds a step of the maker's waits for calls in flight, and how often it looks for them. */
const LONGEST_TURN = 5000;
const LOOK = 50;

/** The number of workers that are starting, of any kind. */
let starting = 0;

/** The page's side of a worker that has not ended. */
interface Caller {
  /** Whether a call to the worker has no answer yet. */
  readonly isCalling: boolean;
}

/** The callers of all workers of this page. */
const callers = new Set<Caller>();

/** The snapshot of workers that have the same Pyodide and the same workerlib. */
export class Snapshots {
  static readonly #known = new Map<string, Snapshots>();
  #kept: Snapshot | undefined;
  /** Pyodide's compiled module, for the maker. */
  #compiled: WebAssembly.Module | undefined;
  #cannot = false;
  #making = false;
  /** The number of workers that have started without a snapshot. */
  #plainStarts = 0;
  /** Set while a snapshot is nearly made. Resolves when the snapshot is made, or cannot be made. */
  #soon: Promise<void> | undefined;

  /** Returns the snapshots of workers with these options. */
  static of(options: InitOptions): Snapshots {
    const key = JSON.stringify(options);
    let known = Snapshots.#known.get(key);
    if (known === undefined) Snapshots.#known.set(key, (known = new Snapshots()));
    return known;
  }

  /** Notes that the page can call a worker. @returns a function that notes the worker's end */
  static note(caller: Caller): () => void {
    callers.add(caller);
    return () => callers.delete(caller);
  }

  /** Notes that a worker starts. @returns a function that notes the end of the start */
  begin(): () => void {
    starting += 1;
    return () => {
      starting -= 1;
    };
  }

  /** Tells what the worker that starts now is told of snapshots; waits for one that is nearly made. */
  async offer(): Promise<Offer | null> {
    const soon = this.#soon;
    if (soon !== undefined) {
      await Promise.race([soon, new Promise((resolve) => setTimeout(resolve, PATIENCE))]);
      // The maker may stand still: no further start waits for it.
      if (this.#soon === soon) this.#soon = undefined;
    }
    return this.#cannot ? null : { snapshot: this.#kept ?? null };
  }

  /**
   * Learns from a worker that has started, and has a snapshot made if there is none.
   *
   * @param remote the worker
   * @param makeWorker makes another worker
   * @param options how it is to load Pyodide and workerlib
   */
  async follow(remote: Comlink.Remote<PyodideWorker>, makeWorker: () => Worker, options: InitOptions): Promise<void> {
    if (this.#cannot) return;
    await this.#takeFrom(remote);
    this.#makeWhenQuiet(makeWorker, options);
  }

  /** Takes the snapshot that a worker has found; learns whether the one that it was given was of use. */
  async #takeFrom(remote: Comlink.Remote<PyodideWorker>): Promise<void> {
    const { found, failure, compiled } = await remote.takeSnapshot();
    this.#compiled ??= compiled;
    if (failure !== undefined) this.#cannot = true;
    this.#kept = failure === undefined ? (this.#kept ?? found) : undefined;
  }

  #makeWhenQuiet(makeWorker: () => Worker, options: InitOptions): void {
    const isUnneeded = (): boolean => this.#kept !== undefined || this.#cannot || this.#making;
    const make = (): void => {
      this.#making = true;
      void this.#make(makeWorker(), options);
    };
    if (isUnneeded()) return;
    this.#plainStarts += 1;
    if (this.#plainStarts >= MANY) {
      make();
      return;
    }
    setTimeout(() => {
      void callsInFlight().then(() => {
        if (starting === 0 && !isUnneeded()) make();
      });
    }, QUIET);
  }

  async #make(worker: Worker, options: InitOptions): Promise<void> {
    let settle = (): void => {};
    const before: Before = async (step, snapshot) => {
      if (step === "write") this.#soon = new Promise((resolve) => (settle = resolve));
      if (snapshot !== undefined) {
        // Workers that start now do not wait until it is kept.
        this.#kept = snapshot;
        this.#soon = undefined;
        settle();
      }
      await callsInFlight();
    };
    const failed = new Promise<never>((_, reject) => {
      worker.addEventListener("error", (event) => reject(new Error(event.message || "its script could not be loaded")));
    });
    try {
      const made = Comlink.wrap<PyodideWorker>(worker).makeSnapshot(options, this.#compiled, Comlink.proxy(before));
      const snapshot = await Promise.race([made, failed]);
      this.#kept ??= snapshot;
    } catch (error) {
      // It may have been made, and could not be kept.
      if (this.#kept !== undefined) return;
      this.#cannot = true;
      const cause = (error instanceof Error ? error.message : String(error)).trimEnd().split("\n").at(-1);
      console.warn(`workerlib: no memory snapshot can be made, workers start without: ${cause}`);
    } finally {
      worker.terminate();
      this.#making = false;
      this.#compiled = this.#soon = undefined;
      settle();
    }
  }
}

/** Waits until no call is in flight, for some seconds, and not while a worker starts: that waits for the maker. */
async function callsInFlight(): Promise<void> {
  const isCalling = (): boolean => starting === 0 && [...callers].some((caller) => caller.isCalling);
  for (let waited = 0; waited < LONGEST_TURN && isCalling(); waited += LOOK) {
    await new Promise((resolve) => setTimeout(resolve, LOOK));
  }
}
