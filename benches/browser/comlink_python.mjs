// The worker's side of the peer "Comlink": a Python function as a page's JavaScript would call it.
import * as Comlink from "./comlink.mjs";

/**
 * Exposes a Python function over Comlink, with Pyodide's own conversions.
 *
 * @param {MessagePort} port - Where to.
 * @param {any} pyodide - The Pyodide of this worker.
 * @param {(value: any) => any} echo - A PyProxy of the function.
 * @param {(callback: any, count: number) => number} callBack - One of a function that calls a callback.
 * @param {(callback: any, count: number) => Promise<number>} callBackAwaited - One that awaits each answer.
 * @param {(callback: any, kind: string, count: number) => void} push - One that calls a callback with items.
 */
export function serve(port, pyodide, echo, callBack, callBackAwaited, push) {
  const call = (value) => {
    const argument = pyodide.toPy(value);
    const result = echo(argument);
    argument?.destroy?.();
    if (result?.toJs === undefined) return result;
    const converted = result.toJs({ dict_converter: Object.fromEntries, create_pyproxies: false });
    result.destroy();
    return ArrayBuffer.isView(converted) ? Comlink.transfer(converted, [converted.buffer]) : converted;
  };
  Comlink.expose({ call, callBack, callBackAwaited, push }, port);
}
