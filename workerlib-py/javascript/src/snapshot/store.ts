/**
 * Keeps images of snapshots from one visit to the next: in a browser in Cache Storage, in Node in a folder.
 *
 * An entry is written whole or not at all, and is read only if its length and its SHA-256 digest are right. There are few
 * entries at a time: the oldest make room. This file knows nothing of what an image holds.
 */

/** The number of images that there may be: a site may have a page and workers, and a version before this one. */
const MOST = 4;
const CACHE = "workerlib-snapshots";
const DIGEST = "x-workerlib-digest";
const GONE = "there is no kept snapshot any more";

/** The place in which images are kept. */
export interface Store {
  /**
   * Reads an image.
   *
   * @throws Error if there is none, or if it is damaged; it has been removed then
   */
  read(key: string): Promise<Uint8Array<ArrayBuffer>>;
  /** Writes an image. @throws Error if there is no room, or the store may not be used */
  write(key: string, image: Uint8Array): Promise<void>;
  remove(key: string): Promise<void>;
  /** Tells whether there is an image, damaged or not. */
  has(key: string): Promise<boolean>;
  /** Lists the keys of the images, those that were written last at the end. */
  keys(): Promise<string[]>;
}

/** Opens this host's store; undefined where it has none, such as in a page that is not secure. */
export async function openStore(): Promise<Store | undefined> {
  if (globalThis.crypto?.subtle === undefined) return undefined;
  if (typeof self === "undefined") return openFolder();
  try {
    return globalThis.caches === undefined ? undefined : inCache(await caches.open(CACHE));
  } catch {
    // A private window, a user who allows no storage, or a sandboxed frame, where `caches` itself throws.
    return undefined;
  }
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

function inCache(cache: Cache): Store {
  // The name is reserved (RFC 6761), so that no page has this address.
  const start = "https://snapshots.workerlib.invalid/";
  const address = (key: string): string => `${start}${encodeURIComponent(key)}`;
  return {
    async read(key) {
      const response = await cache.match(address(key));
      if (response === undefined) throw new Error(GONE);
      const image = new Uint8Array(await response.arrayBuffer());
      if (response.headers.get(DIGEST) === (await digest(image))) return image;
      await cache.delete(address(key));
      throw new Error("the kept snapshot is damaged");
    },
    async write(key, image) {
      const bytes = image as Uint8Array<ArrayBuffer>;
      await cache.put(address(key), new Response(bytes, { headers: { [DIGEST]: await digest(bytes) } }));
      const requests = await cache.keys();
      await Promise.all(requests.slice(0, Math.max(0, requests.length - MOST)).map((old) => cache.delete(old)));
    },
    async remove(key) {
      await cache.delete(address(key));
    },
    has: async (key) => (await cache.match(address(key))) !== undefined,
    keys: async () => (await cache.keys()).map(({ url }) => decodeURIComponent(url.slice(start.length))),
  };
}

/** The parts of Node's `fs/promises`, `os` and `path` that are used here. */
interface Files {
  mkdir(path: string, options: object): Promise<unknown>;
  readFile(path: string): Promise<Uint8Array<ArrayBuffer>>;
  writeFile(path: string, content: Uint8Array, options: object): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  rm(path: string, options: object): Promise<void>;
  readdir(path: string): Promise<string[]>;
  stat(path: string): Promise<{ mtimeMs: number; isFile(): boolean }>;
}

const ENDING = ".snapshot";
/** After how many milliseconds a file that is not finished is of a program that has died. */
const FORSAKEN = 3_600_000;

async function openFolder(): Promise<Store | undefined> {
  const load = (name: string): Promise<any> => import(/* @vite-ignore */ /* webpackIgnore: true */ `node:${name}`);
  const [files, os, process] = (await Promise.all([load("fs/promises"), load("os"), load("process")])) as [
    Files,
    { homedir(): string },
    { env: Record<string, string | undefined>; pid: number },
  ];
  let folder: string;
  try {
    // A user whom the system does not know has no home.
    folder = `${process.env["XDG_CACHE_HOME"] || `${os.homedir()}/.cache`}/workerlib`;
    await files.mkdir(folder, { recursive: true, mode: 0o700 });
  } catch {
    return undefined;
  }
  const path = (key: string): string => `${folder}/${key.replaceAll(/[^\w.-]/g, "_")}${ENDING}`;
  const remove = (name: string): Promise<void> => files.rm(name, { force: true });
  /** Lists files with their dates, the oldest first. */
  const dated = async (isMeant: (name: string) => boolean): Promise<{ name: string; date: number }[]> => {
    const found = await Promise.allSettled(
      (await files.readdir(folder))
        .filter(isMeant)
        .map(async (name) => ({ name, date: (await files.stat(`${folder}/${name}`)).mtimeMs })),
    );
    // Another program may have removed a file meanwhile.
    const present = found.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    return present.sort((one, other) => one.date - other.date);
  };
  const names = async (): Promise<string[]> => (await dated((name) => name.endsWith(ENDING))).map(({ name }) => name);
  return {
    async read(key) {
      // Node may read into a part of a larger ArrayBuffer, and slices of the result are of that buffer too.
      const content = new Uint8Array(await files.readFile(path(key)));
      const told = new TextDecoder().decode(content.subarray(0, 64));
      const image = content.slice(64);
      if (told === (await digest(image))) return image;
      await remove(path(key));
      throw new Error("the kept snapshot is damaged");
    },
    async write(key, image) {
      const content = new Uint8Array(64 + image.length);
      content.set(new TextEncoder().encode(await digest(image as Uint8Array<ArrayBuffer>)));
      content.set(image, 64);
      const unfinished = `${path(key)}.${process.pid}.${crypto.randomUUID()}`;
      try {
        await files.writeFile(unfinished, content, { mode: 0o600 });
        await files.rename(unfinished, path(key));
      } catch (error) {
        await remove(unfinished);
        throw error;
      }
      const begun = await dated((name) => name.includes(`${ENDING}.`));
      const forsaken = begun.filter(({ date }) => date < Date.now() - FORSAKEN).map(({ name }) => name);
      const old = [...(await names()).slice(0, -MOST), ...forsaken];
      await Promise.all(old.map((name) => remove(`${folder}/${name}`)));
    },
    keys: async () => (await names()).map((name) => name.slice(0, -ENDING.length)),
    remove: (key) => remove(path(key)),
    has: (key) =>
      files.stat(path(key)).then(
        (found) => found.isFile(),
        () => false,
      ),
  };
}
