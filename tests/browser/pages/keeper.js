// Exchanges this site's memory snapshots between its Cache Storage and a shelf: see tests/browser/kept_snapshots.py.
const INTERPRETER = "/workerlib/workerlib-pyodide.mjs?pyodide=/pyodide";
// A mark beside the entries of the cache, which no snapshot's address is.
const MADE = "https://snapshots.workerlib.invalid/made-by-the-keeper";
const DIGEST = "x-workerlib-digest";
let cache;

/** Opens the cache. While a page holds it, WebKit does not forget it. */
async function hold() {
  cache ??= await caches.open("workerlib-snapshots");
}

/** Takes the snapshots from the shelf. */
async function provide(shelf) {
  await hold();
  for (const [name, address, digest] of await list(shelf)) {
    if (address === MADE) continue;
    const content = await (await fetch(`${shelf}${name}`)).arrayBuffer();
    await cache.put(address, new Response(content, { headers: { [DIGEST]: digest } }));
  }
}

/** Has the snapshot of the interpreter module made if the shelf has none, and puts it there. Returns what went wrong, or null. */
async function provideInterpreter(shelf) {
  if ((await list(shelf)).some(([, address]) => address === MADE)) return null;
  const before = (await cache.keys()).length;
  const trouble = await make();
  if (trouble) return trouble;
  if ((await cache.keys()).length === before) return "no snapshot has been kept";
  await collect(shelf);
  await put(shelf, MADE, "", new ArrayBuffer(0));
  return null;
}

/** Lists the names, addresses and digests of the shelf's entries. */
async function list(shelf) {
  return (await fetch(shelf)).json();
}

/** Puts the snapshots of this site on the shelf that are not there. */
async function collect(shelf) {
  await hold();
  const there = new Set((await list(shelf)).map(([, address]) => address));
  for (const request of await cache.keys()) {
    if (there.has(request.url)) continue;
    const kept = await cache.match(request);
    await put(shelf, request.url, kept.headers.get(DIGEST), await kept.arrayBuffer());
  }
}

function put(shelf, address, digest, body) {
  return fetch(shelf, { method: "POST", headers: { "X-Entry": JSON.stringify([address, digest]) }, body });
}

/** Makes the snapshot of the interpreter module in a worker, which can do nothing else. */
function make() {
  const module = JSON.stringify(new URL(INTERPRETER, location.href).href);
  const script = `
    import(${module})
      .then(async ({ loadPyodide, installedIn, keepSnapshot }) =>
        keepSnapshot(installedIn(await loadPyodide({ packages: ["workerlib"] }))))
      .then(() => postMessage(""), (error) => postMessage(String(error)));`;
  const worker = new Worker(URL.createObjectURL(new Blob([script], { type: "text/javascript" })), { type: "module" });
  return new Promise((resolve) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => resolve(message || "the worker's script could not be loaded");
  }).finally(() => worker.terminate());
}

/** Compiles a module of WebAssembly and holds it: pages of this process that compile the same bytes get it. */
async function compile(address) {
  window.compiled = await WebAssembly.compileStreaming(fetch(address));
}

window.keeper = { hold, provide, provideInterpreter, collect, compile };
