// The JavaScript that pyodide-pool of PyPI needs and that is not published: OUR OWN STAND-IN, not its authors' code.
//
// Its Python package calls `pool.poolSize` and `pool.runPickled(payload, { packages, wheels })`. This is the shortest form that does
// so on its own pool of npm, @fideus-labs/worker-pool: each worker is a Pyodide that runs one pickled call at a time. A queue
// keeps the pool from being asked when all its workers are busy, since it would look again every 50 ms.
import { WorkerPool } from "./worker-pool/index.js";

export class PyodidePool {
  #queue = [];
  #running = 0;

  constructor(poolSize) {
    this.poolSize = poolSize;
    this.pool = new WorkerPool(poolSize);
  }

  runPickled(payload, { packages, wheels }) {
    return new Promise((resolve, reject) => {
      this.#queue.push({ message: { payload, packages, wheels }, resolve, reject });
      this.#next();
    });
  }

  terminate() {
    this.pool.terminateWorkers();
  }

  async #next() {
    if (this.#running === this.poolSize || this.#queue.length === 0) return;
    const { message, resolve, reject } = this.#queue.shift();
    this.#running += 1;
    const [[outcome, value]] = await this.pool.runTasks([(worker) => run(worker, message)]).promise;
    this.#running -= 1;
    this.#next();
    if (outcome === "value") resolve(value);
    else reject(Object.assign(new Error("the task failed"), { exceptionPayload: value }));
  }
}

function run(worker, message) {
  worker ??= new Worker("./pools_peer_worker.mjs", { type: "module" });
  return new Promise((resolve) => {
    worker.onmessage = ({ data }) => resolve({ worker, result: data });
    worker.postMessage(message, [message.payload]);
  });
}
