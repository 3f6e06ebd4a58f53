// Tests of workerlib-py/javascript/src/pool, the workers and maps of spawnPool(), with workers that are objects: node --test.
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { createRequire } from "node:module";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const { buildSync } = createRequire(`${process.env.WORKERLIB_NODE_MODULES}/pool.js`)("esbuild");
const LIMIT = { timeout: 20_000 * Number(process.env.WORKERLIB_TEST_PACE ?? 1) };
const folder = fileURLToPath(new URL("../../workerlib-py/javascript/src/pool", import.meta.url));

async function imported(contents) {
  const stdin = { contents, resolveDir: folder, loader: "ts" };
  const [{ text }] = buildSync({ stdin, bundle: true, format: "esm", write: false }).outputFiles;
  return import(`data:text/javascript;base64,${Buffer.from(text).toString("base64")}`);
}

const { BatchedStream, Slots, ItemMap, WorkerDiedError, PoolBrokenError } = await imported(
  'export { Slots } from "./slots.js"; export { ItemMap } from "./mapping.js"; export * from "../errors.js"; ' +
    'export { BatchedStream } from "../streams.js";',
);

/** A worker whose functions wait for the test. */
class FakeWorker {
  exports = ["f", "setUp"];
  calls = [];
  isEnded = false;
  isStubborn = false;
  closed = new Promise((resolve) => (this.resolveClosed = resolve));

  call(name, args, _kwargs, { signal } = {}) {
    const call = { name, args };
    const made = new Promise((resolve, reject) => {
      call.answer = resolve;
      call.fail = reject;
    });
    this.calls.push(call);
    if (name === "setUp") call.answer(undefined);
    if (args[0] === "at once") call.answer(args[0]);
    signal?.addEventListener("abort", () => call.fail(signal.reason));
    return made;
  }

  idle() {
    return this.isStubborn ? new Promise(() => {}) : Promise.resolve();
  }

  end(reason, cause) {
    if (this.isEnded) return;
    this.isEnded = true;
    this.cause = cause;
    for (const { fail } of this.calls) fail(new WorkerDiedError(reason));
    this.resolveClosed(reason);
  }
}

const POLICY = { size: 2, maxRestarts: 3, backoff: [0, 0], poisonAfter: 2 };

async function open(policy = {}, start = () => new FakeWorker()) {
  const workers = [];
  const slots = new Slots({ ...POLICY, ...policy }, async () => {
    const worker = await start(workers.length);
    workers.push(worker);
    return worker;
  });
  await slots.open();
  await until(() => slots.stats().starting === 0);
  return { slots, workers };
}

async function until(condition) {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

test("a worker runs one task at a time, and the next when it is idle", LIMIT, async () => {
  const { slots, workers } = await open();
  const results = [1, 2, 3].map((item) => slots.run("f", [item]));
  assert.deepEqual(workers.map(({ calls }) => calls.length), [1, 1]);
  assert.equal(slots.stats().waiting, 1);
  workers[1].calls[0].answer("two");
  assert.equal(await results[1], "two");
  await until(() => workers[1].calls.length === 2);
  workers[0].calls[0].fail(new RangeError("no"));
  workers[1].calls[1].answer("three");
  await assert.rejects(results[0], RangeError);
  assert.equal(await results[2], "three");
  await until(() => slots.stats().idle === 2);
  const { done, lost, restarts } = slots.stats();
  assert.deepEqual([done, lost, restarts], [3, 0, 0]);
});

test("a death costs the task that ran; with retries it runs again; the second death is the last", LIMIT, async () => {
  const { slots, workers } = await open({ size: 1 });
  const plain = slots.run("f", [1]);
  const behind = slots.run("f", [2]);
  workers[0].end("it crashed");
  await assert.rejects(plain, /died while it ran f\(\): it crashed/);
  await until(() => workers[1]?.calls.length === 1);
  workers[1].calls[0].answer("went on");
  assert.equal(await behind, "went on");
  const tried = slots.run("f", [3], {}, { retries: 5 });
  await until(() => workers[1].calls.length === 2);
  workers[1].end("first");
  await until(() => workers[2]?.calls.length === 1);
  workers[2].end("second");
  await assert.rejects(tried, (error) => error instanceof WorkerDiedError && /not tried again.*second/.test(error.message));
  await until(() => slots.stats().idle === 1);
  assert.equal(slots.stats().restarts, 3);
});

test("the errors of a death have the error behind it as their cause, where one is known", LIMIT, async () => {
  const { slots, workers } = await open({ size: 1, maxRestarts: 3 });
  const fatal = new Error("memory access out of bounds");
  const isOf = (cause) => (error) => error instanceof WorkerDiedError && error.cause === cause;
  const plain = assert.rejects(slots.run("f", [1]), isOf(fatal));
  workers[0].end("it crashed", fatal);
  const poison = assert.rejects(slots.run("f", [2], {}, { retries: 5 }), isOf(fatal));
  for (const at of [1, 2]) {
    await until(() => workers[at]?.calls.length === 1);
    workers[at].end("again", fatal);
  }
  await until(() => workers[3] !== undefined);
  const unknown = assert.rejects(slots.run("f", [3]), (error) => isOf(undefined)(error) && !("cause" in error));
  await until(() => workers[3].calls.length === 1);
  workers[3].end("without a word");
  await Promise.all([plain, poison, unknown]);
});

test("a pool without workers has the last death as its cause, and by it the error behind that", LIMIT, async () => {
  const { slots, workers } = await open({ size: 1, maxRestarts: 0 });
  const fatal = new Error("unreachable");
  workers[0].end("it crashed", fatal);
  await until(() => slots.stats().parked === 1);
  await assert.rejects(slots.run("f"), ({ cause }) => cause instanceof WorkerDiedError && cause.cause === fatal);
});

test("a task whose arguments can be sent once does not run again, and says why", LIMIT, async () => {
  const { slots, workers } = await open({ size: 1, maxRestarts: 9, poisonAfter: 9 });
  async function* lines() {
    yield 1;
  }
  const spent = slots.run("f", [lines()], {}, { retries: 5 });
  workers[0].end("it crashed");
  await assert.rejects(spent, (error) => error instanceof WorkerDiedError && /it crashed.*since an argument is an iterator/.test(error.message));
  // An object that makes an iterator each time is sent again.
  const again = slots.run("f", [{ [Symbol.asyncIterator]: lines }], {}, { retries: 1 });
  await until(() => workers[1]?.calls.length === 1);
  workers[1].end("once more");
  await until(() => workers[2]?.calls.length === 1);
  workers[2].calls[0].answer("all lines");
  assert.equal(await again, "all lines");
  const moved = slots.run("f", [new ArrayBuffer(8)], {}, { retries: 1 });
  await until(() => workers[2].calls.length === 2);
  workers[2].end("with the buffer");
  await until(() => workers[3]?.calls.length === 1);
  workers[3].calls[0].fail(new DOMException("the buffer is detached", "DataCloneError"));
  await assert.rejects(moved, (error) => error instanceof WorkerDiedError && /with the buffer.*was moved to that worker/.test(error.message));
  // A value that can never be sent is told as it is.
  const never = slots.run("f", [Symbol("s")]);
  await until(() => workers[3].calls.length === 2);
  workers[3].calls[1].fail(new DOMException("a symbol", "DataCloneError"));
  await assert.rejects(never, { name: "DataCloneError" });
  await until(() => slots.stats().idle === 1);
});

test("a worker that dies too often is parked, and a pool without workers says why", LIMIT, async () => {
  const { slots, workers } = await open({ size: 1, maxRestarts: 1 });
  workers[0].end("first");
  await until(() => workers.length === 2 && slots.stats().idle === 1);
  workers[1].end("last words");
  await until(() => slots.stats().parked === 1);
  await assert.rejects(slots.run("f"), (error) => error instanceof PoolBrokenError && /last words/.test(error.message));
  await assert.rejects(slots.each("f", []), PoolBrokenError);
});

test("a cancelled task that does not end costs its worker; one that ends does not", LIMIT, async () => {
  const { slots, workers } = await open({ size: 1 });
  for (const isStubborn of [false, true]) {
    workers[0].isStubborn = isStubborn;
    const abort = new AbortController();
    const task = slots.run("f", [1], {}, { signal: abort.signal });
    await until(() => workers[0].calls.length > 0);
    abort.abort(new DOMException("enough", "AbortError"));
    await assert.rejects(task, { name: "AbortError" });
    if (!isStubborn) await until(() => slots.stats().idle === 1);
  }
  await until(() => workers.length === 2);
  assert.ok(workers[0].isEnded);
  assert.equal(slots.stats().restarts, 1);
  assert.equal(slots.stats().lost, 2);
});

test("an aborted task that waits is dropped, and never runs", LIMIT, async () => {
  const { slots, workers } = await open({ size: 1 });
  const abort = new AbortController();
  const running = slots.run("f", [1]);
  const waiting = slots.run("f", [2], {}, { signal: abort.signal });
  abort.abort(new DOMException("enough", "AbortError"));
  await assert.rejects(waiting, { name: "AbortError" });
  workers[0].calls[0].answer("done");
  await running;
  await until(() => slots.stats().idle === 1);
  assert.equal(workers[0].calls.length, 1);
});

test("each() reaches every worker, and later ones before anything else", LIMIT, async () => {
  const { slots, workers } = await open();
  assert.equal((await slots.each("setUp", [7])).length, 2);
  workers[0].end("it crashed");
  await until(() => workers.length === 3 && slots.stats().idle === 2);
  assert.deepEqual(workers[2].calls.map(({ name, args }) => [name, args]), [["setUp", [7]]]);
});

test("each() refuses an iterator: only one worker could get its items", LIMIT, async () => {
  const { slots, workers } = await open();
  async function* lines() {
    yield 1;
  }
  await assert.rejects(slots.each("setUp", [1, lines()]), /each\.setUp\(\): args\[1\] is an iterator/);
  assert.deepEqual(workers.map(({ calls }) => calls.length), [0, 0]);
  assert.equal((await slots.each("setUp", [{ [Symbol.asyncIterator]: lines }])).length, 2);
});

test("each() that fails on all workers keeps no later one from its work, and one that dies first has no result", LIMIT, async () => {
  const { slots, workers } = await open();
  const failing = slots.each("f", ["wrong"]);
  await until(() => workers.every(({ calls }) => calls.length === 1));
  for (const worker of workers) worker.calls[0].fail(new RangeError("it is wrong"));
  await assert.rejects(failing, RangeError);
  await until(() => slots.stats().idle === 2);
  // It waits for its turn behind a task, and the worker dies of the task.
  const task = slots.run("f", [1]);
  const setUp = slots.each("setUp", [7]);
  workers[0].end("it crashed");
  await assert.rejects(task, WorkerDiedError);
  assert.deepEqual(await setUp, [undefined]);
  await until(() => workers.length === 3 && slots.stats().idle === 2);
  assert.deepEqual(workers[2].calls.map(({ name, args }) => [name, args]), [["setUp", [7]]]);
});

test("each() without a worker has the outcome of the first one that starts, and a mistake costs no worker", LIMIT, async () => {
  const { slots, workers } = await open({ size: 1, maxRestarts: 3 });
  workers[0].end("it crashed");
  await until(() => slots.stats().starting === 1);
  const wrong = assert.rejects(slots.each("f", ["wrong"]), RangeError);
  await until(() => workers[1]?.calls.length === 1);
  workers[1].calls[0].fail(new RangeError("it is wrong"));
  await wrong;
  await until(() => slots.stats().idle === 1);
  assert.equal(slots.stats().parked, 0);
  workers[1].end("it crashed");
  await until(() => slots.stats().starting === 1);
  let isClosed = false;
  const source = { next: () => Promise.resolve([[1], true]), close: async () => void (isClosed = true), forget() {} };
  const streamed = assert.rejects(slots.each("f", [1]), /f\(\) is a stream, which no pool runs/);
  await until(() => workers[2]?.calls.length === 1);
  workers[2].calls[0].answer(new BatchedStream(source));
  await streamed;
  assert.ok(isClosed);
  await until(() => slots.stats().idle === 1);
  workers[2].end("it crashed");
  await until(() => slots.stats().starting === 1);
  const setUp = slots.each("f", [7]);
  await until(() => workers[3]?.calls.length === 1);
  workers[3].calls[0].answer("ready");
  assert.deepEqual(await setUp, ["ready"]);
  workers[3].end("it crashed");
  await until(() => slots.stats().parked === 1);
  await assert.rejects(slots.each("f", [8]), PoolBrokenError);
});

test("each() that waits for a worker ends with its pool", LIMIT, async () => {
  for (const end of ["close", "break"]) {
    let mayStart = true;
    const { slots, workers } = await open({ size: 1, maxRestarts: 1, backoff: [50, 50] }, () => {
      if (!mayStart) throw new Error("no worker any more");
      return new FakeWorker();
    });
    mayStart = false;
    workers[0].end("it crashed");
    await until(() => slots.stats().starting === 1);
    const waiting = assert.rejects(slots.each("f", [1]), end === "close" ? WorkerDiedError : PoolBrokenError);
    if (end === "close") slots.close("it was closed");
    await waiting;
  }
});

test("restart() replaces all workers, a busy one after its task, and counts no death", LIMIT, async () => {
  const { slots, workers } = await open({ maxRestarts: 0 });
  const running = slots.run("f", [1]);
  const restarted = slots.restart();
  await until(() => workers.length === 3);
  assert.ok(!workers[0].isEnded, "it is busy");
  workers[0].calls[0].answer("kept");
  assert.equal(await running, "kept");
  await restarted;
  assert.equal(workers.length, 4);
  assert.deepEqual(workers.map(({ isEnded }) => isEnded), [true, true, false, false]);
  assert.equal(slots.stats().idle, 2);
  assert.equal(slots.stats().parked, 0);
});

test("a first worker that cannot be started fails the pool; a later one is parked", LIMIT, async (t) => {
  t.mock.method(console, "warn", () => {});
  await assert.rejects(open({}, () => Promise.reject(new Error("no such script"))), /no such script/);
  const { slots } = await open({}, (count) => (count === 0 ? new FakeWorker() : Promise.reject(new Error("only one"))));
  assert.equal(slots.stats().parked, 1);
  assert.equal(await slots.run("f", ["at once"]), "at once");
});

test("a worker that stays down while others run is told on the console, with the cause", LIMIT, async (t) => {
  const warn = t.mock.method(console, "warn", () => {});
  const { slots, workers } = await open({ maxRestarts: 0 }, (count) => {
    if (count === 2) throw new Error("never again");
    return new FakeWorker();
  });
  workers[0].end("it crashed");
  await until(() => slots.stats().parked === 1);
  assert.equal(warn.mock.callCount(), 1);
  assert.match(warn.mock.calls[0].arguments[0], /goes on with 1 of 2 workers: .* the last cause: it crashed$/);
  workers[1].end("it crashed, too");
  await until(() => slots.stats().parked === 2);
  // The calls say so now.
  assert.equal(warn.mock.callCount(), 1);
  await assert.rejects(slots.run("f"), PoolBrokenError);
});

test("a pool that is closed while a worker starts neither warns of that worker nor starts it again", LIMIT, async (t) => {
  const warn = t.mock.method(console, "warn", () => {});
  for (const maxRestarts of [0, 3]) {
    let count = 0;
    let fail;
    const slots = new Slots({ ...POLICY, maxRestarts }, () => {
      count += 1;
      return count === 1 ? Promise.resolve(new FakeWorker()) : new Promise((_, reject) => (fail = reject));
    });
    await slots.open();
    await until(() => fail !== undefined);
    slots.close("it was closed");
    const later = t.mock.method(globalThis, "setTimeout");
    fail(new WorkerDiedError("the pool has ended: it was closed"));
    await slots.closed();
    assert.deepEqual([warn.mock.callCount(), later.mock.callCount()], [0, 0]);
    later.mock.restore();
  }
});

test("a stream is refused, and closed in its worker", LIMIT, async () => {
  const { slots, workers } = await open({ size: 1 });
  let isClosed = false;
  const source = { next: () => Promise.resolve([[1], true]), close: async () => void (isClosed = true), forget() {} };
  const streamed = slots.run("f", [1]);
  workers[0].calls[0].answer(new BatchedStream(source));
  await assert.rejects(streamed, /^TypeError: f\(\) is a stream, which no pool runs: return an array, or call it on a single worker$/);
  assert.ok(isClosed);
  await until(() => slots.stats().idle === 1);
});

test("a first worker whose start brings no news is tried again", LIMIT, async () => {
  let late = false;
  const { workers, slots } = await open({}, (count) => {
    if (count > 0 || late) return new FakeWorker();
    late = true;
    throw new DOMException("no news", "TimeoutError");
  });
  assert.equal(workers.length, 2);
  assert.equal(slots.stats().restarts, 1);
});

test("close() settles all tasks", LIMIT, async () => {
  const { slots, workers } = await open({ size: 1 });
  const tasks = [slots.run("f", [1]), slots.run("f", [2])];
  slots.close("it was closed");
  for (const task of tasks) await assert.rejects(task, WorkerDiedError);
  await slots.closed();
  assert.ok(workers[0].isEnded);
  const { idle, busy, starting, waiting } = slots.stats();
  assert.deepEqual([idle, busy, starting, waiting], [0, 0, 0, 0]);
  await assert.rejects(slots.run("f"), /the pool has ended: it was closed/);
});

test("whatever dies in whichever order, each task settles once, with retries by its result", LIMIT, async () => {
  let seed = 20;
  const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
  const { slots, workers } = await open({ size: 3, maxRestarts: Infinity, poisonAfter: Infinity });
  const settled = new Map();
  const tasks = Array.from({ length: 300 }, (_, item) =>
    slots.run("f", [item], {}, { retries: Infinity }).then((value) => settled.set(item, [...(settled.get(item) ?? []), value])),
  );
  let kills = 0;
  while (settled.size < 300) {
    for (const worker of workers.filter(({ isEnded }) => !isEnded)) {
      const call = worker.calls.at(-1);
      if (call === undefined || random() < 0.3) continue;
      if (random() < 0.2) {
        kills += 1;
        worker.end("killed");
      } else call.answer(call.args[0]);
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  await Promise.all(tasks);
  assert.ok(kills > 20, `${kills}`);
  for (const [item, values] of settled) assert.deepEqual(values, [item]);
});

const mapped = (...given) => new ItemMap(...given);

/** Runs items by hand: `answers` settles one. */
function byHand() {
  const calls = new Map();
  const run = (item, { signal }) =>
    new Promise((resolve, reject) => {
      calls.set(item, { resolve, reject, signal });
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  return { calls, run };
}

test("a map is lazy, and gives results in order or as they come", LIMIT, async () => {
  for (const ordered of [true, false]) {
    const { calls, run } = byHand();
    let read = 0;
    function* numbers() {
      for (;;) yield (read += 1);
    }
    const map = mapped(run, numbers(), { ahead: 3, ordered });
    const first = map.next();
    await until(() => calls.size === 3);
    calls.get(2).resolve("two");
    if (!ordered) assert.equal((await first).value, "two");
    calls.get(1).resolve("one");
    assert.equal((await (ordered ? first : map.next())).value, "one");
    assert.ok(read <= 4, `${read} items were read`);
    const { signal } = calls.get(3);
    await map.return();
    assert.ok(signal.aborted, "what ran is cancelled");
  }
});

test("a map of a slow source gives what is ready, and its error last", LIMIT, async () => {
  const { calls, run } = byHand();
  let goOn;
  async function* slow() {
    yield 1;
    await new Promise((resolve) => (goOn = resolve));
    throw new RangeError("the source failed");
  }
  const heard = [];
  const map = mapped(run, slow(), { ahead: 5, onProgress: (...told) => heard.push(told) });
  const first = map.next();
  await until(() => calls.size === 1);
  calls.get(1).resolve("one");
  assert.equal((await first).value, "one");
  assert.deepEqual(heard, [[1, undefined]]);
  const last = map.next();
  goOn();
  await assert.rejects(last, RangeError);
});

test("a map throws the first error or yields errors, and ends by its signal", LIMIT, async () => {
  const run = async (item) => {
    if (item === 2) throw new RangeError("2 is even");
    return item;
  };
  const told = [];
  for await (const one of mapped(run, [1, 2, 3], { ahead: 2, errors: "yield" })) told.push(one);
  assert.deepEqual(told.map((one) => (one instanceof RangeError ? "error" : one)), [1, "error", 3]);
  await assert.rejects(async () => {
    for await (const one of mapped(run, [1, 2, 3], { ahead: 2 })) assert.equal(one, 1);
  }, RangeError);
  const abort = new AbortController();
  const map = mapped(byHand().run, [1, 2], { ahead: 2, signal: abort.signal });
  const next = map.next();
  setTimeout(() => abort.abort(new DOMException("enough", "AbortError")), 1);
  await assert.rejects(next, { name: "AbortError" });
});

test("a map of endless items ends with its pool, also if errors are yielded", LIMIT, async () => {
  const { slots, workers } = await open({ size: 1, maxRestarts: 0 });
  function* endless() {
    for (;;) yield "at once";
  }
  const run = (item, options) => slots.run("f", [item], {}, options);
  let count = 0;
  await assert.rejects(async () => {
    for await (const one of mapped(run, endless(), { ahead: 2, errors: "yield" }, () => slots.ended)) {
      assert.equal(one, "at once");
      if ((count += 1) === 5) workers[0].end("it crashed");
    }
  }, PoolBrokenError);
  assert.ok(count >= 5);
});

test("the characters of a string are items", LIMIT, async () => {
  const told = [];
  for await (const one of mapped(async (item) => item, "abc", { ahead: 2 })) told.push(one);
  assert.deepEqual(told, ["a", "b", "c"]);
});

test("options of a map that make no sense are refused", LIMIT, () => {
  const { run } = byHand();
  for (const ahead of [undefined, 0, Number.NaN]) assert.throws(() => mapped(run, [1], { ahead }), RangeError);
  assert.throws(() => mapped(run, [1], { ahead: 1, errors: "raise" }), /write "throw" or "yield"/);
});

test("an error of onProgress ends the map, and is thrown by it", LIMIT, async () => {
  const run = async (item) => item;
  const onProgress = (done) => {
    if (done === 2) throw new RangeError("no bar");
  };
  for (const errors of ["throw", "yield"]) {
    await assert.rejects(async () => {
      for await (const one of mapped(run, [1, 2, 3, 4], { ahead: 2, errors, onProgress })) assert.ok(one < 4);
    }, /no bar/);
  }
});

test("return() ends a map whose result is being waited for", LIMIT, async () => {
  const { calls, run } = byHand();
  const map = mapped(run, [1, 2], { ahead: 2 });
  const waiting = map.next();
  await until(() => calls.size === 2);
  assert.deepEqual(await map.return(), { value: undefined, done: true });
  assert.deepEqual(await waiting, { value: undefined, done: true });
  assert.ok([...calls.values()].every(({ signal }) => signal.aborted));
  assert.deepEqual(await map.next(), { value: undefined, done: true });
});

test("a source of which the next item is awaited ends with its map, and nobody waits for that item", LIMIT, async () => {
  for (const comes of [true, false]) {
    let isCleanedUp = false;
    let goOn;
    async function* slow() {
      try {
        yield 1;
        await new Promise((resolve) => (goOn = resolve));
        yield 2;
      } finally {
        isCleanedUp = true;
      }
    }
    for await (const one of mapped(async (item) => item, slow(), { ahead: 5 })) {
      assert.equal(one, 1);
      await until(() => goOn !== undefined);
      break;
    }
    if (comes) {
      goOn();
      await until(() => isCleanedUp);
    }
    // An iterator that is no generator hears of the end at once.
    let isReturned = false;
    const source = {
      next: () => (isReturned ? Promise.resolve({ done: true }) : new Promise(() => {})),
      return: async () => void (isReturned = true),
      [Symbol.asyncIterator]() {
        return this;
      },
    };
    const map = mapped(async (item) => item, source, { ahead: 5 });
    const step = map.next();
    await map.return();
    assert.ok(isReturned);
    assert.equal((await step).done, true);
  }
});

test("an async onProgress that rejects ends the map", LIMIT, async () => {
  const onProgress = async (done) => {
    if (done === 2) throw new RangeError("no bar");
  };
  const { calls, run } = byHand();
  const map = mapped(run, [1, 2, 3], { ahead: 3, onProgress });
  const all = (async () => {
    for await (const one of map) assert.ok(one < 3);
  })();
  await until(() => calls.size === 3);
  calls.get(1).resolve(1);
  calls.get(2).resolve(2);
  await assert.rejects(all, /no bar/);
});

test("an async onProgress that rejects after the end of its map is told on the console", LIMIT, async (t) => {
  const told = t.mock.method(console, "error", () => {});
  let fail;
  const onProgress = () => new Promise((_, reject) => (fail = reject));
  for await (const one of mapped(async (item) => item, [1], { ahead: 1, onProgress })) assert.equal(one, 1);
  const error = new RangeError("no bar");
  fail(error);
  await until(() => told.mock.callCount() === 1);
  assert.equal(told.mock.calls[0].arguments.at(-1), error);
});

test("tasks that share a signal have one listener, and a map may read many items ahead", LIMIT, async () => {
  const { slots, workers } = await open();
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  for (const worker of workers) worker.call = async (_name, [item]) => (item % 1000 === 0 && (await turn()), item);
  const items = Array.from({ length: 20_000 }, (_, item) => item);
  for (const ordered of [true, false]) {
    let most = 0;
    const run = (item, options) => {
      const task = slots.run("f", [item], {}, options);
      if (item % 1000 === 0) most = Math.max(most, getEventListeners(options.signal, "abort").length);
      return task;
    };
    const told = [];
    for await (const one of mapped(run, items, { ahead: Infinity, ordered })) told.push(one);
    assert.deepEqual(told.sort((one, other) => one - other), items);
    assert.equal(most, 1);
  }
});

test("an abort drops the tasks of its signal that wait, and no other", LIMIT, async () => {
  const { slots, workers } = await open({ size: 1 });
  const abort = new AbortController();
  const running = slots.run("f", [0], {}, { signal: abort.signal });
  const waiting = Array.from({ length: 30 }, (_, item) => slots.run("f", [item], {}, item % 2 ? { signal: abort.signal } : {}));
  const outcomes = Promise.allSettled(waiting);
  abort.abort(new DOMException("enough", "AbortError"));
  await assert.rejects(running, { name: "AbortError" });
  workers[0].call = async (_name, [item]) => item;
  for (const [item, outcome] of (await outcomes).entries()) assert.equal(outcome.reason?.name ?? outcome.value, item % 2 ? "AbortError" : item);
  const { lost, done, waiting: left } = slots.stats();
  assert.deepEqual([lost, done, left], [16, 15, 0]);
});
