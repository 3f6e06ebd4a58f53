// The fault suite's page in JavaScript: does for the ES module's `spawn()` what `injecting.py` and `in_the_page.py` do in Python.
import { spawn, spawnPool } from "/workerlib/workerlib.js";

const UNSETTLED = "does not settle";
const SNAPSHOT_TRIES = 20;

/** The worker that was made last, which is not that of a snapshot. */
let lastWorker;
globalThis.Worker = new Proxy(Worker, {
  construct(target, [address, options]) {
    const worker = new target(address, options);
    if (options.name !== "workerlib's snapshot") lastWorker = worker;
    return worker;
  },
});

const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
const start = (options = {}) => spawn({ script: "./worker.py", pyodide: { indexURL: "/pyodide/" }, ...options });
const since = (begun) => (performance.now() - begun) / 1000;

/** Terminates a worker past its `terminate()`. */
const TERMINATIONS = {
  "worker.terminate()": (worker) => worker.terminate(),
  "worker.worker.terminate()": (worker) => worker.worker.terminate(),
  "Worker.prototype.terminate": (worker) => Worker.prototype.terminate.call(worker.worker),
  "another realm's terminate()": (worker) => {
    const frame = document.createElement("iframe");
    document.body.append(frame);
    frame.contentWindow.Worker.prototype.terminate.call(worker.worker);
    frame.remove();
  },
};

/** Makes calls that are under way when the worker is terminated. */
const UNDER_WAY = {
  nothing: (worker) => worker.wait(),
  "a function that computes": (worker) => worker.compute(60),
  "64 MB to the worker": (worker) => worker.echo(new Uint8Array(64 << 20)),
  "64 MB from the worker": (worker) => worker.make(64 << 20),
  "a stream from the worker": async (worker) => {
    for await (const item of worker.count_for_ever()) if (item < 0) return item;
  },
  "a callback that runs on the page": (worker) => worker.use(() => new Promise(() => {}), 1),
};

/** After how many seconds a call counts as one that does not settle: a part of what the page's function may take. */
let patience = 90;

/** Has a worker fail while other calls are under way, and records how each call settled. */
async function inject(worker, fault, { small = 20, limit = patience, ready = true } = {}) {
  let isAlive = true;
  void worker.closed.then(() => (isAlive = false));
  const ended = new Map();
  const follow = async (name, promise) => {
    try {
      await promise;
      ended.set(name, ["returned", "", performance.now()]);
    } catch (error) {
      ended.set(name, [error.name, error.message, performance.now()]);
    }
  };
  const within = async (name, promise) => {
    await Promise.race([follow(name, promise), pause(limit * 1000)]);
    if (!ended.has(name)) ended.set(name, [UNSETTLED, "", performance.now()]);
  };
  const waiting = [1, 2, 3].map((number) => follow(`waiting ${number}`, worker.wait()));
  if (ready) await worker.add(1, 2);
  const begun = performance.now();
  const made = fault(worker);
  const due = made === undefined ? [] : [within("fault", made)];
  for (let number = 0; number < small; number += 1) due.push(within(`small ${number}`, worker.add(number, 1)));
  await Promise.all(due);
  // A death behind an answer needs its time.
  await Promise.race([worker.closed, pause(1500)]);
  const died = !isAlive;
  const answers = async () => {
    if ((await worker.add(20, 22)) !== 42) throw new RangeError("20 + 22 is not 42");
  };
  await within("afterwards", answers());
  worker.terminate();
  await Promise.race([Promise.all(waiting), pause(limit * 1000)]);
  for (const number of [1, 2, 3]) {
    if (!ended.has(`waiting ${number}`)) ended.set(`waiting ${number}`, [UNSETTLED, "", performance.now()]);
  }
  const named = (part) => [...ended].filter(([name]) => name.startsWith(part));
  const kinds = (part) => [...new Set(named(part).map(([, [kind]]) => kind))].sort();
  const counted = [...ended].filter(([name]) => (died ? name !== "afterwards" : name === "fault"));
  const slowest = Math.max(begun, ...counted.map(([, [, , time]]) => time));
  return {
    calls: ended.size,
    unsettled: [...ended].filter(([, [kind]]) => kind === UNSETTLED).map(([name]) => name),
    seen: (ended.get("fault") ?? ["", ""]).slice(0, 2),
    waiting: kinds("waiting"),
    small: kinds("small"),
    alive: ended.get("afterwards")[0] === "returned",
    seconds: (slowest - begun) / 1000,
  };
}

/** Starts a worker of a script that dies before its handshake: the error's name and text, and how many seconds it took. */
async function starting({ script, limit = 30, terminate_at: stage, of_frame: isOfFrame = false }) {
  let begun = performance.now();
  const address = URL.createObjectURL(new Blob([script]));
  const onProgress = (step) => {
    if (step.stage !== stage) return;
    begun = performance.now();
    const terminate = isOfFrame ? TERMINATIONS["another realm's terminate()"] : TERMINATIONS["Worker.prototype.terminate"];
    terminate({ worker: lastWorker });
  };
  try {
    const worker = await start({ script: address, name: "mortal", timeout: limit * 1000, onProgress });
    worker.terminate();
    return ["connected", "", since(begun)];
  } catch (error) {
    return [error.name, error.message, since(begun)];
  } finally {
    URL.revokeObjectURL(address);
  }
}

const functions = {
  /** Starts workers until one starts from a snapshot, as the next ones do then. */
  async warm_up() {
    let isWarm = false;
    const onProgress = ({ what }) => (isWarm ||= what.includes("from a snapshot"));
    for (let tries = 0; !isWarm && tries < SNAPSHOT_TRIES; tries += 1) {
      const worker = await start({ onProgress });
      // A worker that lives hands over what another one makes the snapshot of.
      if (!isWarm) await pause(2000);
      worker.terminate();
    }
    return isWarm;
  },

  /** A fault of an exported function. */
  of_function: async ({ fault, export: name }) => inject(await start(), (worker) => worker[name](fault)),

  starting,

  /** A worker whose event loop stands, without a call in flight: why it ended, and after how many seconds. */
  async standing({ export: name, heartbeat }) {
    const worker = await start({ heartbeat: heartbeat * 1000 });
    await worker[name]();
    const begun = performance.now();
    return [await worker.closed, since(begun)];
  },

  /** A worker that computes for longer than it may be silent. */
  async computing({ heartbeat, in_calls: inCalls }) {
    const worker = await start({ heartbeat: heartbeat * 1000, heartbeatInCalls: inCalls });
    const begun = performance.now();
    try {
      return [String(await worker.compute((inCalls ? 30 : 3) * heartbeat)), since(begun)];
    } catch (error) {
      return [error.message, since(begun)];
    } finally {
      worker.terminate();
    }
  },

  /** A worker whose package is not the one that the lock file names: the error's name and text. */
  async changed_package() {
    const lock = await (await fetch("/pyodide/pyodide-lock.json")).json();
    lock.packages.packaging.sha256 = "0".repeat(64);
    const pyodide = { indexURL: "/pyodide/", lockFileContents: JSON.stringify(lock) };
    try {
      (await start({ pyodide, packages: ["packaging"], snapshot: false })).terminate();
      return ["connected", ""];
    } catch (error) {
      return [error.name, error.message];
    }
  },

  /** For starts that fail, and for a death: the errors and their causes, each with its name and text. */
  async causes() {
    const raising = URL.createObjectURL(new Blob(["raise ValueError('at import')"]));
    const nowhere = new URL("/nowhere/", location.href).href;
    const worker = await start();
    const pool = await spawnPool({ script: "./worker.py", pyodide: { indexURL: "/pyodide/" }, size: 1, maxRestarts: 0 });
    const failing = {
      "a script": () => start({ script: raising }),
      Pyodide: () => start({ pyodide: { indexURL: nowhere } }),
      "a package": () => start({ packages: ["nobodys-package"], indexURLs: [nowhere] }),
      "a death": () => worker.harm("read_badly"),
      "a later call": () => worker.add(1, 2),
      "a task of a pool": () => pool.harm("read_badly"),
      "a pool without workers": () => pool.add(1, 2),
    };
    const told = {};
    for (const [what, begin] of Object.entries(failing)) {
      told[what] = [];
      const caught = await begin().catch((error) => error);
      for (let error = caught; error instanceof Error; error = error.cause) told[what].push([error.name, error.message]);
    }
    URL.revokeObjectURL(raising);
    await pool.close();
    return told;
  },

  /** Calls that are made at once, or callbacks that the worker makes at once: the sum of the results, and how the worker's heap grew. */
  async flooded({ kind, count }) {
    const worker = await start();
    const flood = async (number) => {
      if (kind === "callbacks") return worker.use_at_once((item) => item, number);
      const calls = Array.from({ length: number }, (_, item) => worker.add(item, 0));
      return (await Promise.all(calls)).reduce((sum, item) => sum + item, 0);
    };
    await flood(1000);
    const before = await worker.heap();
    const sum = await flood(count);
    const grown = (await worker.heap()) - before;
    worker.terminate();
    return [sum, grown];
  },

  /** Calls behind a flood, of which one is cancelled while it waits: how many calls were released, how it ended, and what ran. */
  async behind_a_flood({ count, seconds }) {
    const worker = await start();
    // Meanwhile all messages arrive, that of the cancel too.
    const computing = worker.compute(seconds);
    const flood = Array.from({ length: count }, (_, item) => worker.add(item, 0));
    const held = Array.from({ length: count }, () => worker.hold());
    const controller = new AbortController();
    const cancelled = worker.call("noted", ["cancelled"], {}, { signal: controller.signal }).catch(({ name }) => name);
    controller.abort();
    const later = worker.noted("later");
    const released = await worker.release();
    await Promise.all([computing, ...flood, ...held]);
    const answer = { released, cancelled: await cancelled, ran: await later };
    worker.terminate();
    return answer;
  },

  /** A worker that is terminated while a call of one kind is under way. */
  async terminated({ how, during }) {
    const worker = await start();
    let seen = UNSETTLED;
    const underWay = UNDER_WAY[during](worker).then(
      () => (seen = "returned"),
      (error) => (seen = error.name),
    );
    await pause(during.startsWith("a ") && !during.startsWith("a function") ? 100 : 20);
    // An answer to another call would come when the large value has.
    const ready = during !== "a function that computes" && !during.startsWith("64 MB");
    const record = await inject(worker, () => void TERMINATIONS[how](worker), { small: 5, ready });
    await Promise.race([underWay, pause(30_000)]);
    if (seen === UNSETTLED) record.unsettled.push("the call under way");
    return { ...record, calls: record.calls + 1, "under way": seen };
  },
};

/** Calls one of these functions; its answer as JSON. */
async function callFunction(name, given, limit) {
  patience = 0.75 * limit;
  const late = pause(limit * 1000).then(() => Promise.reject(new Error(`${name} takes more than ${limit} s`)));
  return JSON.stringify((await Promise.race([functions[name](given), late])) ?? null);
}

Object.assign(window, { callFunction });
