// Pyodide without PyScript, in a page whose harness spawns the worker. It starts from a memory snapshot, or, with `?plain`, as
// Pyodide does by itself, and then leaves nothing in the site's storage.

const isPlain = new URLSearchParams(location.search).has("plain");
const { loadPyodide } = await import(isPlain ? "/pyodide/pyodide.mjs" : "/workerlib/workerlib-pyodide.mjs?pyodide=/pyodide");
const pyodide = await loadPyodide();
await pyodide.loadPackage("workerlib", { messageCallback() {} });
const harness = await (await fetch("./harness.py")).text();
// Its last statement tells the tests that it is ready, so what replaces one of its functions comes before that.
const spawning = `
  def connect(**options):
      import worker_files
      import workerlib

      return workerlib.spawn("/shared/worker.py", name="bench", config=worker_files.config("/shared/"), **options)
`;
const [functions, announcement] = harness.split("\njs.window.harness =");
await pyodide.runPythonAsync(functions);
await pyodide.runPythonAsync(spawning);
await pyodide.runPythonAsync(`js.window.harness =${announcement}`);
