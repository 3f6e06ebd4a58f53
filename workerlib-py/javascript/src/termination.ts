/**
 * Tells when a Worker of this page is terminated by the page's own JavaScript.
 *
 * No event follows the end of a Worker. So `Worker.prototype.terminate` is replaced, once for a page, by a function that tells
 * of it after it has done its work; this includes calls by `Worker.prototype.terminate.call(worker)`. Python evaluates the same
 * file (`_hosts/browser/liveness.py`). A worker that the browser ends by itself is noticed by a Web Lock.
 */

/** Dispatches the event `terminated`, once. */
export interface Termination extends EventTarget {
  /** Whether the worker has ended. */
  isDead?: boolean;
  /** Whether the script of a worker of PyScript's is known to have ended. */
  isUp?: boolean;
  /** Why, if the worker itself has told that before anybody was connected (`lifelines.ts`). */
  reason?: string;
  /** The name of the Web Lock that the worker holds, if it has told that. */
  lifeline?: string;
}

interface Watched extends Worker {
  workerlib_termination?: Termination;
}

interface Terminate {
  (this: Watched): void;
  workerlib?: boolean;
}

/** Returns what tells of a Worker's termination; there is one for each. */
export function terminationOf(worker: Watched): Termination {
  const prototype = Worker.prototype as { terminate: Terminate };
  if (prototype.terminate.workerlib !== true) {
    const original = prototype.terminate;
    prototype.terminate = Object.assign(
      function terminate(this: Watched): void {
        original.call(this);
        // Somebody may ask later, of a worker that nobody has watched.
        const termination = terminationOf(this);
        if (termination.isDead === true) return;
        termination.isDead = true;
        termination.dispatchEvent(new Event("terminated"));
      },
      { workerlib: true },
    );
  }
  return (worker.workerlib_termination ??= new EventTarget());
}
