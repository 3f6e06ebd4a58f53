/**
 * Checks the options of `spawn()`, `spawnPool()` and of calls, before anything is started.
 *
 * TypeScript tells a slip in the editor. In JavaScript, a worker would start without what the misspelt option says, or fail far
 * from the slip.
 */
import type { CallOptions, SpawnOptions } from "./types.js";

/** What to write, and whether a value is that. */
type Check = readonly [what: string, holds: (value: any) => boolean];

const isText = (value: unknown): boolean => typeof value === "string";
const isObject = (value: unknown): boolean => typeof value === "object" && value !== null;
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
 * Checks options.
 *
 * @param options the options, of which undefined ones are left out
 * @param caller the function that has them, for the message
 * @param further the names of options that the caller checks itself
 * @throws TypeError with the option's name and what to write
 */
export function checkOptions(options: unknown, caller: string, further: readonly string[] = []): void {
  if (!isObject(options) || options instanceof URL) {
    throw new TypeError(`${caller}(${shown(options)}): write ${caller}({ script: "./worker.py" })`);
  }
  checkEach(options as object, CHECKS, caller, further);
}

/**
 * Checks the options of one call.
 *
 * @param options the options, of which undefined ones are left out
 * @param caller the function that has them, for the message
 * @throws TypeError with the option's name and what to write
 */
export function checkCallOptions(options: unknown, caller: string): void {
  if (!isObject(options) || isFunction((options as { throwIfAborted?: unknown }).throwIfAborted)) {
    throw new TypeError(`${caller}(): the options are ${shown(options)}: write { timeout: 500 } or { signal }`);
  }
  checkEach(options as object, CALL_CHECKS, caller);
}

function checkEach(options: object, checks: Record<string, Check>, caller: string, further: readonly string[] = []): void {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || further.includes(name)) continue;
    const check = Object.hasOwn(checks, name) ? checks[name] : undefined;
    if (check === undefined) {
      throw new TypeError(`${caller}() has no option ${name}; it has ${[...further, ...Object.keys(checks)].join(", ")}`);
    }
    const [what, holds] = check;
    if (!holds(value)) throw new TypeError(`${name}: ${shown(value)}: write ${what}`);
  }
}

function shown(value: unknown): string {
  return isText(value) ? JSON.stringify(value) : String(value);
}
