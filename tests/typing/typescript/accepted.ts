// Right calls of a worker whose interface was written from its script: tsc has nothing to say of them.
import { spawn, spawnPool } from "workerlib";

import type { Circle, Colour, Everything, Filter, Json, Level, Page, Person, Point, Sample, Search, Size } from "./everything";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function is<A, B>(same: Same<A, B>): void {
  void same;
}

export async function accepted(picture: ImageBitmap): Promise<void> {
  const worker = await spawn<Everything>({ script: "./everything_worker.py" });
  await worker.plain(1);
  await worker.plain(1, 2, "three", true, false);
  await worker.call("plain", [1], { digits: 2, name: "x" });
  const mean = await worker.mean([1, 2.5]);
  is<typeof mean, number>(true);
  const found = await worker.find(1, null);
  is<typeof found, string | undefined>(true);
  const person = await worker.person("Ada");
  is<typeof person, Person | undefined>(true);
  if (person) {
    const { street, tags, friends } = person;
    is<typeof street, string>(true);
    is<typeof tags, Set<string>>(true);
    is<typeof friends, Person[]>(true);
  }
  const [at, length, time] = await worker.moments(new Date(), new Date());
  is<[typeof at, typeof length, typeof time], [Date, number, string]>(true);
  const counts = await worker.containers({ a: 1 }, new Map([[1, "a"]]), new Set(["a"]), { any: [1] });
  const first = counts instanceof Map ? counts.get(1) : undefined;
  is<typeof first, string | undefined>(true);
  const json: Json = { a: [1, null, { b: "c" }] };
  await worker.json(json);
  const circle = await worker.geometry([{ x: 1, y: 2 }], [], { x: 0, y: 0 });
  is<typeof circle, Circle>(true);
  const point: Point = circle;
  const colour: Colour = await worker.choose(circle.colour ?? "red", 11, "fast", 3, "red");
  const level: Level = 10;
  const [width] = (await worker.sizes([1, 2], [point, colour]))[0] as Size;
  is<typeof width, number>(true);
  const filter: Filter = await worker.options({}, { text: "x", limit: level });
  is<typeof filter.mode, "fast" | "slow" | undefined>(true);
  const { values, taken }: Sample = await worker.sample();
  is<[typeof values.data, typeof taken], [Float64Array, Date]>(true);
  const page: Page<Point> = await worker.page();
  is<typeof page.next, Page<Point> | null>(true);
  const array = await worker.arrays(values, { data: new Float32Array(2), shape: [2], dtype: "float32" });
  is<typeof array.data, Int16Array>(true);
  const bytes = await worker.data(new Uint8Array(2), picture);
  is<typeof bytes, Uint8Array>(true);
  await worker.steps(
    async (done, of) => done > 1 && of === "red",
    (done, of) => void (done / of),
    () => undefined,
  );
  await worker.dated({ year: 2026, day: new Date() });
  await worker.call("call", [1]);
  await worker["with-dashes"]();
  await worker.delete(1);
  const [hit] = await worker.search({ text: "x", required: 2, demanded: 1 }, { text: "y", required: 3, demanded: 1, annotated: 2, within: { x: 1, y: 2, seed: 3, within: { x: 0, y: 0 } }, size: [3] });
  const one: Search | undefined = hit;
  const size: Size | undefined = one?.size;
  void size;
  const picked = await worker.pick("a", true);
  is<typeof picked, number | string | undefined>(true);
  const step = await worker.step_to(2, ["mars", 4], 443, "m");
  is<typeof step, 1 | 2 | 3>(true);
  for await (const item of worker.streamed(2)) is<typeof item, Point>(true);
  const ticks = await worker.ticks();
  const tick = await ticks.next();
  is<typeof tick.done, boolean | undefined>(true);
  await ticks.return();
  await ticks[Symbol.asyncDispose]();
  const numbers = async function* (): AsyncGenerator<number> {
    yield 1;
  };
  const total = await worker.total(numbers());
  is<typeof total, number>(true);
  for await (const item of worker.with({ timeout: 5 }).given()) is<typeof item, number>(true);
  for await (const item of worker.call("streamed", [2])) is<typeof item, Point>(true);
  await worker.asked(async (question) => question === "");
  const film = await worker.film({ title: "M", year: 1931 }, {}, "hearts");
  is<typeof film.rating, number | undefined>(true);
  const [name, other]: [string, string] = await worker.aliases([1, 2], ["a"], [3]);
  await worker.heard((number) => void number.toFixed(), async (at, text) => at > 0 && text === name + other, null);
  const [number, ...texts] = await worker.unpacked(1, "two");
  is<[typeof number, typeof texts], [number, string[]]>(true);
  await worker.passed((...all: unknown[]) => all.length, 1, "two");
  const modes = await worker.by_name({ red: 1 }, { a: 1 }, { "1": true });
  is<typeof modes.fast, number | undefined>(true);
  const isText = await worker.is_text("a");
  is<typeof isText, boolean>(true);
}

// An option or a property that is undefined is one that is left out, also where exactOptionalPropertyTypes makes a difference of it.
export async function acceptedOptions(signal?: AbortSignal, timeout?: number, name?: string): Promise<void> {
  const worker = await spawn<Everything>({ script: "./everything_worker.py", signal, timeout, name, onProgress: undefined });
  await worker.with({ signal, timeout, onReport: undefined }).mean([1]);
  await worker.call("mean", [[1]], {}, { signal, timeout });
  const pool = await spawnPool<Everything>({ script: "./everything_worker.py", signal, name, size: undefined, backoff: undefined });
  await pool.with({ signal, retries: undefined }).mean([1]);
  pool.map("mean", [[1]], { signal, ahead: undefined, onProgress: undefined, timeout });
  await worker.plain(1, timeout, name);
  await worker.options({ digits: timeout, mode: undefined }, { text: "x", limit: timeout });
  await worker.search({ text: "x", required: 1, demanded: 1, within: undefined, limit: timeout });
  const untyped = await spawnPool({ script: "./everything_worker.py" });
  await untyped.anything(1, "two").then((result) => result.whatever);
  await untyped.each.anything(1);
  await untyped.call("anything", [1]).then((result) => result.whatever);
  await untyped.submit("anything", 1).then((result) => result.whatever);
  for await (const one of untyped.map("anything", [1])) one.whatever;
}

export async function acceptedOfPools(): Promise<void> {
  const pool = await spawnPool<Everything>({ script: "./everything_worker.py", size: 2, backoff: [0, 100], maxRestarts: Infinity });
  const mean = await pool.mean([1, 2.5]);
  is<typeof mean, number>(true);
  const patient = await pool.with({ retries: 1, timeout: 500 }).find(1, null);
  is<typeof patient, string | undefined>(true);
  const called = await pool.call("find", [1], {}, { retries: 1 });
  is<typeof called, string | undefined>(true);
  const task = pool.submit("mean", [1]);
  task.cancel();
  const submitted = await task;
  is<typeof submitted, number>(true);
  for await (const one of pool.map("mean", [[1], [2, 3]], { ordered: false, ahead: 3 })) is<typeof one, number>(true);
  for await (const one of pool.map("mean", [[1]], { errors: "yield" })) is<typeof one, number | Error>(true);
  const all = await pool.each.mean([1]);
  is<typeof all, number[]>(true);
  is<ReturnType<typeof pool.stats>["idle"], number>(true);
  await pool.restart();
  await pool.close();
}
