/**
 * Keeps images of snapshots from one visit to the next: in a browser in Cache Storage, in Node in a folder.
 *
 * An entry is written whole or not at all, and is read only if its SHA-256 digest is right. There are few entries at a time:
 * those of older builds and then the oldest make room, before a new one is written. Each step ends: a store that does not
 * answer is an error. This file knows nothing of what an image holds.
 */

/** The number of images that there may be: a site may have a page and workers, and a version before this one. */
const MOST = 4;
/** About how many bytes an image has, for the question whether there is room for one. */
const USUAL_BYTES = 16_000_000;
const CACHE = "workerlib-snapshots";
const DIGEST = "x-workerlib-digest";

/** For how many milliseconds steps are waited for, in which this thread has to be free. */
const LOOK_LIMIT = 3000;
const READ_LIMIT = 10_000;
const WRITE_LIMIT = 60_000;
/** The length of one wait. A thread that is busy for long has one wait end meanwhile, and not all of them. */
const WAIT = 100;

/**
 * The key of an image: its `start` names its kind, such as "page", and the build that it is of. Another image of the same kind
 * with another start is of another build. Hyphens separate the parts of both.
 */
export interface Key {
  start: string;
  /** The whole, which begins with the start. */
  text: string;
}

/** The kinds of keys. Keys of no kind are those of builds before this one. */
const KINDS = ["page", "spawn"];

/** The place in which images are kept. Each function raises an Error if the place does not answer within some seconds. */
export interface Store {
  /**
   * Reads an image.
   *
   * @throws Error if there is none, or if it is damaged; it has been removed then
   */
  read(key: string): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Writes an image, for which others make room.
   *
   * @throws Error if there is no room, or the store may not be used
   */
  write(key: Key, image: Uint8Array): Promise<void>;
  /** Checks whether there is room for an image of the usual size. @throws Error if there is none */
  checkRoom(key: Key): Promise<void>;
  remove(key: string): Promise<void>;
  /** Lists the keys of the images, damaged or not, those that were written last at the end. */
  keys(): Promise<string[]>;
}

/** The functions of a host that a store is made of. */
interface Place {
  /** Reads an image and the digest that was written with it; undefined if there is none. */
  read(key: string): Promise<{ image: Uint8Array<ArrayBuffer>; told: string | null } | undefined>;
  write(key: string, image: Uint8Array<ArrayBuffer>, digest: string): Promise<void>;
  remove(key: string): Promise<void>;
  keys(): Promise<string[]>;
  /** Tells how many bytes more can be written; undefined if nobody knows. */
  room(): Promise<number | undefined>;
  /** Tells whether an error of `write` says that there is no room. */
  isFull(error: unknown): boolean;
}

/**
 * Opens this host's store.
 *
 * @throws Error if there is none, such as in a page that is not secure; its message says why
 */
export async function openStore(): Promise<Store> {
  if (globalThis.crypto?.subtle === undefined) {
    throw new Error("the page is not secure, so the browser keeps nothing for it; it needs HTTPS, or localhost");
  }
  return storeIn(await (typeof self === "undefined" ? openFolder() : openCache()));
}

/** The SHA-256 digest of bytes, in hexadecimal digits. */
export async function digest(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Names a folder in a key: a folder of this site by its path, since browsers keep what is stored for each site apart.
 *
 * @param folder its address
 */
export function placeOf(folder: string): string {
  const { origin } = globalThis;
  return origin !== undefined && folder.startsWith(`${origin}/`) ? folder.slice(origin.length) : folder;
}

function storeIn(place: Place): Store {
  /** Lists the keys of images that may go for this one, those of other builds of its kind first, and how many of these there are. */
  const others = async ({ start, text }: Key): Promise<{ keys: string[]; old: number }> => {
    const keys = (await place.keys()).filter((other) => other !== text);
    const kind = text.split("-", 1)[0];
    const isOld = (other: string): boolean => {
      const otherKind = other.split("-", 1)[0] ?? "";
      return !KINDS.includes(otherKind) || (otherKind === kind && other !== start && !other.startsWith(`${start}-`));
    };
    const old = keys.filter(isOld);
    return { keys: [...old, ...keys.filter((other) => !isOld(other))], old: old.length };
  };
  const write = async (key: Key, image: Uint8Array<ArrayBuffer>): Promise<void> => {
    const told = await digest(image);
    const { keys, old } = await others(key);
    const surplus = Math.max(0, keys.length + 1 - MOST);
    for (const other of keys.slice(0, surplus)) await place.remove(other);
    // Images that others use stay, so that pages of a site do not take each other's away on each visit.
    const more = keys.slice(surplus, old);
    for (;;) {
      try {
        await place.write(key.text, image, told);
        return;
      } catch (error) {
        const next = place.isFull(error) ? more.shift() : undefined;
        if (next === undefined) throw error;
        await place.remove(next);
      }
    }
  };
  return {
    read: (key) =>
      within(READ_LIMIT, async () => {
        const found = await place.read(key);
        if (found === undefined) throw new Error("there is no kept snapshot any more");
        if (found.told === (await digest(found.image))) return found.image;
        await place.remove(key);
        throw new Error("the kept snapshot is damaged");
      }),
    write: (key, image) => within(WRITE_LIMIT, () => write(key, image as Uint8Array<ArrayBuffer>)),
    checkRoom: (key) =>
      within(LOOK_LIMIT, async () => {
        const [room, { keys, old }] = await Promise.all([place.room(), others(key)]);
        if (room === undefined) return;
        const removable = Math.max(old, keys.length + 1 - MOST);
        if (room + removable * USUAL_BYTES >= USUAL_BYTES) return;
        throw new Error(`there is no room for it: ${Math.max(0, room).toLocaleString("en")} bytes are left`);
      }),
    remove: (key) => within(LOOK_LIMIT, () => place.remove(key)),
    keys: () => within(LOOK_LIMIT, () => place.keys()),
  };
}

/** Does something that has to end within some milliseconds in which this thread is free. @throws Error if it does not */
async function within<T>(limit: number, action: () => Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    const wait = (waited: number): void => {
      timer = setTimeout(() => {
        if (waited < limit) wait(waited + WAIT);
        else reject(new Error(`the storage has not answered for ${limit / 1000} seconds`));
      }, WAIT);
    };
    wait(WAIT);
  });
  try {
    return await Promise.race([action(), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Opens Cache Storage. @throws Error if the browser has none, or refuses it: in some private windows, in sandboxed frames */
async function openCache(): Promise<Place> {
  let cache: Cache;
  try {
    // In a sandboxed frame `caches` itself throws.
    const { caches } = globalThis;
    if (caches === undefined) throw new Error("there is no Cache Storage");
    cache = await within(LOOK_LIMIT, () => caches.open(CACHE));
  } catch (error) {
    throw new Error(`the browser keeps nothing for this page: ${nameOf(error)}`, { cause: error });
  }
  // The name is reserved (RFC 6761), so that no page has this address.
  const start = "https://snapshots.workerlib.invalid/";
  const address = (key: string): string => `${start}${encodeURIComponent(key)}`;
  return {
    async read(key) {
      const response = await cache.match(address(key));
      return response && { image: new Uint8Array(await response.arrayBuffer()), told: response.headers.get(DIGEST) };
    },
    write: (key, image, digest) => cache.put(address(key), new Response(image, { headers: { [DIGEST]: digest } })),
    async remove(key) {
      await cache.delete(address(key));
    },
    keys: async () => (await cache.keys()).map(({ url }) => decodeURIComponent(url.slice(start.length))),
    async room() {
      const { quota, usage } = (await navigator.storage?.estimate()) ?? {};
      return quota === undefined || usage === undefined ? undefined : quota - usage;
    },
    isFull: (error) => error instanceof Error && error.name === "QuotaExceededError",
  };
}

/** Gives an error's text, with the name that browsers give to it. */
function nameOf(error: unknown): string {
  return error instanceof DOMException ? `${error.name}: ${error.message}` : error instanceof Error ? error.message : String(error);
}

/** The parts of Node's `fs/promises`, `os`, `path` and `process` that are used here. */
interface Files {
  mkdir(path: string, options: object): Promise<unknown>;
  readFile(path: string): Promise<Uint8Array<ArrayBuffer>>;
  writeFile(path: string, content: Uint8Array, options: object): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  rm(path: string, options: object): Promise<void>;
  readdir(path: string): Promise<string[]>;
  stat(path: string): Promise<{ mtimeMs: number; uid: number; mode: number; isFile(): boolean }>;
}
interface Process {
  env: Record<string, string | undefined>;
  pid: number;
  /** Not on Windows. */
  geteuid?(): number;
}

const ENDING = ".snapshot";
/** After how many milliseconds a file that is not finished is of a program that has died. */
const FORSAKEN = 3_600_000;
/** The bits of a folder's mode by which other users may write into it. */
const OTHERS_WRITE = 0o022;

/** Opens Node's folder. @throws Error if there is none, or if other users may write into it */
async function openFolder(): Promise<Place> {
  const load = (name: string): Promise<any> => import(/* @vite-ignore */ /* webpackIgnore: true */ `node:${name}`);
  const [files, os, path, process] = (await Promise.all(["fs/promises", "os", "path", "process"].map(load))) as [
    Files,
    { homedir(): string },
    { isAbsolute(path: string): boolean },
    Process,
  ];
  let folder: string;
  try {
    const given = process.env["XDG_CACHE_HOME"];
    // The specification of this variable has relative paths ignored. A user whom the system does not know has no home.
    folder = `${given && path.isAbsolute(given) ? given : `${os.homedir()}/.cache`}/workerlib`;
    await files.mkdir(folder, { recursive: true, mode: 0o700 });
    const { uid, mode } = await files.stat(folder);
    const own = process.geteuid?.();
    // A snapshot is code, which runs with this user's rights.
    if (own !== undefined && (uid !== own || (mode & OTHERS_WRITE) !== 0)) {
      throw new Error(`other users may write into the folder ${folder}`);
    }
  } catch (error) {
    throw new Error(`there is no folder for it: ${nameOf(error)}`, { cause: error });
  }
  const pathOf = (key: string): string => `${folder}/${key.replaceAll(/[^\w.-]/g, "_")}${ENDING}`;
  const remove = (name: string): Promise<void> => files.rm(name, { force: true });
  /** Lists files with their dates, the oldest first. */
  const dated = async (isMeant: (name: string) => boolean): Promise<{ name: string; date: number }[]> => {
    const found = await Promise.allSettled(
      (await files.readdir(folder))
        .filter(isMeant)
        .map(async (name) => ({ name, stat: await files.stat(`${folder}/${name}`) })),
    );
    // Another program may have removed a file meanwhile.
    const present = found.flatMap((one) => (one.status === "fulfilled" && one.value.stat.isFile() ? [one.value] : []));
    return present.map(({ name, stat }) => ({ name, date: stat.mtimeMs })).sort((one, other) => one.date - other.date);
  };
  const removeForsaken = async (): Promise<void> => {
    const begun = await dated((name) => name.includes(`${ENDING}.`));
    const forsaken = begun.filter(({ date }) => date < Date.now() - FORSAKEN);
    await Promise.all(forsaken.map(({ name }) => remove(`${folder}/${name}`)));
  };
  return {
    async read(key) {
      // Node may read into a part of a larger ArrayBuffer, and slices of the result are of that buffer too.
      const content = new Uint8Array(await files.readFile(pathOf(key)));
      return { told: new TextDecoder().decode(content.subarray(0, 64)), image: content.slice(64) };
    },
    async write(key, image, digest) {
      await removeForsaken();
      const content = new Uint8Array(64 + image.length);
      content.set(new TextEncoder().encode(digest));
      content.set(image, 64);
      const unfinished = `${pathOf(key)}.${process.pid}.${crypto.randomUUID()}`;
      try {
        await files.writeFile(unfinished, content, { mode: 0o600 });
        await files.rename(unfinished, pathOf(key));
      } catch (error) {
        await remove(unfinished);
        throw error;
      }
    },
    remove: (key) => remove(pathOf(key)),
    keys: async () => (await dated((name) => name.endsWith(ENDING))).map(({ name }) => name.slice(0, -ENDING.length)),
    room: () => Promise.resolve(undefined),
    isFull: (error) => ["ENOSPC", "EDQUOT"].includes((error as { code?: string }).code ?? ""),
  };
}
