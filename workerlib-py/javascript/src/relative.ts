/**
 * Has relative addresses in a worker start at its Python script: of `fetch`, `Request`, `XMLHttpRequest`, `WebSocket`,
 * `EventSource`, and so of Pyodide's `pyfetch` and `open_url`.
 *
 * The worker's own script is elsewhere: at a blob: address, where no relative address means anything, or in a library's folder,
 * whose server may answer with an error page. `worker.ts` and `python_worker.ts` install this before Pyodide is loaded, since
 * Pyodide keeps the functions that it finds. It changes no address that is absolute, and none before a script is named.
 */

let base: string | undefined;

/** Names the script's address, from which relative addresses start from now on. */
export function startFrom(address: string): void {
  base = address;
}

function resolved<T>(address: T): T | string {
  return base !== undefined && typeof address === "string" ? new URL(address, base).href : address;
}

/** A class whose constructor takes an address first. */
type Opened = new (address: any, ...more: any[]) => object;

/** Reads a file, where the base is one: Node's `fetch` knows no files. */
export async function readFile(address: string): Promise<Response> {
  const node = "node:fs/promises";
  const files = (await import(/* @vite-ignore */ /* webpackIgnore: true */ node)) as { readFile(path: URL): Promise<BodyInit> };
  return new Response(await files.readFile(new URL(address)));
}

/** Replaces the functions and classes of this worker that take addresses, once. */
export function install(): void {
  const scope = globalThis as unknown as Record<string, unknown>;
  const { fetch } = globalThis;
  globalThis.fetch = (input, init) => {
    const address = resolved(input);
    if (typeof address === "string" && address.startsWith("file:")) return readFile(address);
    return fetch(address, init);
  };
  for (const name of ["Request", "WebSocket", "EventSource"]) {
    if (typeof scope[name] !== "function") continue;
    scope[name] = new Proxy(scope[name] as Opened, {
      construct: (target, [address, ...more], newTarget) => Reflect.construct(target, [resolved(address), ...more], newTarget),
    });
  }
  if (typeof XMLHttpRequest === "undefined") return;
  XMLHttpRequest.prototype.open = new Proxy(Reflect.get(XMLHttpRequest.prototype, "open"), {
    apply: (open, request, [method, address, ...more]) => Reflect.apply(open, request, [method, resolved(address), ...more]),
  });
}
