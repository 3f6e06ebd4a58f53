// The peers that are JavaScript: the ping floor, and Comlink with a Python function at the other end.
import * as Comlink from "./comlink.mjs";

/** Ports that the Python worker has handed out, by name; each comes in a message of its own (worker.py). */
const ports = new Map();
let heard = () => {};

/**
 * Waits for a port of the Python worker.
 *
 * @param {string} name - What it is for.
 * @returns {Promise<MessagePort>} The port.
 */
async function portOf(name) {
  while (!ports.has(name)) await new Promise((resolve) => (heard = resolve));
  return ports.get(name);
}

/** Listens to the worker of a script tag, before anything is asked of it. */
function listen(tag) {
  tag.xworker.addEventListener("message", ({ data, ports: [port] }) => {
    if (typeof data !== "string" || !data.startsWith("bench-port:")) return;
    ports.set(data.slice("bench-port:".length), port);
    heard();
  });
}

/** A worker that is JavaScript alone, and the port to it. */
function startPing() {
  const worker = new Worker(new URL("./ping_worker.mjs", import.meta.url), { type: "module" });
  const { port1, port2 } = new MessageChannel();
  worker.postMessage(null, [port2]);
  return port1;
}

const pingPort = startPing();
let remote;

/** Sends a value to and fro, so many times in a row; returns the milliseconds that each took. */
async function ping(value, count) {
  let resolve;
  pingPort.onmessage = () => resolve();
  const times = new Float64Array(count);
  for (let index = 0; index < count; index += 1) {
    const start = performance.now();
    const done = new Promise((settle) => (resolve = settle));
    pingPort.postMessage(value);
    await done;
    times[index] = performance.now() - start;
  }
  return times;
}

/** Calls the Python function by Comlink, so many times in a row; returns the milliseconds that each took. */
async function comlink(make, count) {
  const times = new Float64Array(count);
  for (let index = 0; index < count; index += 1) {
    const value = make();
    const start = performance.now();
    await remote.call(ArrayBuffer.isView(value) ? Comlink.transfer(value, [value.buffer]) : value);
    times[index] = performance.now() - start;
  }
  return times;
}

/** Does the same with all calls in flight at a time; returns the milliseconds that all took. */
async function comlinkAtOnce(value, count) {
  const start = performance.now();
  await Promise.all(Array.from({ length: count }, () => remote.call(value)));
  return performance.now() - start;
}

/** Has the Python function call a callback so many times; returns the milliseconds that a call took there. */
async function comlinkCallbacks(count, awaited) {
  const hear = Comlink.proxy(() => undefined);
  return awaited ? remote.callBackAwaited(hear, count) : remote.callBack(hear, count);
}

/** Has the Python function call a callback with so many items; resolves when the last one is there. */
async function comlinkItems(kind, count) {
  let left = count;
  let isThere;
  const all = new Promise((resolve) => (isThere = resolve));
  const hear = Comlink.proxy(() => {
    left -= 1;
    if (left === 0) isThere();
  });
  await remote.push(hear, kind, count);
  await all;
}

/** Watches how long the page shows no new frame; `longest` ends that, and gives the longest such time in milliseconds. */
function watchFrames() {
  let longest = 0;
  let isOver = false;
  let last = performance.now();
  const watch = (now) => {
    longest = Math.max(longest, now - last);
    last = now;
    if (!isOver) requestAnimationFrame(watch);
  };
  requestAnimationFrame(watch);
  return {
    longest: () =>
      new Promise((resolve) => {
        isOver = true;
        // The frame that is being made counts.
        requestAnimationFrame(() => resolve(longest));
      }),
  };
}

window.peers = {
  comlinkCallbacks,
  comlinkItems,
  watchFrames,
  listen,
  portOf,
  ping,
  pingNumber: (count) => ping(1, count),
  pingBytes: (count) => ping(new Uint8Array(32), count),
  connectComlink: async () => void (remote = Comlink.wrap(await portOf("comlink"))),
  comlinkNumber: (count) => comlink(() => 1, count),
  comlinkNumbersAtOnce: (count) => comlinkAtOnce(1, count),
  comlinkBytes: (size, count) => comlink(() => new Uint8Array(size), count),
  comlinkFloats: (size, count) => comlink(() => new Float64Array(size / 8), count),
  comlinkJson: (text, count) => {
    const value = JSON.parse(text);
    return comlink(() => value, count);
  },
};
