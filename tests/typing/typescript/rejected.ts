// Wrong calls of a worker whose interface was written from its script: tsc rejects each marked line, and no other.
import { spawn, spawnPool } from "workerlib";

import type { Everything } from "./everything";

export async function rejected(): Promise<void> {
  const worker = await spawn<Everything>({ script: "./everything_worker.py" });
  await worker.mean(["text"]); // rejected: items
  await worker.plain(); // rejected: a missing argument
  await worker.plain(1, 2, "three", 4); // rejected: the rest
  const text: string = await worker.mean([1]); // rejected: the result
  (await worker.find(1)).length; // rejected: it may be undefined
  await worker.choose("blue", 1, "fast", 1, "a"); // rejected: no member of the enum
  await worker.choose("red", 2, "fast", 1, "a"); // rejected: no value of auto()
  await worker.sizes([], [1, 2]); // rejected: a short named tuple
  await worker.search({ text: "x" }); // rejected: a field without a default
  await worker.search({ text: "x", required: 1, demanded: 1, within: { x: 1 } }); // rejected: of a field, a field without a default
  await worker.step_to(2, ["mars", 4], 443, "km"); // rejected: no member of an enum of str
  await worker.pick({}); // rejected: no type of an overload
  await worker.options({ digit: 1 }, { text: "x" }); // rejected: no key of the TypedDict
  await worker.options({}, {}); // rejected: a required key
  await worker.geometry([{ x: 1 }], [], { x: 0, y: 0 }); // rejected: a field that is missing
  await worker.containers({ a: "1" }, new Map(), new Set(), {}); // rejected: values of a dict
  await worker.containers({}, { 1: "a" }, new Set(), {}); // rejected: no Map
  (await worker.containers({}, new Map(), new Set(), {})).get(1); // rejected: an empty dict is an Object
  await worker.dated({ year: 2026, day: "2026-11-28" }); // rejected: no Date
  await worker.steps((done: string) => done === "", () => {}, () => {}); // rejected: the callback's argument
  await worker.maen([1]); // rejected: no such function
  for await (const item of worker.streamed()) void item.z; // rejected: no field of an item
  for await (const item of worker.maybe(1)) void item; // rejected: no stream
  await worker.total([1]); // rejected: no async iterable
  await worker.total(worker.streamed()); // rejected: items of another type
  worker.call(1); // rejected: hidden by a member of every worker
  (await worker.film({ title: "M", year: 1931 }, {}, "hearts")).year = 1932; // rejected: a read-only item
  await worker.film({ year: 1931 }, {}, "hearts"); // rejected: an item that is required within Annotated
  await worker.film({ title: "M", year: 1931 }, {}, 4); // rejected: no member of the enum
  await worker.aliases([1, "2"], [], []); // rejected: an item of a generic alias
  await worker.heard((text: string) => void text, () => true); // rejected: the argument of a callback's alias
  await worker.heard(() => {}, () => "text"); // rejected: the result of a callback's generic alias
  await worker.unpacked("one", "two"); // rejected: an item of unpacked arguments
  await worker.by_name({ blue: 1 }, {}, {}); // rejected: a key that is not a member of the enum
  void text;
}

export async function rejectedOfPools(): Promise<void> {
  const pool = await spawnPool<Everything>({ script: "./everything_worker.py", size: "2" }); // rejected: a text as the size
  await pool.mean(["text"]); // rejected: items
  pool.map("maen", [[1]]); // rejected: no such function
  pool.map("mean", [1]); // rejected: an item that is not an argument
  pool.map("mean", [[1]], { ordered: 1 }); // rejected: an option
  for await (const one of pool.map("mean", [[1]])) one.length; // rejected: a result
  await pool.each.mean("text"); // rejected: an argument of all workers
  await pool.submit("mean"); // rejected: a missing argument
  pool.terminate(); // rejected: a member of single workers
  pool.streamed(); // rejected: a stream
  pool.each.streamed(); // rejected: a stream of all workers
  pool.call("streamed", [1]); // rejected: a stream by its name
  pool.submit("streamed", 1); // rejected: a stream as a task
  pool.map("streamed", [1]); // rejected: a stream for each item
  pool.with({ retrys: 1 }).mean([1]); // rejected: a slip of an option
}
