/**
 * Hands Pyodide's compiled module and the image of the snapshot from a PyScript page to its workers, while both start.
 *
 * Only a page and its own workers can send each other compiled modules: over a BroadcastChannel they arrive as null. PyScript's
 * bridge between the two is no use to a worker that has no Python yet, but it carries what the page calls with. So a worker asks
 * by a BroadcastChannel, and the page calls a function that no worker has, on the bridge of each of its workers. The worker that
 * has asked reads the arguments in the message; all others answer that there is no such function, and no script of the
 * user's hears of it. While a page gets ready it holds a Web Lock, for which workers wait. A worker that gets nothing starts
 * as without this file, which knows nothing of Pyodide.
 */

/** Names the channel by which workers ask, the lock, and the function that no worker has. */
const NAME = "workerlib handover";
/** The tags that PyScript makes workers of. */
const TAGS = "script[worker], py-script[worker]";
/** For how many milliseconds a worker waits for a page that is later than itself, and for a message that is on its way. */
const GRACE = 25;
/** For how many milliseconds a worker waits for a page that gets ready: its thread may stand, or it may be another tab's. */
const PATIENCE = 5000;

/** The things that a page hands over. */
export interface Handed {
  /** Pyodide's compiled module. */
  module: WebAssembly.Module;
  /** The image of the snapshot, compiled. */
  image: WebAssembly.Module;
}

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
  #handed: Handed | undefined;
  /** Ends the wait of the workers that wait for this page. */
  #release = (): void => {};

  /** Has workers wait that ask for what has this key. */
  constructor(key: string) {
    this.#key = key;
    this.#channel = new BroadcastChannel(nameOf(key));
    this.#channel.onmessage = () => this.#tell();
    const held = new Promise<void>((resolve) => (this.#release = resolve));
    // Pages of other tabs hold it too. Where the browser refuses locks, no worker waits.
    navigator.locks.request(nameOf(key), { mode: "shared" }, () => held).catch(() => {});
  }

  /** Hands this over: to the workers that wait, and to those that ask later. */
  give(handed: Handed): void {
    this.#handed = handed;
    this.#tell();
    this.#release();
  }

  /** Has nobody wait any longer, and keeps nothing. */
  close(): void {
    this.#handed = undefined;
    this.#channel.close();
    this.#release();
  }

  #tell(): void {
    if (this.#handed === undefined) return;
    for (const { xworker } of document.querySelectorAll<Tag>(TAGS)) {
      // Each worker answers that it has no such function.
      xworker?.sync[NAME]?.(this.#key, this.#handed).catch(() => {});
    }
  }
}

/** Asks this worker's page for what has a key; undefined if there is nothing, or not in time. */
export async function receive(key: string): Promise<Handed | undefined> {
  const channel = new BroadcastChannel(nameOf(key));
  const settled = new AbortController();
  const { signal } = settled;
  let stop = (): void => {};
  const handed = new Promise<Handed>((resolve) => {
    stop = overhear((name, told, handed) => {
      if (name === NAME && told === key) resolve(handed as Handed);
    });
  });
  channel.postMessage("");
  const waitForAPage = async (): Promise<void> => {
    await navigator.locks.request(nameOf(key), { signal }, () => {});
    await new Promise((resolve) => setTimeout(resolve, GRACE));
  };
  // The second time for a page that has begun to get ready meanwhile.
  const inVain = waitForAPage().then(waitForAPage).catch(() => {});
  const timer = setTimeout(() => settled.abort(), PATIENCE);
  try {
    return (await Promise.race([handed, inVain])) ?? undefined;
  } finally {
    clearTimeout(timer);
    settled.abort();
    channel.close();
    stop();
  }
}

function nameOf(key: string): string {
  return `${NAME} ${key}`;
}

/** How `event.data` is read. */
const own = Object.getOwnPropertyDescriptor(MessageEvent.prototype, "data")!;
/** Functions that hear of the calls that arrive over PyScript's bridge: of the name, and of the arguments. */
const listeners = new Set<Listener>();
type Listener = (name: unknown, ...args: unknown[]) => void;

/**
 * Has a function hear of the calls that arrive over PyScript's bridge.
 *
 * The bridge listens at a port that it has taken out of the worker's first message, before this module is loaded: nobody else can
 * listen there. But it reads its messages by `event.data`, as everybody does.
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
