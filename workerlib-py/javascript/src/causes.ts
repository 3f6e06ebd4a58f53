/**
 * Carries the cause of an error from a worker to its page: a structured clone of an error keeps neither its class nor its own
 * cause. The worker's scripts describe a cause by `describeCause`, and the page builds an `Error` of it by `causeOf`.
 */

/** A cause as an object that can be posted. */
export interface DescribedCause {
  name: string;
  message: string;
  stack?: string;
  /** The Python traceback, where the cause is an exception of Python's. */
  traceback?: string;
  cause?: DescribedCause;
}

/** The most causes of causes that are told. */
const MOST = 8;

/** Describes an error for which another one was thrown; undefined where there is none. */
export function describeCause(cause: unknown, most = MOST): DescribedCause | undefined {
  if (most === 0) return undefined;
  // Emscripten's exit status is no `Error`, and has a name and a message too.
  const { name, message, stack, traceback, cause: further } = Object(cause) as Partial<Record<keyof DescribedCause, unknown>>;
  if (typeof name !== "string" || typeof message !== "string") return undefined;
  const described = describeCause(further, most - 1);
  return {
    name,
    message,
    ...(typeof stack === "string" && { stack }),
    ...(typeof traceback === "string" && { traceback }),
    ...(described !== undefined && { cause: described }),
  };
}

/** Builds the error that a worker has described, with its name; undefined where the worker has told none. */
export function causeOf(described: unknown, most = MOST): Error | undefined {
  if (typeof described !== "object" || described === null || most === 0) return undefined;
  const { name, message, stack, traceback, cause } = described as Partial<DescribedCause>;
  if (typeof name !== "string" || typeof message !== "string") return undefined;
  const further = causeOf(cause, most - 1);
  const error = new Error(message, further === undefined ? undefined : { cause: further });
  const own = { name, ...(stack !== undefined && { stack }), ...(traceback !== undefined && { traceback }) };
  for (const [key, value] of Object.entries(own)) {
    Object.defineProperty(error, key, { value, enumerable: key === "traceback", configurable: true, writable: true });
  }
  return error;
}
