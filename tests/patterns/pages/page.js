// The functions that the tests of pages in JavaScript call in their page.
import * as workerlib from "/workerlib/workerlib.js";

const PYODIDE = { indexURL: "/pyodide/" };

/** Starts a worker with the site's own Pyodide. */
const spawn = (options = {}) => workerlib.spawn({ pyodide: PYODIDE, ...options });

/** The error with which an awaited promise is rejected, as the tests compare it. */
async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    const { name, message, traceback = null, stack } = error;
    return { name, message, traceback, stack, isError: error instanceof Error || error instanceof DOMException };
  }
  return null;
}

/** Whether two values are of the same type and content, all the way down. */
function same(left, right) {
  if (typeof left !== "object" || left === null || right === null) return Object.is(left, right);
  if (Object.getPrototypeOf(left) !== Object.getPrototypeOf(right)) return false;
  if (left instanceof Date) return Object.is(left.getTime(), right.getTime());
  if (left instanceof Map || left instanceof Set) return same([...left], [...right]);
  if (ArrayBuffer.isView(left)) return same(Array.from(left), Array.from(right));
  const names = Object.keys(left);
  return (
    names.length === Object.keys(right).length &&
    names.every((name) => Object.hasOwn(right, name) && same(left[name], right[name]))
  );
}

/** The value of an expression, made in this page: a driver's own scripts may have classes of their own. */
const made = (expression) => (0, eval)(expression);

/** One worker for all tests of a page that leave it as it was. */
let shared;
const sharedWorker = () => (shared ??= spawn({ script: "./functions.py", name: "shared" }));

Object.assign(window, { spawn, workerlib, Comlink: workerlib.Comlink, failure, same, made, sharedWorker, PYODIDE });
window.ready = true;
