import { spawn, type PythonError } from "workerlib";

import type { Statistics } from "./statistics";

// Shows an error that nobody caught, with a button that tries again: a worker that does not start, a file that is missing.
const showTrouble = (reason: unknown): void => {
  const trouble = document.createElement("div");
  trouble.role = "alert";
  trouble.id = "trouble";
  const button = document.createElement("button");
  button.textContent = "Try again";
  button.addEventListener("click", () => location.reload());
  trouble.append(`This did not work. ${reason} `, button);
  document.querySelector("#trouble")?.remove();
  document.querySelector("main")!.append(trouble);
};
addEventListener("error", ({ error, message }) => showTrouble(error ?? message));
addEventListener("unhandledrejection", ({ reason }) => showTrouble(reason));

const output = document.querySelector("#output")!;
const show = (...words: unknown[]): void => output.append(`${words.join(" ")}\n`);

// By default Pyodide comes from its CDN.
const indexURL = import.meta.env.VITE_PYODIDE as string | undefined;
const worker = await spawn<Statistics>({
  script: "./worker.py",
  ...(indexURL && { pyodide: { indexURL } }),
  onProgress: ({ stage, what }) => show(stage, what),
});

const mean: number = await worker.mean([1, 2.5]);
show("mean([1, 2.5]) =", mean);

const histogram = await worker.histogram([1, 2, 2, 3, 3, 3], 3);
show("histogram counts:", histogram.counts);
show("the fullest interval:", await worker.fullest(histogram));

await worker.count_to(3, (number) => show("counted", number));

try {
  await worker.with({ timeout: 5000 }).mean([]);
} catch (error) {
  const { name, message, traceback } = error as PythonError;
  show(name, message, traceback);
}
show("done");
