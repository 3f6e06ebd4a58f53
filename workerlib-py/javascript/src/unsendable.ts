/**
 * Tells which part of an argument structured cloning refuses: the browser's own error names neither argument nor path.
 *
 * It looks only after a call has failed, and sends nothing.
 */
import * as Comlink from "comlink";

import { isAsyncIterable } from "./streams.js";

const IDENTIFIER = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u;

/**
 * Makes the error of a call whose arguments cannot be sent; any other error stays as it is.
 *
 * @param error the error that sending raised
 * @param name the name of the function
 * @param args its arguments
 * @param kwargs its keyword arguments
 */
export function explained(error: unknown, name: string, args: unknown[], kwargs: Record<string, unknown>): unknown {
  if (!(error instanceof DOMException) || error.name !== "DataCloneError") return error;
  const given: [string, unknown][] = [...args.map((arg, at): [string, unknown] => [`args[${at}]`, arg]), ["kwargs", kwargs]];
  try {
    for (const [path, value] of given) {
      const found = findUnsendable(value, path, new Set(), true);
      if (found) return new DOMException(`${name}(): ${found}`, "DataCloneError");
    }
  } catch {
    // A value that is nested too deeply to be searched, or that refuses to be looked at.
  }
  return error;
}

/** Finds the first value that cannot be cloned, and says what and where it is. */
function findUnsendable(value: unknown, path: string, seen: Set<unknown>, isWhole = false): string | undefined {
  if (typeof value === "symbol") return `${path} is a symbol, which cannot be sent`;
  if (typeof value === "function") {
    // As a whole argument it is a callback.
    return isWhole ? undefined : `${path} is a function, which can be sent only as an argument of its own`;
  }
  if (typeof value !== "object" || value === null || seen.has(value)) return undefined;
  seen.add(value);
  if (isWhole && Comlink.proxyMarker in value) return undefined;
  for (const [key, item] of partsOf(value) ?? []) {
    const found = findUnsendable(item, `${path}${key}`, seen);
    if (found) return found;
  }
  if (partsOf(value) !== undefined || isTransferable(value) || canBeCloned(value)) return undefined;
  if (isAsyncIterable(value)) return `${path} is an async iterable, which can be sent only as an argument of its own`;
  const isIterable = Symbol.iterator in value;
  const remedy = value instanceof Promise ? "; await it first" : isIterable ? "; make an array of it: [...items]" : "";
  return `${path} is of the class ${value.constructor?.name ?? "Object"}, which cannot be sent${remedy}`;
}

/** The parts of an array, a plain object, a Map or a Set, each with the end of its path; undefined of anything else. */
function partsOf(value: object): [string, unknown][] | undefined {
  if (Array.isArray(value)) return value.map((item, at) => [`[${at}]`, item]);
  if (value instanceof Map) {
    return [...value].flatMap(([key, item], at) => [
      [` (key ${at})`, key],
      [`.get(${keyText(key)})`, item],
    ]);
  }
  if (value instanceof Set) return [...value].map((item, at) => [` (item ${at})`, item]);
  // Instances of classes are cloned by their own properties too, unless they are the browser's.
  if (Object.prototype.toString.call(value) !== "[object Object]") return undefined;
  return Object.entries(value).map(([key, item]) => [IDENTIFIER.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`, item]);
}

/** How a key of a Map is written; JSON knows no BigInt, and objects may contain themselves. */
function keyText(key: unknown): string {
  if (typeof key === "string") return JSON.stringify(key);
  return typeof key === "bigint" ? `${key}n` : typeof key === "object" && key !== null ? "…" : String(key);
}

function canBeCloned(value: object): boolean {
  try {
    structuredClone(value);
    return true;
  } catch {
    return false;
  }
}

/** Whether `Comlink.transfer` may have sent it. */
function isTransferable(value: object): boolean {
  const kinds = ["ArrayBuffer", "MessagePort", "ReadableStream", "WritableStream", "TransformStream", "OffscreenCanvas"];
  const kind = Object.prototype.toString.call(value).slice("[object ".length, -1);
  return kinds.includes(kind) || ["ImageBitmap", "VideoFrame", "AudioData", "RTCDataChannel"].includes(kind);
}
