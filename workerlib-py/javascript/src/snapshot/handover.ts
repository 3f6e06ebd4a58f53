/**
 * Hands Pyodide's compiled module and the image of the snapshot from a PyScript page to its workers, while both start.
 *
 * Only a page and its own workers can send each other compiled modules: over a BroadcastChannel they arrive as null. PyScript's
 * bridge between the two is no use to a worker that has no Python yet, but it carries what the page calls with. So a worker asks
 * by a BroadcastChannel, and the page calls a function that no worker has, on the bridge of each of its workers. The worker that
 * has asked reads the arguments in the message; all others answer that there is no such function, and no script of the
 * user's hears of it. A worker that gets nothing in time starts as without this file, which knows nothing of Pyodide.
 */

/** Names the channel by which workers ask, and the function that no worker has. */
const NAME = "workerlib handover";
/** The tags that PyScript makes workers of. */
const TAGS = "script[worker], py-script[worker]";
/** For how many milliseconds a worker waits for the page's word that it will hand over, and after that for the rest. */
const GRACE = 50;
const PATIENCE = 1000;

/** What a page hands over. */
export interface Handed {
  /** Pyodide's compiled module. */
  module: WebAssembly.Module;
  /** The image of the snapshot, compiled. */
  image: WebAssembly.Module;
}

/** The page's word: what it hands over, or whether it will. */
type Word = Handed | "soon" | "never";

/** A worker's tag; `xworker` is there when PyScript has made the worker. */
type Tag = Element & { xworker?: { sync: Record<string, (...args: unknown[]) => Promise<unknown>> } };

/** Tells whether this is a page that has workers to hand something to. */
export function hasWorkers(): boolean {
  return globalThis.document?.querySelector(TAGS) != null;
}

/** A page's side. */
export class Giver {
  readonly #key: string;
  readonly #channel: BroadcastChannel;
  #word: Word = "soon";

  /** Tells workers that ask from now on, or have asked just now, to wait for what has this key. */
  constructor(key: string) {
    this.#key = key;
    this.#channel = new BroadcastChannel(`${NAME} ${key}`);
    this.#channel.onmessage = () => this.#tell();
    this.#tell();
  }

  /** Hands this over: to the workers that wait, and to those that ask later. */
  give(handed: Handed): void {
    this.#word = handed;
    this.#tell();
  }

  /** Has nobody wait any longer. */
  refuse(): void {
    this.#word = "never";
    this.#tell();
    this.close();
  }

  /** Keeps nothing any longer. */
  close(): void {
    this.#word = "never";
    this.#channel.close();
  }

  #tell(): void {
    for (const { xworker } of document.querySelectorAll<Tag>(TAGS)) {
      // Each worker answers that it has no such function.
      xworker?.sync[NAME]?.(this.#key, this.#word).catch(() => {});
    }
  }
}

/** Asks this worker's page for what has a key; undefined if there is nothing, or not in time. */
export function receive(key: string): Promise<Handed | undefined> {
  return new Promise((resolve) => {
    const channel = new BroadcastChannel(`${NAME} ${key}`);
    const end = (handed?: Handed): void => {
      clearTimeout(timer);
      channel.close();
      stop();
      resolve(handed);
    };
    let timer = setTimeout(end, GRACE);
    let isPromised = false;
    const stop = overhear((name, told, word) => {
      if (name !== NAME || told !== key) return;
      if (word === "never") end();
      else if (word !== "soon") end(word as Handed);
      else if (!isPromised) {
        isPromised = true;
        clearTimeout(timer);
        timer = setTimeout(end, PATIENCE);
      }
    });
    channel.postMessage("");
  });
}

/** How `event.data` is read. */
const own = Object.getOwnPropertyDescriptor(MessageEvent.prototype, "data")!;
/** Functions that hear of the calls that arrive over PyScript's bridge: of the name, and of the arguments. */
const listeners = new Set<Listener>();
type Listener = (name: unknown, ...args: unknown[]) => void;

/**
 * Has a function hear of the calls that arrive over PyScript's bridge.
 *
 * The bridge takes its messages from a port that nobody else can reach, and reads them by `event.data`, as everybody does.
 *
 * @returns a function that ends it
 */
function overhear(listener: Listener): () => void {
  if (listeners.size === 0) {
    Object.defineProperty(MessageEvent.prototype, "data", {
      ...own,
      get(this: MessageEvent): unknown {
        const data: unknown = own.get!.call(this);
        if (Array.isArray(data) && Array.isArray(data[2])) {
          for (const listener of listeners) listener(data[1], ...(data[2] as unknown[]));
        }
        return data;
      },
    });
  }
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) Object.defineProperty(MessageEvent.prototype, "data", own);
  };
}
