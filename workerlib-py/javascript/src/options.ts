/**
 * Checks the options of `spawn()`, `spawnPool()`, of calls and of maps, before anything is started.
 *
 * TypeScript tells a slip in the editor. In JavaScript, a worker would start without what the misspelt option says, or fail far
 * from the slip.
 */
import type { MapOptions, PoolOptions, TaskOptions } from "./pool/index.js";
import type { CallOptions, SpawnOptions } from "./types.js";

/** The words for a valid value, which an error shows, and the function that tells whether a value is one. */
type Check = readonly [what: string, holds: (value: any) => boolean];

const isText = (value: unknown): boolean => typeof value === "string";
const isObject = (value: unknown): boolean => typeof value === "object" && value !== null;
const isNumber = (value: unknown): boolean => typeof value === "number";
const isFunction = (value: unknown): boolean => typeof value === "function";

const ADDRESS: Check = ['an address, such as "./worker.py"', (value) => isText(value) || value instanceof URL];
const texts = (example: string): Check => [
  `an array of texts, such as [${JSON.stringify(example)}]`,
  (value) => Array.isArray(value) && value.every(isText),
];
const MILLISECONDS: Check = ["a number of milliseconds from 0 on", (value) => typeof value === "number" && value >= 0];
const FLAG: Check = ["true or false", (value) => typeof value === "boolean"];

// The signal of another frame is not an instance of this page's class.
const SIGNAL: Check = [
  "the signal of an AbortController, controller.signal",
  (value) => isFunction(value?.throwIfAborted) && isFunction(value.addEventListener),
];

const CALL_CHECKS: Record<keyof Required<CallOptions>, Check> = {
  signal: SIGNAL,
  timeout: MILLISECONDS,
  onReport: ["a function", isFunction],
};

const TASK_CHECKS: Record<keyof Required<TaskOptions>, Check> = {
  ...CALL_CHECKS,
  retries: ["a number of retries from 0 on", (value) => typeof value === "number" && value >= 0],
};

// Their ranges are checked where they are used.
const MAP_CHECKS: Record<keyof Required<MapOptions>, Check> = {
  ordered: FLAG,
  errors: ['"throw" or "yield"', isText],
  ahead: ["a number of items from 1 on", isNumber],
  timeout: MILLISECONDS,
  retries: TASK_CHECKS.retries,
  signal: SIGNAL,
  onProgress: ["a function", isFunction],
};

const POOL_CHECKS: Record<Exclude<keyof PoolOptions, keyof SpawnOptions>, Check> = {
  size: ["a number of workers from 1 on", isNumber],
  maxRestarts: ["a number of restarts from 0 on, or Infinity", isNumber],
  backoff: [
    "the first and the longest delay in milliseconds, such as [100, 5000]",
    (value) => Array.isArray(value) && value.length === 2 && value.every(isNumber),
  ],
  poisonAfter: ["a number of workers from 1 on, or Infinity", isNumber],
};

const CHECKS: Record<keyof Required<SpawnOptions>, Check> = {
  script: ADDRESS,
  packages: texts("numpy"),
  indexURLs: texts("https://example.org/simple"),
  pyodide: ['an object, such as { indexURL: "/pyodide/" }', isObject],
  name: ["a text", isText],
  onProgress: ["a function", isFunction],
  timeout: MILLISECONDS,
  signal: SIGNAL,
  heartbeat: MILLISECONDS,
  heartbeatInCalls: FLAG,
  isolated: FLAG,
  snapshot: FLAG,
  exports: [
    "an object of functions, such as { ask: (question) => prompt(question) }",
    (value) => isObject(value) && Object.values(value).every(isFunction),
  ],
  workerlib: ADDRESS,
  worker: ADDRESS,
};

/**
 * Checks the options of `spawn()`.
 *
 * @param options the options, of which undefined ones are left out
 * @throws TypeError with the option's name and what to write
 */
export function checkOptions(options: unknown): void {
  checkStart(options, "spawn", CHECKS);
}

/**
 * Checks the options of `spawnPool()`, but for the ranges of its numbers.
 *
 * @param options the options, of which undefined ones are left out
 * @throws TypeError with the option's name and what to write
 */
export function checkPoolOptions(options: unknown): void {
  checkStart(options, "spawnPool", { ...POOL_CHECKS, ...CHECKS });
}

/**
 * Checks the options of one call.
 *
 * @param options the options, of which undefined ones are left out
 * @param caller the function that has them, for the message
 * @throws TypeError with the option's name and what to write
 */
export function checkCallOptions(options: unknown, caller: string): void {
  checkOptionsOfCall(options, caller, CALL_CHECKS);
}

/**
 * Checks the options of a task of a pool: those of a call, and `retries`.
 *
 * @param options the options, of which undefined ones are left out
 * @param caller the function that has them, for the message
 * @throws TypeError with the option's name and what to write
 */
export function checkTaskOptions(options: unknown, caller: string): void {
  checkOptionsOfCall(options, caller, TASK_CHECKS);
}

/**
 * Checks what a pool's `map()` is given, but for the ranges of its numbers.
 *
 * @param name the name of the exported function
 * @param items the items
 * @param options the options, of which undefined ones are left out
 * @throws TypeError with what to write
 */
export function checkMap(name: unknown, items: unknown, options: unknown): void {
  checkName(name, "map", ", items");
  if (items === null || items === undefined || !(Symbol.iterator in Object(items) || Symbol.asyncIterator in Object(items))) {
    throw new TypeError(`map(): the items are ${shown(items)}: write an iterable, such as an array, or an async iterable`);
  }
  checkOptionsOfCall(options, "map", MAP_CHECKS);
}

/**
 * Checks the name of an exported function.
 *
 * @param name the name
 * @param caller the function that is given it, for the message
 * @param rest what follows the name in a right call of that function
 * @throws TypeError with what to write
 */
export function checkName(name: unknown, caller: string, rest = ""): void {
  if (isText(name)) return;
  throw new TypeError(`${caller}(): the name of the function is ${shown(name)}: write a text, such as ${caller}("f"${rest})`);
}

function checkStart(options: unknown, caller: string, checks: Record<string, Check>): void {
  if (!isObject(options) || options instanceof URL) {
    throw new TypeError(`${caller}(${shown(options)}): write ${caller}({ script: "./worker.py" })`);
  }
  checkEach(options as object, caller, checks);
}

function checkOptionsOfCall(options: unknown, caller: string, checks: Record<string, Check>): void {
  if (!isObject(options) || isFunction((options as { throwIfAborted?: unknown }).throwIfAborted)) {
    throw new TypeError(`${caller}(): the options are ${shown(options)}: write { timeout: 500 } or { signal }`);
  }
  checkEach(options as object, caller, checks);
}

function checkEach(options: object, caller: string, checks: Record<string, Check>): void {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue;
    const check = Object.hasOwn(checks, name) ? checks[name] : undefined;
    if (check === undefined) {
      throw new TypeError(`${caller}() has no option ${name}; it has ${Object.keys(checks).join(", ")}`);
    }
    const [what, holds] = check;
    if (!holds(value)) throw new TypeError(`${name}: ${shown(value)}: write ${what}`);
  }
}

function shown(value: unknown): string {
  // The text of a function is its source.
  return isText(value) ? JSON.stringify(value) : isFunction(value) ? "a function" : String(value);
}
