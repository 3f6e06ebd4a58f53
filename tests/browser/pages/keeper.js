// Puts the memory snapshot of workerlib's interpreter module into this site's Cache Storage: see tests/browser/kept_snapshots.py.
const INTERPRETER = "/workerlib/workerlib-pyodide.mjs?pyodide=/pyodide";
let cache;
const DIGEST = "x-workerlib-digest";

/** Opens the cache. While a page holds it, WebKit does not forget it. */
async function hold() {
  cache ??= await caches.open("workerlib-snapshots");
}

/** Takes the snapshot from the shelf, or has it made and puts it there. Returns what went wrong, or null. */
async function provide(shelf) {
  await hold();
  const response = await fetch(shelf);
  const entry = response.headers.get("X-Entry");
  if (entry) {
    const [address, digest] = JSON.parse(entry);
    await cache.put(address, new Response(await response.arrayBuffer(), { headers: { [DIGEST]: digest } }));
    return null;
  }
  const trouble = await make();
  if (trouble) return trouble;
  const [request] = await cache.keys();
  if (!request) return "no snapshot has been kept";
  const kept = await cache.match(request);
  const headers = { "X-Entry": JSON.stringify([request.url, kept.headers.get(DIGEST)]) };
  await fetch(shelf, { method: "POST", headers, body: await kept.arrayBuffer() });
  return null;
}

/** Makes the snapshot in a worker, which can do nothing else. */
function make() {
  const module = JSON.stringify(new URL(INTERPRETER, location.href).href);
  const script = `
    import(${module})
      .then((interpreter) => interpreter.keepSnapshot())
      .then(() => postMessage(""), (error) => postMessage(String(error)));`;
  const worker = new Worker(URL.createObjectURL(new Blob([script], { type: "text/javascript" })), { type: "module" });
  return new Promise((resolve) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => resolve(message || "the worker's script could not be loaded");
  }).finally(() => worker.terminate());
}

window.keeper = { hold, provide };
