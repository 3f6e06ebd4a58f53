// Runs tasks in JavaScript on the pool of npm's @fideus-labs/worker-pool, which is a peer of workerlib's pools.
import { WorkerPool } from "./worker-pool/index.js";

const SOURCE = `
onmessage = ({ data: [task, value] }) => {
  const end = performance.now() + (task === "spin" ? value * 1000 : 0);
  while (performance.now() < end);
  postMessage(value);
};
`;

/**
 * Runs a task for each value on two workers.
 *
 * @param {"spin" | "echo"} task - "spin" computes for so many seconds, "echo" does nothing.
 * @param {number[]} values - The values.
 * @returns {Promise<number>} How many milliseconds it took, once both workers had started.
 */
export async function workerPool(task, values) {
  const pool = new WorkerPool(2);
  const address = URL.createObjectURL(new Blob([SOURCE], { type: "text/javascript" }));
  const ask = (name, value) => (worker) => {
    worker ??= new Worker(address);
    return new Promise((resolve) => {
      worker.onmessage = ({ data }) => resolve({ worker, result: data });
      worker.postMessage([name, value]);
    });
  };
  await pool.runTasks(Array.from({ length: 20 }, () => ask("spin", 0.001))).promise;
  const begun = performance.now();
  const results = await pool.runTasks(values.map((value) => ask(task, value))).promise;
  const took = performance.now() - begun;
  if (!results.every((result, index) => result === values[index])) throw new Error("the results are wrong");
  pool.terminateWorkers();
  URL.revokeObjectURL(address);
  return took;
}
